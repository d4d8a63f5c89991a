//! A batch is taken by many small CASes, and they contend.

use core::fmt::{self, Display};

use serde::Serialize;

use super::super::numbers::Short;
use super::{At, ByShard, Limit, Rule, Side, ratio};
use crate::diagnosis::Verdict;
use crate::diagnosis::verdict::{Advice, Scope, Severity};

/// Evidence of [`Verdict::CasMultiplication`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CasMultiplication {
    /// CASes that a batch takes even if none fails.
    pub needed_per_batch: f64,
    /// CASes that are tried for a batch.
    pub attempts_per_batch: f64,
    /// Of those, the failed ones.
    pub failures_per_batch: f64,
    /// Failed CASes of pops, a second.
    pub failures_per_second: f64,
}

impl Rule for CasMultiplication {
    const VERDICT: Verdict = Verdict::CasMultiplication;
    const SCOPE: Scope = Scope::Shard;
    const ADVICE: Advice = Advice {
        severity: Severity::Storm,
        title: "CAS multiplication",
        says: "A batch is taken off this shard's list by many small CASes where one would do, and other threads get in between.",
        means: "Where one CAS could lose, as many as there are blocks in a batch can now, and each of them asks for the cache line of \
                the list's head. It looks cheaper than walking a chain and is dearer: in a storm of 2 threads it was 40% slower.",
        tries: "Take a batch at once: `depot` with one CAS and without a walk, `lockfree-walk` and `walk-once` with one CAS, `mutex` and \
                `targeted` under a lock. Or do without a shared list, as `page` does.",
    };
    const LIMITS: &'static [Limit<CasMultiplication>] = &[
        Limit {
            field: "needed_per_batch",
            what: "successful CASes for each batch",
            of: |e| e.needed_per_batch,
            side: Side::AtLeast,
            raise: 4.0,
            clear: 3.0,
            why: "Who takes a batch at once needs one, whatever its size; who takes block by block about 20 to 32.",
        },
        Limit {
            field: "failures_per_batch",
            what: "failed CASes for each batch",
            of: |e| e.failures_per_batch,
            side: Side::AtLeast,
            raise: 2.0,
            clear: 1.0,
            why: "Without contention small CASes cost little: larson with 4 threads fails 0.6, storms of 2 threads 17 to 26.",
        },
        Limit {
            field: "failures_per_second",
            what: "failed CASes of pops, a second",
            of: |e| e.failures_per_second,
            side: Side::AtLeast,
            raise: 20_000.0,
            clear: 10_000.0,
            why: "As for a retry storm: less is not felt.",
        },
    ];

    fn of(at: &At<'_>) -> Option<CasMultiplication> {
        let (attempts, failures) = (at.shard(ByShard::PopAttempts), at.shard(ByShard::PopFailures));
        let refills = at.shard(ByShard::Refills);
        (refills > 0.0 && failures > 0.0).then(|| CasMultiplication {
            needed_per_batch: ratio((attempts - failures).max(0.0), refills),
            attempts_per_batch: attempts / refills,
            failures_per_batch: failures / refills,
            failures_per_second: at.rate(failures),
        })
    }

    fn weight(&self) -> f64 {
        self.failures_per_second
    }
}

impl Display for CasMultiplication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} CASes tried for each batch, of which {} fail and {} are needed; {} fail a second",
            Short(self.attempts_per_batch),
            Short(self.failures_per_batch),
            Short(self.needed_per_batch),
            Short(self.failures_per_second)
        )
    }
}
