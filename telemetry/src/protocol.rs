//! What writer and readers agree on, as functions over atomics that loom can explore (loom's cannot lie in a mapping, so
//! the segment's own cannot be loom's).
//!
//! ```text
//! publish:  writer  header, records, chunk 0 ... ready = 1 (Release)
//!           reader  ready (relaxed), fence(Acquire), then the rest
//! grow:     writer  new chunk's memory, zeroed ... chunks = n + 1 (Release)      readers as above
//! claim:    thread  owner: 0 -> tid (CAS, Acquire)      adds to the slot's cells
//! release:  thread  owner: tid -> 0 (Release)           the cells stay: they are the retired counts
//! ```
//!
//! Invariant: between a claim and its release one thread writes the slot's cells. The next owner's Acquire makes the last
//! one's stores visible, so that its first load-and-add goes on from the last value and no count is lost. No count is ever
//! moved or zeroed, so that no reader can catch a total in between.

use core::sync::atomic::{AtomicU32, Ordering};

/// An atomic word, core's or loom's.
pub(crate) trait Word {
    fn load(&self, order: Ordering) -> u32;
    fn store(&self, value: u32, order: Ordering);
    fn compare_exchange(&self, old: u32, new: u32, success: Ordering, failure: Ordering) -> Result<u32, u32>;
}

macro_rules! word {
    ($type:ty) => {
        impl Word for $type {
            fn load(&self, order: Ordering) -> u32 {
                <$type>::load(self, order)
            }
            fn store(&self, value: u32, order: Ordering) {
                <$type>::store(self, value, order);
            }
            fn compare_exchange(
                &self,
                old: u32,
                new: u32,
                success: Ordering,
                failure: Ordering,
            ) -> Result<u32, u32> {
                <$type>::compare_exchange(self, old, new, success, failure)
            }
        }
    };
}

word!(AtomicU32);
#[cfg(all(test, loom))]
word!(loom::sync::atomic::AtomicU32);

/// Shows what was written before it: a ready flag or a number of chunks.
pub(crate) fn publish(word: &impl Word, value: u32) {
    // Release: pairs with the fence in `published`.
    word.store(value, Ordering::Release);
}

/// What has been published; everything that was written before may be read afterwards.
pub(crate) fn published(word: &impl Word) -> u32 {
    // Relaxed load and fence: an Acquire load is not promised to work on a read-only mapping.
    let value = word.load(Ordering::Relaxed);
    fence_acquire();
    value
}

/// As [`published`], of a value that was read from the file instead of a mapping.
pub(crate) fn seen(value: u32) -> u32 {
    fence_acquire();
    value
}

fn fence_acquire() {
    // Acquire: pairs with the Release in `publish`.
    #[cfg(not(all(test, loom)))]
    core::sync::atomic::fence(Ordering::Acquire);
    #[cfg(all(test, loom))]
    loom::sync::atomic::fence(Ordering::Acquire);
}

/// Makes `owner` (not 0) the owner of a free slot; its number, or `None` if none is free.
pub(crate) fn claim(owners: &[impl Word], owner: u32) -> Option<usize> {
    owners.iter().position(|word| {
        // Relaxed: a hint. Acquire: pairs with the Release in `release`, so that the last owner's counts are seen.
        word.load(Ordering::Relaxed) == 0
            && word.compare_exchange(0, owner, Ordering::Acquire, Ordering::Relaxed).is_ok()
    })
}

/// Gives a slot back, counts and all.
pub(crate) fn release(word: &impl Word) {
    // Release: pairs with the Acquire in `claim`.
    word.store(0, Ordering::Release);
}

#[cfg(all(test, loom))]
mod models {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicU32, AtomicU64};
    use loom::thread;

    use super::*;

    #[test]
    fn who_sees_ready_sees_what_was_written_before() {
        loom::model(|| {
            let header = Arc::new((AtomicU64::new(0), AtomicU32::new(0)));
            let writer = Arc::clone(&header);
            thread::spawn(move || {
                writer.0.store(42, Ordering::Relaxed);
                publish(&writer.1, 1);
            });
            if published(&header.1) == 1 {
                assert_eq!(header.0.load(Ordering::Relaxed), 42);
            }
        });
    }

    /// A slot as the segment has it: an owner word and a cell that is added to by a load and a store.
    struct Slot {
        owners: [AtomicU32; 1],
        cell: AtomicU64,
        inside: AtomicU32,
    }

    impl Slot {
        fn live_and_die(&self, tid: u32) -> bool {
            let claimed = claim(&self.owners, tid).is_some();
            if claimed {
                assert_eq!(self.inside.fetch_add(1, Ordering::Relaxed), 0, "two owners");
                self.cell.store(self.cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                self.inside.fetch_sub(1, Ordering::Relaxed);
                release(&self.owners[0]);
            }
            claimed
        }
    }

    #[test]
    fn a_slot_that_is_handed_over_loses_no_count_and_never_falls() {
        loom::model(|| {
            let slot = Arc::new(Slot {
                owners: [AtomicU32::new(0)],
                cell: AtomicU64::new(0),
                inside: AtomicU32::new(0),
            });
            let threads: Vec<_> = (1..=2)
                .map(|tid| {
                    let slot = Arc::clone(&slot);
                    thread::spawn(move || slot.live_and_die(tid))
                })
                .collect();
            let first = slot.cell.load(Ordering::Relaxed);
            let second = slot.cell.load(Ordering::Relaxed);
            assert!(second >= first, "a total fell");
            let lived =
                threads.into_iter().map(|t| t.join().expect("no panic")).filter(|&lived| lived).count();
            assert_eq!(slot.cell.load(Ordering::Relaxed), lived as u64);
        });
    }

    #[test]
    fn who_sees_a_new_chunk_sees_it_zeroed_and_counted_in_order() {
        loom::model(|| {
            // The new chunk's memory "appears" as a store; before it, reading it would be a fault.
            let chunk = Arc::new((AtomicU64::new(u64::MAX), AtomicU32::new(0)));
            let writer = Arc::clone(&chunk);
            thread::spawn(move || {
                writer.0.store(0, Ordering::Relaxed);
                publish(&writer.1, 1);
                writer.0.store(1, Ordering::Relaxed);
            });
            if published(&chunk.1) == 1 {
                assert!(chunk.0.load(Ordering::Relaxed) <= 1, "read before it was there");
            }
        });
    }
}
