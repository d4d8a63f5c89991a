//! `lockfree-single`: Phase 7.1.1. A batch is repeated single pops, each a CAS of its own.
//!
//! The paper's cure for the walk of 7.1: nothing is walked in vain any more, but where one CAS could lose, 32 can.

use stormglass_telemetry::Op;

use super::{FreeList, Patience, stack};
use crate::attempts::Attempts;
use crate::batch::Batch;
use crate::block::{Block, Chain};
use crate::site::Site;
use crate::versioned::VersionedHead;

pub(crate) struct SingleStack {
    head: VersionedHead,
}

impl SingleStack {
    fn pop(&self, site: Site<'_>) -> Option<Block> {
        let mut attempts = Attempts::of(Op::Pop, site);
        loop {
            let seen = self.head.load();
            let number = seen.top()?;
            let next = site.links.next(number);
            if attempts.take(&self.head, seen, next) {
                site.counters.walk_blocks_kept.add(1);
                // The CAS took this block alone.
                return Some(Block::claim(number));
            }
            site.counters.walk_blocks_wasted.add(1);
        }
    }
}

impl FreeList for SingleStack {
    type Shared = ();

    fn empty() -> SingleStack {
        SingleStack { head: VersionedHead::empty() }
    }

    fn pop_batch(&self, (): &(), batch: &mut Batch, _patience: Patience, site: Site<'_>) {
        while batch.room() > 0
            && let Some(block) = self.pop(site)
        {
            batch.push(block);
        }
    }

    fn push_chain(&self, (): &(), chain: Chain, op: Op, site: Site<'_>) {
        stack::put(&self.head, chain.ends(), op, site);
    }

    fn looks_empty(&self) -> bool {
        self.head.glance().top().is_none()
    }
}
