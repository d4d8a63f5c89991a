//! The free blocks of a page, as its holder sees them: one bit a block.
//!
//! Invariant: only the holder of the page's heap reads and writes a free map. So plain loads and stores do; they are atomics
//! (always relaxed) because the next holder is another thread, and what orders the two is the idle stack.

use super::run::{Run, WORD_BLOCKS, WORDS};
use crate::batch::Batch;
use crate::block::{Block, NUMBERS_PER_PAGE};
use crate::sync::{AtomicU64, Ordering};

#[derive(Debug)]
pub(super) struct FreeMap([AtomicU64; WORDS]);

impl FreeMap {
    #[cfg(loom)]
    pub(super) fn empty() -> FreeMap {
        FreeMap(core::array::from_fn(|_| AtomicU64::new(0)))
    }

    /// Adds blocks.
    pub(super) fn add(&self, run: Run) {
        let word = &self.0[run.word()];
        word.store(run.added_to(word.load(Ordering::Relaxed)), Ordering::Relaxed);
    }

    /// Takes every block out of the map of a page that is whole.
    pub(super) fn clear(&self) {
        for word in &self.0 {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Takes the lowest blocks until the batch is full or none is left; whether any is left.
    pub(super) fn take(&self, page: u32, batch: &mut Batch) -> bool {
        for (index, word) in self.0.iter().enumerate() {
            let mut free = word.load(Ordering::Relaxed);
            if free == 0 {
                continue;
            }
            let first = page * NUMBERS_PER_PAGE as u32 + index as u32 * WORD_BLOCKS;
            while free != 0 && batch.room() > 0 {
                batch.push(Block::claim(first + free.trailing_zeros()));
                free &= free - 1;
            }
            word.store(free, Ordering::Relaxed);
            if free != 0 {
                return true;
            }
        }
        false
    }
}
