//! The non-empty mask sends threads to a shard that is empty.

use core::fmt::{self, Display};

use serde::Serialize;

use super::super::numbers::{Percent, Short};
use super::{At, ByShard, Limit, Rule, Side, ratio};
use crate::diagnosis::Verdict;
use crate::diagnosis::verdict::{Advice, Scope, Severity};

/// Evidence of [`Verdict::FalseNonEmpty`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FalseNonEmpty {
    /// Times that the mask named the shard and it was empty, a second.
    pub misses_per_second: f64,
    /// Their share of all looks of others at the shard, 0 to 1.
    pub missed_share: f64,
}

impl Rule for FalseNonEmpty {
    const VERDICT: Verdict = Verdict::FalseNonEmpty;
    const SCOPE: Scope = Scope::Shard;
    const ADVICE: Advice = Advice {
        severity: Severity::Waste,
        title: "False non-empty",
        says: "The mask of non-empty shards names this one, and threads that come to steal find it empty.",
        means: "The bit of a shard is set again as fast as it is cleared: single blocks come in and are gone before a thief is there. \
                Each such look costs the mask's cache line and the shard's, for nothing.",
        tries: "`page`, `class-lock` and `global-lock` have one shard a class and need no mask. `depot` puts whole batches on a shard, so \
                that what is named is worth the way. In the program: look for a thread that frees single blocks of this class to this \
                shard's owner.",
    };
    const LIMITS: &'static [Limit<FalseNonEmpty>] = &[
        Limit {
            field: "misses_per_second",
            what: "looks at the empty shard, a second",
            of: |e| e.misses_per_second,
            side: Side::AtLeast,
            raise: 20_000.0,
            clear: 10_000.0,
            why: "Two cache lines each, which others write to: at 0.1 to 0.5 µs 2 to 10 ms of each second.",
        },
        Limit {
            field: "missed_share",
            what: "their share of the looks of others at the shard",
            of: |e| e.missed_share,
            side: Side::AtLeast,
            raise: 0.50,
            clear: 0.30,
            why: "A hint that is wrong half of the time is none.",
        },
    ];

    fn of(at: &At<'_>) -> Option<FalseNonEmpty> {
        let misses = at.shard(ByShard::MaskMisses);
        (misses > 0.0).then(|| FalseNonEmpty {
            misses_per_second: at.rate(misses),
            missed_share: ratio(misses, at.shard(ByShard::StealScans)).min(1.0),
        })
    }

    fn weight(&self) -> f64 {
        self.misses_per_second
    }
}

impl Display for FalseNonEmpty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} looks a second at a shard that the mask names and that is empty, {} of all looks at it",
            Short(self.misses_per_second),
            Percent(self.missed_share)
        )
    }
}
