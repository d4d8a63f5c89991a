//! `global-lock`: option B2, its second half. One mutex for everything, behind an optimistic lock-free fast path.
//!
//! ```text
//! one attempt: walk, CAS(head)          won: no lock was touched
//!     |
//!     lost -> the one lock { walk, CAS(head), again if an optimist passed }
//! ```
//!
//! Losers queue behind the one lock instead of beating each other: of those who retry, only one is at it at any time, in
//! the whole pool. An optimist that comes along may still beat the holder once; to go on, it would have to queue.
//! There are no shards: one list a class.
//!
//! Invariant and argument are those of `lockfree-walk`: the CAS decides, the lock only keeps losers apart. So who finds the
//! lock held and has no patience may go on, having changed nothing.
//!
//! The lock's counts go to the class and shard of the operation that took it.

use stormglass_telemetry::Op;

use super::{FreeList, Patience, stack};
use crate::attempts::Attempts;
use crate::batch::{BATCH, Batch};
use crate::block::Chain;
use crate::lock::Lock;
use crate::site::Site;
use crate::sync::Padded;
use crate::versioned::VersionedHead;

pub(crate) struct OptimisticStack {
    head: VersionedHead,
}

/// What the losers of all lists of a pool queue behind.
pub(crate) struct Losers(Padded<Lock<()>>);

impl Default for Losers {
    fn default() -> Losers {
        Losers(Padded(Lock::new(())))
    }
}

impl FreeList for OptimisticStack {
    type Shared = Losers;

    fn empty() -> OptimisticStack {
        OptimisticStack { head: VersionedHead::empty() }
    }

    fn pop_batch(&self, losers: &Losers, batch: &mut Batch, patience: Patience, site: Site<'_>) {
        let mut attempts = Attempts::of(Op::BatchPop, site);
        let mut attempt = || stack::try_take(&self.head, BATCH, &mut attempts, batch, site);
        if !attempt() {
            losers.0.0.with_patience(patience, site, |()| while !attempt() {});
        }
    }

    fn push_chain(&self, losers: &Losers, chain: Chain, op: Op, site: Site<'_>) {
        let mut attempts = Attempts::of(op, site);
        let mut attempt = || stack::try_put(&self.head, chain.ends(), &mut attempts, site);
        if !attempt() {
            losers.0.0.with(site, |()| while !attempt() {});
        }
    }

    fn looks_empty(&self) -> bool {
        self.head.glance().top().is_none()
    }
}
