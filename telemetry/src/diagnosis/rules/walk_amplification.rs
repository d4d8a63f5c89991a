//! Chains are walked for CASes that then fail, and walked again.

use core::fmt::{self, Display};

use serde::Serialize;

use super::super::numbers::Short;
use super::{At, ByShard, Limit, Rule, Side, ratio};
use crate::diagnosis::Verdict;
use crate::diagnosis::verdict::{Advice, Scope, Severity};

/// Evidence of [`Verdict::WalkAmplification`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WalkAmplification {
    /// Blocks walked for each block that a successful CAS took; 1 is no waste.
    pub walked_per_kept: f64,
    /// Blocks walked in vain, a second.
    pub wasted_per_second: f64,
    /// Blocks walked before a CAS, on average.
    pub walked_per_attempt: f64,
}

impl Rule for WalkAmplification {
    const VERDICT: Verdict = Verdict::WalkAmplification;
    const SCOPE: Scope = Scope::Shard;
    const ADVICE: Advice = Advice {
        severity: Severity::Storm,
        title: "Walk amplification",
        says: "Chains of this shard's list are walked for a CAS that fails, and are walked again.",
        means: "Each block of a walk is a cache miss that waits for the one before. Whoever loses the CAS has paid for all of them and \
                starts again, and while it walks, the next thread changes the head: the longer the walk, the more often it is in vain.",
        tries: "Do not walk between the load and the CAS: `depot` keeps whole batches and reads one link for 32 blocks; `mutex` and \
                `targeted` walk once, under the lock; `page` has no list. Walk less: `small-batch` walks 4 blocks at most, `walk-once` \
                follows only what has changed; both helped little where several threads take batches.",
    };
    const LIMITS: &'static [Limit<WalkAmplification>] = &[
        Limit {
            field: "walked_per_kept",
            what: "blocks walked for each block kept",
            of: |e| e.walked_per_kept,
            side: Side::AtLeast,
            raise: 1.25,
            clear: 1.12,
            why: "Storms of 2 threads have 1.7 (batches of 4) to 2.8 (batches of 32), 1.3 on a machine that others use; larson with 4 \
                  threads has 1.04.",
        },
        Limit {
            field: "walked_per_attempt",
            what: "blocks walked before a CAS",
            of: |e| e.walked_per_attempt,
            side: Side::AtLeast,
            raise: 2.0,
            clear: 1.5,
            why: "A CAS for one block reads one link: where those fail it is a retry storm, and no walk that is too long.",
        },
        Limit {
            field: "wasted_per_second",
            what: "blocks walked in vain, a second",
            of: |e| e.wasted_per_second,
            side: Side::AtLeast,
            raise: 100_000.0,
            clear: 50_000.0,
            why: "At 10 to 100 ns a block, as many as are found in a near cache or fetched from another core, 1 to 10 ms of each second.",
        },
    ];

    fn of(at: &At<'_>) -> Option<WalkAmplification> {
        let (kept, wasted) = (at.shard(ByShard::WalkKept), at.shard(ByShard::WalkWasted));
        (wasted > 0.0).then(|| WalkAmplification {
            // Nothing kept is as bad as can be, and yet no number: the wasted ones stand for it.
            walked_per_kept: (kept + wasted) / kept.max(1.0),
            wasted_per_second: at.rate(wasted),
            walked_per_attempt: ratio(kept + wasted, at.shard(ByShard::PopAttempts)),
        })
    }

    fn weight(&self) -> f64 {
        self.wasted_per_second
    }
}

impl Display for WalkAmplification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} blocks walked for each that is kept, {} a second in vain, {} in a walk",
            Short(self.walked_per_kept),
            Short(self.wasted_per_second),
            Short(self.walked_per_attempt)
        )
    }
}
