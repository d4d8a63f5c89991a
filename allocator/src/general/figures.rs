//! What each heap has counted itself, for who adds up the figures of the process.
//!
//! A slot goes on from what its last owner counted, in the segment; so a heap remembers what the slot said when it got it, and the
//! difference is its own. Invariant: a heap's slot changes only under the lock of the list of heaps, and is read by others only
//! under that lock.

use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use super::dead::Owner;
use super::size_class::CLASSES;
use super::thread::Counters;

/// What others may read of a heap that is in use.
pub(super) struct Figures {
    counters: AtomicPtr<Counters>,
    /// What the slot said when the heap got it: allocations and frees of each class that were not the heap's.
    before: [[AtomicU64; 2]; CLASSES],
    before_large: [AtomicU64; 2],
    /// Which thread has it.
    pub(super) owner: Owner,
}

/// Allocations and frees by class, and of large blocks.
#[derive(Clone, Copy)]
pub(super) struct Sums {
    pub(super) classes: [[u64; 2]; CLASSES],
    pub(super) large: [u64; 2],
}

impl Sums {
    pub(super) const ZERO: Sums = Sums { classes: [[0; 2]; CLASSES], large: [0; 2] };

    /// What a slot says.
    pub(super) fn of(counters: &Counters) -> Sums {
        let classes = core::array::from_fn(|class| {
            let c = &counters.classes[class];
            // A slow path counts after it has worked, so a moment may show a free before its allocation.
            let misses = c.ring_misses.get().wrapping_sub(c.allocation_failures.get());
            [c.ring_hits.get().wrapping_add(misses), c.ring_returns.get().wrapping_add(c.ring_spills.get())]
        });
        let totals = &counters.totals;
        Sums { classes, large: [totals.large_allocations.get(), totals.large_frees.get()] }
    }

    /// Adds another's.
    pub(super) fn add(&mut self, other: &Sums) {
        for (sum, more) in self.classes.iter_mut().zip(&other.classes) {
            *sum = [sum[0].wrapping_add(more[0]), sum[1].wrapping_add(more[1])];
        }
        self.large = [self.large[0].wrapping_add(other.large[0]), self.large[1].wrapping_add(other.large[1])];
    }

    pub(super) fn less(&self, before: &Sums) -> Sums {
        let less = |a: [u64; 2], b: [u64; 2]| [a[0].wrapping_sub(b[0]), a[1].wrapping_sub(b[1])];
        let classes = core::array::from_fn(|class| less(self.classes[class], before.classes[class]));
        Sums { classes, large: less(self.large, before.large) }
    }
}

impl Figures {
    /// What the heap itself has counted. Needs the lock of the list of heaps: no slot changes hands meanwhile.
    pub(super) fn own(&self) -> Sums {
        let Some(counters) = NonNull::new(self.counters.load(Ordering::Relaxed)) else { return Sums::ZERO };
        // SAFETY: a slot stays mapped while a heap has it, and that does not change under the lock.
        Sums::of(unsafe { counters.as_ref() }).less(&self.before())
    }

    /// Whether a thread has the heap.
    pub(super) fn is_in_use(&self) -> bool {
        !self.counters.load(Ordering::Relaxed).is_null()
    }

    /// Says that no thread has the heap.
    pub(super) fn forget(&self) {
        self.set(null_mut(), &Sums::ZERO);
    }

    // Relaxed throughout: written and read under the lock of the list of heaps.
    fn before(&self) -> Sums {
        let get = |pair: &[AtomicU64; 2]| [pair[0].load(Ordering::Relaxed), pair[1].load(Ordering::Relaxed)];
        Sums { classes: core::array::from_fn(|c| get(&self.before[c])), large: get(&self.before_large) }
    }

    pub(super) fn set(&self, counters: *mut Counters, before: &Sums) {
        let set = |pair: &[AtomicU64; 2], to: [u64; 2]| {
            pair[0].store(to[0], Ordering::Relaxed);
            pair[1].store(to[1], Ordering::Relaxed);
        };
        for (pair, &to) in self.before.iter().zip(&before.classes) {
            set(pair, to);
        }
        set(&self.before_large, before.large);
        self.counters.store(counters, Ordering::Relaxed);
    }
}
