//! `mutex`: Phase 6.25, the baseline, and the oracle that judges the others. A padded lock a shard; a batch is walked
//! once, under the lock.

use stormglass_telemetry::Op;

use super::{FreeList, Patience};
use crate::batch::Batch;
use crate::block::{Block, Chain};
use crate::links::Links;
use crate::lock::Lock;
use crate::site::Site;
use crate::sync::{AtomicU32, Ordering};

pub(crate) struct MutexList {
    /// Number of the first block plus 1; 0 is empty.
    first: Lock<u32>,
    /// 1 if there are blocks: a copy for those who look without the lock.
    filled: AtomicU32,
}

impl FreeList for MutexList {
    type Shared = ();

    fn empty() -> MutexList {
        MutexList { first: Lock::new(0), filled: AtomicU32::new(0) }
    }

    fn pop_batch(&self, (): &(), batch: &mut Batch, patience: Patience, site: Site<'_>) {
        self.first.with_patience(patience, site, |first| {
            take(first, batch, site.links);
            if *first == 0 {
                // Relaxed: the mask's fences order it (mask.rs).
                self.filled.store(0, Ordering::Relaxed);
            }
        });
    }

    fn push_chain(&self, (): &(), chain: Chain, _op: Op, site: Site<'_>) {
        self.first.with(site, |first| {
            put(first, chain, site.links);
            // Relaxed: the mask's fences order it (mask.rs).
            self.filled.store(1, Ordering::Relaxed);
        });
    }

    fn looks_empty(&self) -> bool {
        // Relaxed: the mask's fences order it (mask.rs).
        self.filled.load(Ordering::Relaxed) == 0
    }
}

/// Moves blocks from a list that is under the caller's lock to `batch`, until one is full or the other empty.
pub(super) fn take(first: &mut u32, batch: &mut Batch, links: &Links) {
    while batch.room() > 0
        && let Some(number) = first.checked_sub(1)
    {
        *first = links.next(number).map_or(0, |next| next + 1);
        // Under the lock the list is ours, so what stood on top is ours too.
        batch.push(Block::claim(number));
    }
}

/// Puts a chain on a list that is under the caller's lock.
pub(super) fn put(first: &mut u32, chain: Chain, links: &Links) {
    links.set_next(chain.last(), first.checked_sub(1));
    *first = chain.first() + 1;
}
