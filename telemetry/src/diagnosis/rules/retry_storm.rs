//! A large part of the CASes on one word fail.

use core::fmt::{self, Display};

use serde::Serialize;

use super::super::numbers::{Percent, Short};
use super::{At, ByShard, Limit, Rule, Side, ratio};
use crate::diagnosis::Verdict;
use crate::diagnosis::verdict::{Advice, Scope, Severity};

/// Evidence of [`Verdict::RetryStorm`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RetryStorm {
    /// CASes that another thread beat, a second.
    pub failures_per_second: f64,
    /// Their share of all attempts, 0 to 1.
    pub failed_share: f64,
    /// Failed CASes for each batch that the list gave to a ring; where there was none, or on a remote-free stack, for each CAS
    /// that succeeded.
    pub failures_per_batch: f64,
    /// Whether the word that is fought over is the remote-free stack rather than the list.
    pub remote: bool,
}

impl Rule for RetryStorm {
    const VERDICT: Verdict = Verdict::RetryStorm;
    const SCOPE: Scope = Scope::Shard;
    const ADVICE: Advice = Advice {
        severity: Severity::Storm,
        title: "Retry storm",
        says: "Threads change one list of this shard at the same time, and a large part of their CASes fail and are tried again.",
        means: "A failed CAS has pulled the cache line of the list's head away from the thread that would have succeeded, and gained \
                nothing. The more threads try, the more of the time goes into the line's way to and fro; where a chain is walked \
                before the CAS, or the CAS is one of many for a batch, it costs a multiple.",
        tries: "Share less: under `page` a thread has pages of its own and no list to fight over. `depot` still shares, but hands over a \
                whole batch with one short CAS, and hardly loses any. `mutex`, `targeted` and `hybrid` let threads wait instead of \
                retry, which costs less where they walk. Or see that fewer threads meet: more size classes, or fewer threads that have \
                this shard as their home.",
    };
    const LIMITS: &'static [Limit<RetryStorm>] = &[
        Limit {
            field: "failures_per_batch",
            what: "failed CASes for each batch",
            of: |e| e.failures_per_batch,
            side: Side::AtLeast,
            raise: 0.25,
            clear: 0.15,
            why: "In storms of 2 threads 1 to 2 where a batch is walked and 17 to 26 where it is 32 single pops, on a machine that others use \
                  a third of that; 0.1 under `depot`, which is 3.6 times as fast as the mutexes there. larson with 4 threads has 0.03 \
                  where it is walked.",
        },
        Limit {
            field: "failed_share",
            what: "failed share of the CAS attempts",
            of: |e| e.failed_share,
            side: Side::AtLeast,
            raise: 0.05,
            clear: 0.03,
            why: "A batch of 32 CASes may fail one of them and be none the worse: larson with 4 threads has 3%.",
        },
        Limit {
            field: "failures_per_second",
            what: "failed CASes a second",
            of: |e| e.failures_per_second,
            side: Side::AtLeast,
            raise: 20_000.0,
            clear: 10_000.0,
            why: "Each costs about 50 to 500 ns of a thread, so that from here on it is 1 to 10 ms of each second: less is not felt.",
        },
    ];

    fn of(at: &At<'_>) -> Option<RetryStorm> {
        let (list, remote) = (at.shard(ByShard::ListFailures), at.shard(ByShard::RemoteFailures));
        let on_remote = remote > list;
        let (failures, attempts) = if on_remote {
            (remote, at.shard(ByShard::RemoteAttempts))
        } else {
            (list, at.shard(ByShard::ListAttempts))
        };
        let refills = at.shard(ByShard::Refills);
        let batches = if on_remote || refills == 0.0 { (attempts - failures).max(1.0) } else { refills };
        (failures > 0.0).then(|| RetryStorm {
            failures_per_second: at.rate(failures),
            failed_share: ratio(failures, attempts).min(1.0),
            failures_per_batch: failures / batches,
            remote: on_remote,
        })
    }

    fn weight(&self) -> f64 {
        self.failures_per_second
    }
}

impl Display for RetryStorm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (list, each) = if self.remote { ("remote-free stack", "push") } else { ("list", "batch") };
        write!(
            f,
            "{} failed CASes for each {each}, {} a second, {} of all on the {list}",
            Short(self.failures_per_batch),
            Short(self.failures_per_second),
            Percent(self.failed_share)
        )
    }
}
