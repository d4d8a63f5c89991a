//! `lockfree-walk`: Phase 7.1. A batch is one CAS, after a walk of the chain *inside* the CAS loop.
//!
//! ```text
//! seen  = head
//! chain = walk up to a full batch from seen.top        <- up to 32 cache lines
//! CAS(head, seen -> chain.next), else start again      <- a failed CAS walked in vain
//! ```
//!
//! The list is a Treiber stack with a versioned head; what the walk reads is only believed if the CAS succeeds.

use stormglass_telemetry::Op;

use super::{FreeList, Patience, stack};
use crate::attempts::Attempts;
use crate::batch::{BATCH, Batch};
use crate::block::Chain;
use crate::site::Site;
use crate::versioned::VersionedHead;

/// A stack that is walked; `MOST` blocks at a time.
pub(crate) struct WalkStack<const MOST: usize = BATCH> {
    head: VersionedHead,
}

impl<const MOST: usize> FreeList for WalkStack<MOST> {
    type Shared = ();

    fn empty() -> WalkStack<MOST> {
        WalkStack { head: VersionedHead::empty() }
    }

    fn pop_batch(&self, (): &(), batch: &mut Batch, _patience: Patience, site: Site<'_>) {
        let mut attempts = Attempts::of(Op::BatchPop, site);
        while !stack::try_take(&self.head, MOST, &mut attempts, batch, site) {}
    }

    fn push_chain(&self, (): &(), chain: Chain, op: Op, site: Site<'_>) {
        stack::put(&self.head, chain.ends(), op, site);
    }

    fn looks_empty(&self) -> bool {
        self.head.glance().top().is_none()
    }
}
