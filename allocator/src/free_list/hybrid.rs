//! `hybrid`: option A3. A CAS for single blocks, a mutex for batches.
//!
//! ```text
//! single push                    CAS(head)                  beaten by anyone
//! batch push, batch pop   lock { CAS(head) }                beaten by single pushes only
//! ```
//!
//! Batches never race each other, so they queue where `lockfree-walk`'s walk in vain; a walk is beaten only by single
//! pushes, which leave what was walked in place: it is met again below them (walk_once.rs), and no block is chased twice.
//!
//! Invariant: *blocks leave only under the lock.* So between a holder's load and its CAS the top can only be covered,
//! never taken and put back, and no CAS fails by its version alone. Otherwise the argument is that of `lockfree-walk`: a
//! walk is believed if the head was not changed.

use stormglass_telemetry::Op;

use super::{FreeList, Patience, stack, walk_once};
use crate::batch::Batch;
use crate::block::Chain;
use crate::lock::Lock;
use crate::site::Site;
use crate::sync::Padded;
use crate::versioned::VersionedHead;

pub(crate) struct HybridStack {
    /// For batches. On a line of its own, so that those who wait for it leave single pushes alone.
    batches: Padded<Lock<()>>,
    head: Padded<VersionedHead>,
}

impl FreeList for HybridStack {
    type Shared = ();

    fn empty() -> HybridStack {
        HybridStack { batches: Padded(Lock::new(())), head: Padded(VersionedHead::empty()) }
    }

    fn pop_batch(&self, (): &(), batch: &mut Batch, patience: Patience, site: Site<'_>) {
        self.batches.0.with_patience(patience, site, |()| walk_once::take(&self.head.0, batch, site));
    }

    fn push_chain(&self, (): &(), chain: Chain, op: Op, site: Site<'_>) {
        let push = || stack::put(&self.head.0, chain.ends(), op, site);
        if op == Op::Push { push() } else { self.batches.0.with(site, |()| push()) }
    }

    fn looks_empty(&self) -> bool {
        self.head.0.glance().top().is_none()
    }
}
