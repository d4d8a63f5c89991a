//! `mutex`: Phase 6.25, the baseline, and the oracle that judges the others. A padded lock a shard; a batch is walked
//! once, under the lock.

use stormglass_telemetry::Op;

use super::{FreeList, Patience};
use crate::batch::Batch;
use crate::block::{Block, Chain};
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
    fn empty() -> MutexList {
        MutexList { first: Lock::new(0), filled: AtomicU32::new(0) }
    }

    fn pop_batch(&self, batch: &mut Batch, patience: Patience, site: Site<'_>) {
        let pop = |first: &mut u32| {
            while batch.room() > 0
                && let Some(number) = first.checked_sub(1)
            {
                *first = site.links.next(number).map_or(0, |next| next + 1);
                // Under the lock the list is ours, so what stood on top is ours too.
                batch.push(Block::claim(number));
            }
            if *first == 0 {
                // Relaxed: the mask's fences order it (mask.rs).
                self.filled.store(0, Ordering::Relaxed);
            }
        };
        match patience {
            Patience::Wait => self.first.with(site, pop),
            Patience::Try => {
                self.first.try_with(site, pop);
            }
        }
    }

    fn push_chain(&self, chain: Chain, _op: Op, site: Site<'_>) {
        self.first.with(site, |first| {
            site.links.set_next(chain.last(), first.checked_sub(1));
            *first = chain.first() + 1;
            // Relaxed: the mask's fences order it (mask.rs).
            self.filled.store(1, Ordering::Relaxed);
        });
    }

    fn looks_empty(&self) -> bool {
        // Relaxed: the mask's fences order it (mask.rs).
        self.filled.load(Ordering::Relaxed) == 0
    }
}
