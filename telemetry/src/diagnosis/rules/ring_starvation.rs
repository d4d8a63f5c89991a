//! The ring in front of the lists serves too few allocations.

use core::fmt::{self, Display};

use serde::Serialize;

use super::super::numbers::{Percent, Short};
use super::{At, ByClass, ByShard, Limit, Rule, Side, ratio};
use crate::diagnosis::Verdict;
use crate::diagnosis::verdict::{Advice, Scope, Severity};

/// Evidence of [`Verdict::RingStarvation`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RingStarvation {
    /// Share of allocations that the ring served, 0 to 1.
    pub hit_ratio: f64,
    /// Allocations that found it empty, a second.
    pub misses_per_second: f64,
    /// Blocks that a refill brought, on average.
    pub blocks_per_refill: f64,
}

impl Rule for RingStarvation {
    const VERDICT: Verdict = Verdict::RingStarvation;
    const SCOPE: Scope = Scope::Class;
    const ADVICE: Advice = Advice {
        severity: Severity::Waste,
        title: "Ring starvation",
        says: "Many allocations of this class find their thread's ring empty, and a refill brings only a few blocks.",
        means: "The ring is there so that 31 of 32 allocations touch nothing that is shared. Refilled by ones and twos it is a detour: \
                nearly every allocation pays for the slow path, and for whatever contention is behind it.",
        tries: "Look where the blocks stay: short magazines under `depot`, blocks spread over many shards, or frees that pass the ring by \
                because another shard owns the block (`stormglass_ring_bypasses_total`). Under `page`, `class-lock` and `global-lock` every \
                free goes into the freeing thread's ring. `small-batch` refills 4 at a time by design.",
    };
    const LIMITS: &'static [Limit<RingStarvation>] = &[
        Limit {
            field: "hit_ratio",
            what: "share of allocations that the ring served",
            of: |e| e.hit_ratio,
            side: Side::AtMost,
            raise: 0.60,
            clear: 0.70,
            why: "Batches of 32 leave 97% to the ring even if nothing freed comes back, batches of 4 leave 75%; at 60% a refill brings 2.5 \
                  blocks.",
        },
        Limit {
            field: "misses_per_second",
            what: "allocations that found the ring empty, a second",
            of: |e| e.misses_per_second,
            side: Side::AtLeast,
            raise: 50_000.0,
            clear: 25_000.0,
            why: "A slow path takes 0.1 to 2 µs, so that this is 5 to 100 ms of each second.",
        },
    ];

    fn of(at: &At<'_>) -> Option<RingStarvation> {
        let (hits, misses) = (at.class(ByClass::Hits), at.class(ByClass::Misses));
        (misses > 0.0).then(|| RingStarvation {
            hit_ratio: ratio(hits, hits + misses),
            misses_per_second: at.rate(misses),
            blocks_per_refill: ratio(at.shards(ByShard::RefilledBlocks), at.shards(ByShard::Refills)),
        })
    }

    fn weight(&self) -> f64 {
        self.misses_per_second
    }
}

impl Display for RingStarvation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the ring serves {} of the allocations; {} a second find it empty, and a refill brings {} blocks",
            Percent(self.hit_ratio),
            Short(self.misses_per_second),
            Short(self.blocks_per_refill)
        )
    }
}
