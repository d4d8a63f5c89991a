//! Batches of blocks on their way from thread to thread: what a ring spills, another ring is refilled with.
//!
//! ```text
//!  ring of A --spill: a batch--> queue of the class --refill: the batch--> ring of B
//!                                   | full, or held by another thread: to the pages
//! ```
//!
//! In front of the pages, because a page belongs to one thread: blocks that B frees go back to the pages of A that they are of, while B
//! takes others from its own, and fresh ones when it has none. Where threads hand blocks to one another, or follow one another, each
//! of a process's threads would come to own free blocks that the others lack. A batch that passes here goes to whoever
//! needs one, with its memory in the cache, and nothing is looked up: it is copied pointers. The transfer cache of gperftools' tcmalloc
//! stands in the same place; the paper's batches (`depot` among the designs) are the same idea without a lock.
//!
//! First in, first out: what was freed last is in the cache of who freed it, and to fetch it from there costs more than from the cache
//! that cores share. With the newest batch first, producers and consumers (`xmalloc`, 2 threads) did a tenth less (docs/PERFORMANCE.md).
//!
//! Nobody waits for longer than a copy takes: who finds the lock held then, or finds no room or no batch, goes to the pages.
//!
//! Invariants: a batch's blocks are of its class, and owned by the queue. At most [`QUEUE`] bytes of blocks of a class lie here, but for
//! the last batch. What was not asked for between two looks at the clock goes to the pages (upkeep.rs). The counters of rings say that a
//! batch has left one and not yet come to another, as they do of blocks in pages; so it is no part of what is `cached`.

use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::size_class::{CLASSES, Class};
use crate::batch::BATCH;
use crate::sync::Padded;
use crate::try_lock::TryLock;

/// Batches of a class at most.
const BATCHES: usize = 32;
/// Bytes of blocks of a class, about.
const QUEUE: usize = 4 << 20;

/// The batches of all classes.
pub(super) struct Transfer {
    /// Side by side, so that asking alone gives no queue memory.
    hints: [Padded<Hint>; CLASSES],
    queues: [Padded<TryLock<Batches>>; CLASSES],
}

/// More blocks than a queue ever has.
const FULL: u32 = u32::MAX;

/// What is known of a queue without its lock.
struct Hint {
    /// How many blocks there are, [`FULL`] where no batch has a place any more: so that an empty or full queue is not locked.
    held: AtomicU32,
    /// Whether one was taken since the last look.
    used: AtomicBool,
}

struct Batches {
    /// Where the oldest is.
    head: usize,
    len: usize,
    /// Blocks in all of them.
    held: usize,
    lens: [u8; BATCHES],
    blocks: [[*mut u8; BATCH]; BATCHES],
}

impl Hint {
    /// Says what is there now. Under the lock.
    fn note(&self, batches: &Batches) {
        let held = if batches.len == BATCHES { FULL } else { batches.held as u32 };
        // Relaxed: a hint, beside what is under the lock.
        self.held.store(held, Ordering::Relaxed);
    }
}

// SAFETY: the blocks are the queue's, whichever thread put them there.
unsafe impl Send for Batches {}

/// Why a batch does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detour {
    /// Another thread holds the lock.
    Held,
    /// No room, or no batch.
    Nothing,
}

/// Numbers that went by: a block that was freed twice must not be in a batch twice, and to compare it with all others would cost
/// as much as the batch does.
pub(super) struct Filter([u64; 16]);

impl Filter {
    pub(super) fn new() -> Filter {
        Filter([0; 16])
    }

    /// Whether a number may have gone by; one that has surely may. Notes it.
    pub(super) fn perhaps(&mut self, number: u32) -> bool {
        // Fibonacci hashing to ten bits.
        let hash = number.wrapping_mul(0x9E37_79B9) >> 22;
        let (word, bit) = (&mut self.0[hash as usize / 64], 1 << (hash % 64));
        let before = *word;
        *word |= bit;
        before & bit != 0
    }
}

/// With how many blocks of a class a queue takes no more: rings of large blocks spill few at a time.
fn room(class: Class) -> usize {
    QUEUE / class.bytes()
}

impl Transfer {
    #[expect(clippy::large_stack_arrays, reason = "part of a static")]
    pub(super) const fn new() -> Transfer {
        Transfer {
            hints: [const { Padded(Hint { held: AtomicU32::new(0), used: AtomicBool::new(false) }) };
                CLASSES],
            queues: [const {
                Padded(TryLock::new(Batches {
                    head: 0,
                    len: 0,
                    held: 0,
                    lens: [0; BATCHES],
                    blocks: [[null_mut(); BATCH]; BATCHES],
                }))
            }; CLASSES],
        }
    }

    fn hint(&self, class: Class) -> &Hint {
        &self.hints[class.index()].0
    }

    fn queue(&self, class: Class) -> &TryLock<Batches> {
        &self.queues[class.index()].0
    }

    /// Puts a batch there that `fill` writes, up to [`BATCH`] blocks of the class, and tells the number of.
    pub(super) fn put(
        &self,
        class: Class,
        fill: impl FnOnce(&mut [*mut u8; BATCH]) -> usize,
    ) -> Result<(), Detour> {
        let hint = self.hint(class);
        // Relaxed, as every `held`: a hint, beside what is under the lock.
        if hint.held.load(Ordering::Relaxed) as usize >= room(class) {
            return Err(Detour::Nothing);
        }
        let put = self.queue(class).try_with(|batches| {
            if batches.len == BATCHES || batches.held >= room(class) {
                return Err(Detour::Nothing);
            }
            let at = (batches.head + batches.len) % BATCHES;
            let blocks = fill(&mut batches.blocks[at]);
            batches.lens[at] = blocks as u8;
            batches.len += 1;
            batches.held += blocks;
            hint.note(batches);
            Ok(())
        });
        put.unwrap_or(Err(Detour::Held))
    }

    /// Takes the oldest batch and shows it to `take`, which has its blocks from then on.
    pub(super) fn take<R>(&self, class: Class, take: impl FnOnce(&[*mut u8]) -> R) -> Result<R, Detour> {
        let hint = self.hint(class);
        if hint.held.load(Ordering::Relaxed) == 0 {
            return Err(Detour::Nothing);
        }
        let taken = self.queue(class).try_with(|batches| {
            batches.len = batches.len.checked_sub(1).ok_or(Detour::Nothing)?;
            let at = batches.head;
            batches.head = (at + 1) % BATCHES;
            batches.held -= usize::from(batches.lens[at]);
            hint.note(batches);
            // Relaxed: a hint for the next look.
            hint.used.store(true, Ordering::Relaxed);
            Ok(take(&batches.blocks[at][..usize::from(batches.lens[at])]))
        });
        taken.unwrap_or(Err(Detour::Held))
    }

    /// Whether nothing of a class was taken since this was last asked.
    pub(super) fn rests(&self, class: Class) -> bool {
        let hint = self.hint(class);
        hint.held.load(Ordering::Relaxed) > 0 && !hint.used.swap(false, Ordering::Relaxed)
    }

    /// Waits until no thread is inside, and keeps them out; not for ever for one that does not go on.
    pub(super) fn before_fork(&self) {
        for queue in &self.queues {
            queue.0.hold();
        }
    }

    /// Lets them in again, in the parent and in the child.
    pub(super) fn after_fork(&self) {
        for queue in &self.queues {
            queue.0.end_hold();
        }
    }
}

/// The blocks of a batch.
pub(super) fn blocks(batch: &[*mut u8]) -> impl Iterator<Item = NonNull<u8>> {
    batch.iter().filter_map(|&block| NonNull::new(block))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first: usize, n: usize) -> impl FnOnce(&mut [*mut u8; BATCH]) -> usize {
        move |places| {
            for (at, place) in places[..n].iter_mut().enumerate() {
                *place = core::ptr::without_provenance_mut(first + at);
            }
            n
        }
    }

    fn addresses(batch: &[*mut u8]) -> Vec<usize> {
        blocks(batch).map(|block| block.addr().get()).collect()
    }

    #[test]
    fn the_oldest_batch_comes_out_first_and_whole() {
        let transfer = Box::new(Transfer::new());
        let (class, other) = (Class::of_size(100), Class::of_size(5000));
        assert_eq!(transfer.take(class, addresses), Err(Detour::Nothing));
        transfer.put(class, batch(1000, 32)).expect("room");
        transfer.put(class, batch(2000, 3)).expect("room");
        assert_eq!(transfer.take(other, addresses), Err(Detour::Nothing));
        assert_eq!(transfer.take(class, addresses), Ok((1000..1032).collect()));
        assert_eq!(transfer.take(class, addresses), Ok((2000..2003).collect()));
        assert_eq!(transfer.take(class, addresses), Err(Detour::Nothing));
    }

    #[test]
    fn batches_go_round_the_places_in_order() {
        let transfer = Box::new(Transfer::new());
        let class = Class::of_size(100);
        transfer.put(class, batch(1000, 1)).expect("room");
        for first in 1001..1000 + 3 * BATCHES {
            transfer.put(class, batch(first, 1)).expect("room");
            assert_eq!(transfer.take(class, addresses), Ok(vec![first - 1]));
        }
    }

    #[test]
    fn a_number_that_went_by_is_known_and_few_others_are_taken_for_it() {
        let mut taken_for_others = 0;
        for first in (0..1_000_000).step_by(512) {
            let mut filter = Filter::new();
            taken_for_others +=
                (first..first + BATCH as u32).filter(|&number| filter.perhaps(number)).count();
            assert!((first..first + BATCH as u32).all(|number| filter.perhaps(number)));
        }
        assert!(taken_for_others < 2 * 1_000_000 / 512, "{taken_for_others}");
    }

    #[test]
    fn no_more_lies_there_than_is_said() {
        let transfer = Box::new(Transfer::new());
        for class in Class::all() {
            let mut batches = 0;
            while transfer.put(class, batch(1, BATCH)).is_ok() {
                batches += 1;
            }
            let hint = transfer.hint(class).held.load(Ordering::Relaxed) as usize;
            assert!(hint >= room(class), "{class:?}: it is seen without the lock");
            let but_the_last = (batches - 1) * BATCH * class.bytes();
            assert!((2..=BATCHES).contains(&batches) && but_the_last < QUEUE, "{class:?}");
        }
    }

    #[test]
    fn who_comes_while_another_is_inside_goes_another_way() {
        let transfer = Box::new(Transfer::new());
        let class = Class::of_size(100);
        transfer.put(class, batch(1000, 1)).expect("room");
        transfer.before_fork();
        assert_eq!(transfer.take(class, addresses), Err(Detour::Held));
        assert_eq!(transfer.put(class, batch(1, 1)), Err(Detour::Held));
        transfer.after_fork();
        assert_eq!(transfer.take(class, addresses), Ok(vec![1000]));
    }

    #[test]
    fn a_fork_does_not_wait_for_who_never_comes_out() {
        let transfer = Box::new(Transfer::new());
        let class = Class::of_size(100);
        transfer.put(class, batch(1000, 1)).expect("room");
        transfer.put(class, batch(2000, 1)).expect("room");
        let inside = transfer.take(class, |batch| {
            // As another thread that forks, while this one is stopped, or has been ended, in here.
            transfer.before_fork();
            transfer.after_fork();
            assert_eq!(transfer.take(class, addresses), Err(Detour::Held), "it is still this one's");
            addresses(batch)
        });
        assert_eq!(inside, Ok(vec![1000]));
        assert_eq!(transfer.take(class, addresses), Ok(vec![2000]));
    }

    #[test]
    fn a_class_of_which_nothing_is_taken_rests() {
        let transfer = Box::new(Transfer::new());
        let class = Class::of_size(100);
        assert!(!transfer.rests(class), "nothing there");
        for first in [1000, 2000, 3000] {
            transfer.put(class, batch(first, 1)).expect("room");
        }
        transfer.take(class, addresses).expect("a batch");
        assert!(!transfer.rests(class), "one was taken");
        assert!(transfer.rests(class));
    }
}
