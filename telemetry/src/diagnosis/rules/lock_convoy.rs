//! Threads queue behind a shard's lock.

use core::fmt::{self, Display};

use serde::Serialize;

use super::super::numbers::{Percent, Short};
use super::{At, ByShard, Limit, Rule, Side, ratio};
use crate::diagnosis::Verdict;
use crate::diagnosis::verdict::{Advice, Scope, Severity};

/// Evidence of [`Verdict::LockConvoy`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LockConvoy {
    /// Share of acquisitions that had to wait, 0 to 1.
    pub contended_share: f64,
    /// Those, a second.
    pub contended_per_second: f64,
    /// Seconds waited in each second, over all threads.
    pub wait_ratio: f64,
}

impl Rule for LockConvoy {
    const VERDICT: Verdict = Verdict::LockConvoy;
    const SCOPE: Scope = Scope::Shard;
    const ADVICE: Advice = Advice {
        severity: Severity::Storm,
        title: "Lock convoy",
        says: "Threads queue behind this shard's lock: who wants it mostly finds it held.",
        means: "The threads take turns, so that more of them get no more done. A thread that loses its processor while it holds the \
                lock makes all others wait for as long, and who has waited in vain for 100 turns sleeps and has to be woken.",
        tries: "Share less: under `page` nothing is locked, because a thread has pages of its own. Hold it for less: `depot` hands over \
                a batch with one CAS instead of walking it under a lock. Spread it: `mutex` has 8 locks a class where `class-lock` and \
                `global-lock` have one that all threads meet on. With no more threads than cores, few lose their processor while they hold it.",
    };
    const LIMITS: &'static [Limit<LockConvoy>] = &[
        Limit {
            field: "contended_share",
            what: "share of acquisitions that had to wait",
            of: |e| e.contended_share,
            side: Side::AtLeast,
            raise: 0.10,
            clear: 0.05,
            why: "In a storm of 2 threads 42 to 50%; in larson with 4 threads under 1%.",
        },
        Limit {
            field: "wait_ratio",
            what: "seconds waited in each second, over all threads",
            of: |e| e.wait_ratio,
            side: Side::AtLeast,
            raise: 0.05,
            clear: 0.02,
            why: "A twentieth of one thread. Waits alone prove nothing: on more threads than cores a holder that is suspended lets few \
                  others wait for long.",
        },
        Limit {
            field: "contended_per_second",
            what: "acquisitions that had to wait, a second",
            of: |e| e.contended_per_second,
            side: Side::AtLeast,
            raise: 1_000.0,
            clear: 500.0,
            why: "A convoy keeps forming; a few long waits a second are a busy machine.",
        },
    ];

    fn of(at: &At<'_>) -> Option<LockConvoy> {
        let contended = at.shard(ByShard::LockContended);
        (contended > 0.0).then(|| LockConvoy {
            contended_share: ratio(contended, at.shard(ByShard::LockAcquisitions)).min(1.0),
            contended_per_second: at.rate(contended),
            wait_ratio: at.rate(at.shard(ByShard::LockWait)) / 1e9,
        })
    }

    fn weight(&self) -> f64 {
        self.wait_ratio
    }
}

impl Display for LockConvoy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of the acquisitions of its lock wait, {} a second, for {} s of each second over all threads",
            Percent(self.contended_share),
            Short(self.contended_per_second),
            Short(self.wait_ratio)
        )
    }
}
