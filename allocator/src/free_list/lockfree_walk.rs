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

use super::{FreeList, Patience};
use crate::attempts::Attempts;
use crate::batch::{BATCH, Batch};
use crate::block::{Block, Chain};
use crate::site::Site;
use crate::versioned::VersionedHead;

pub(crate) struct WalkStack {
    head: VersionedHead,
}

impl FreeList for WalkStack {
    fn empty() -> WalkStack {
        WalkStack { head: VersionedHead::empty() }
    }

    fn pop_batch(&self, batch: &mut Batch, _patience: Patience, site: Site<'_>) {
        let mut attempts = Attempts::of(Op::BatchPop, site);
        let mut walked = [0; BATCH];
        loop {
            let seen = self.head.load();
            let mut cursor = seen.top();
            let mut len = 0;
            while let Some(number) = cursor
                && len < batch.room()
            {
                walked[len] = number;
                len += 1;
                cursor = site.links.next(number);
            }
            if len == 0 {
                return;
            }
            if attempts.replace(&self.head, seen, cursor) {
                site.counters.walk_blocks_kept.add(len as u64);
                for &number in &walked[..len] {
                    // The CAS took exactly the blocks that were walked: the version says that no link changed.
                    batch.push(Block::claim(number));
                }
                return;
            }
            site.counters.walk_blocks_wasted.add(len as u64);
        }
    }

    fn push_chain(&self, chain: Chain, op: Op, site: Site<'_>) {
        push_chain(&self.head, &chain, op, site);
    }

    fn looks_empty(&self) -> bool {
        self.head.load().top().is_none()
    }
}

/// Pushes a chain with one CAS; the same for every design with a versioned head.
pub(super) fn push_chain(head: &VersionedHead, chain: &Chain, op: Op, site: Site<'_>) {
    let mut attempts = Attempts::of(op, site);
    loop {
        let seen = head.load();
        site.links.set_next(chain.last(), seen.top());
        if attempts.replace(head, seen, Some(chain.first())) {
            return;
        }
    }
}
