//! How many blocks a thread's rings may hold: few at first, more where a ring shows that it needs them.
//!
//! A ring whose thread allocates and frees by turns needs as many places as the number of blocks in use swings, and no more; one
//! whose thread only allocates, or only frees, needs none beyond a batch. The two are told apart by what its slow paths were: *a refill
//! that follows a spill, or a spill that follows a refill,* moved blocks to their pages and back for want of places. Then the capacity
//! doubles. A ring that was not used between two looks at the clock gives all back (thread.rs).
//!
//! Invariant: what all rings of the process may hold beyond their first capacities is at most [`ROOM`] bytes.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::front::PLACES;
use super::size_class::Class;

/// What one class's ring may hold at most, in bytes.
const MOST_OF_A_RING: usize = 1 << 20;
/// What all rings may hold beyond their first capacities, in bytes: as much as the thread caches of gperftools' tcmalloc
/// may (`TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES`).
pub(super) const ROOM: usize = 128 << 20;

/// What they may hold.
pub(super) static ALL: Shares = Shares::new(ROOM);

/// Bytes that rings share.
pub(super) struct Shares {
    room: usize,
    taken: AtomicUsize,
}

/// What a slow path of a ring did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Turn {
    /// Nothing yet.
    #[default]
    None = 0,
    /// It was empty.
    Refill,
    /// It was full.
    Spill,
}

/// How many blocks a ring may hold at first.
pub(super) fn first(class: Class) -> usize {
    class.ring()
}

/// How many it may hold if it needs them.
fn most(class: Class) -> usize {
    (MOST_OF_A_RING / class.bytes()).min(PLACES).max(first(class))
}

/// What a ring of this capacity should have, after two slow paths; none if it has enough, or all there is.
fn wanted(class: Class, capacity: usize, last: Turn, now: Turn) -> Option<usize> {
    let turned = last != Turn::None && last != now;
    (turned && capacity < most(class)).then(|| (2 * capacity).min(most(class)))
}

/// Bytes that a ring of this capacity may hold beyond its first.
pub(super) fn beyond_first(class: Class, capacity: usize) -> usize {
    capacity.saturating_sub(first(class)) * class.bytes()
}

impl Shares {
    const fn new(room: usize) -> Shares {
        Shares { room, taken: AtomicUsize::new(0) }
    }

    /// The larger capacity that a ring gets, if it needs one and there is room.
    pub(super) fn grow(&self, class: Class, capacity: usize, last: Turn, now: Turn) -> Option<usize> {
        let wanted = wanted(class, capacity, last, now)?;
        let bytes = (wanted - capacity) * class.bytes();
        // Relaxed, as below: a sum that nothing hangs on but itself.
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            taken.checked_add(bytes).filter(|&sum| sum <= self.room)
        });
        taken.is_ok().then_some(wanted)
    }

    /// Bytes that rings may hold beyond their first capacities.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Gives back what a ring of this capacity has beyond its first.
    pub(super) fn give_back(&self, class: Class, capacity: usize) {
        let bytes = beyond_first(class, capacity);
        if bytes > 0 {
            self.taken.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// In the child of a fork: what its rings may hold, since those of other threads are no more. Counted anew, because such a thread
    /// may have been between taking a share and noting it.
    pub(super) fn after_fork_in_child(&self, taken: usize) {
        self.taken.store(taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::size_class::CLASSES;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_turns_make_a_ring_larger() {
        for class in Class::all() {
            let first = first(class);
            for (last, now) in [
                (Turn::None, Turn::Refill),
                (Turn::None, Turn::Spill),
                (Turn::Refill, Turn::Refill),
                (Turn::Spill, Turn::Spill),
            ] {
                assert_eq!(wanted(class, first, last, now), None);
            }
            for (last, now) in [(Turn::Refill, Turn::Spill), (Turn::Spill, Turn::Refill)] {
                assert!(wanted(class, first, last, now).is_some_and(|wanted| wanted > first), "{class:?}");
                assert_eq!(wanted(class, most(class), last, now), None);
            }
        }
    }

    #[test]
    fn a_ring_holds_a_mebibyte_at_most() {
        for class in Class::all() {
            assert!(most(class) <= PLACES && most(class) * class.bytes() <= MOST_OF_A_RING);
        }
    }

    proptest! {
        #[test]
        fn shares_are_never_above_the_room(room in 0..ROOM, rings in prop::collection::vec((0..CLASSES, any::<bool>()), 1..300)) {
            let shares = Shares::new(room);
            let mut capacities: Vec<usize> = Class::all().map(first).collect();
            for (index, grow) in rings {
                let class = Class::from_index(index).expect("class");
                let capacity = &mut capacities[index];
                if grow {
                    if let Some(larger) = shares.grow(class, *capacity, Turn::Spill, Turn::Refill) {
                        prop_assert!(larger > *capacity);
                        *capacity = larger;
                    }
                } else {
                    shares.give_back(class, *capacity);
                    *capacity = first(class);
                }
                let beyond: usize = Class::all().map(|c| (capacities[c.index()] - first(c)) * c.bytes()).sum();
                prop_assert_eq!(shares.taken.load(Ordering::Relaxed), beyond);
                prop_assert!(beyond <= room);
            }
        }
    }
}
