//! What the short ways touch: a thread's rings, one a class, and where it counts.
//!
//! ```text
//!  front    | cursors: length and capacity, by mark | space, counters | places of mark 1 | places of mark 2 | ...
//!             4 bytes a class                          one line          LIFO: the newest block is on top
//! ```
//!
//! An allocation that hits reads a length, takes a pointer and adds to one counter; a free finds the mark of the block's granule by one
//! load and does the reverse. Nothing else is asked, because every reason to do otherwise is told by a cursor: a ring
//! of capacity 0 is full and empty. Such are the cursors of marks that are no class's (space.rs), and all of [`NOBODY`], the front of
//! a thread that has no heap, or must not use it (check/).
//!
//! Invariants: the places below a ring's length hold blocks of its class, owned by the ring; its length is at most its capacity, and
//! that at most [`PLACES`]. Only its thread uses a front; between two lives, who holds the lock (resting.rs), and then none
//! but the ways that count nothing. While a thread has it and a capacity is above 0, the counters are those of the thread's slot.

use core::cell::Cell;
use core::mem::offset_of;
use core::ptr::{NonNull, null, null_mut};
use core::sync::atomic::{AtomicU8, Ordering, compiler_fence};

use super::size_class::{CLASSES, Class, GRANULE, MARKS};
use super::thread::Counters;

/// Blocks that a ring has room for. What it may hold is its capacity.
pub(super) const PLACES: usize = 128;

/// How many blocks a ring has and may have.
struct Cursor {
    len: Cell<u16>,
    capacity: Cell<u16>,
}

/// Where pages are, for a free.
#[derive(Clone, Copy)]
pub(super) struct View {
    /// Address of the first granule.
    pub(super) base: usize,
    pub(super) granules: usize,
    /// A byte a granule.
    pub(super) marks: *const AtomicU8,
}

/// One ring's blocks. A line longer than a power of two, so that the tops of all rings do not share the same few cache sets.
#[repr(C, align(64))]
struct Places {
    blocks: [Cell<*mut u8>; PLACES],
    apart: [u8; 64],
}

/// One thread's. All zeroes are an empty one of capacity 0, like [`NOBODY`].
///
/// Where its lines lie in a page of memory is chosen. A processor that compares a load with the stores before it looks at the low 12
/// bits of their addresses first, and a load that seems to be of what a store has not yet written waits for it. Programs write
/// to the starts of their blocks, which are multiples of 512 from 2 KiB up and of 2048 from 8 KiB up; with `view` at the start of
/// a page, each call of `malloc` and `free` waited for such a write: 12.2 nanoseconds a pair instead of 6.0 (docs/PERFORMANCE.md).
#[repr(C, align(4096))]
pub(super) struct Front {
    before: [u8; 0x100],
    cursors: [Cursor; MARKS],
    between: [u8; 0xC0],
    view: Cell<View>,
    counters: Cell<*const Counters>,
    places: [Places; CLASSES + 1],
}

const _: () = assert!(offset_of!(Front, view) % 512 == 448, "the last line before the next multiple of 512");

/// A front that can be shared, because nothing is ever written to it.
#[repr(transparent)]
pub(super) struct Nobody(Front);

// SAFETY: `put` and `take` write only where a capacity or a length is above 0, which `set_capacity` and `add` alone can make it, and
// nobody calls them on this one: `nobody` gives out no more than `take` and `put` use, and homes have fronts of their own.
unsafe impl Sync for Nobody {}

/// The front of all threads that go the long way.
pub(super) static NOBODY: Nobody = Nobody(Front::empty());

/// Where [`NOBODY`] is.
pub(super) const fn nobody() -> *const Front {
    &raw const NOBODY.0
}

impl Front {
    #[expect(clippy::large_stack_arrays, reason = "a static, and boxes of tests")]
    const fn empty() -> Front {
        Front {
            before: [0; 0x100],
            cursors: [const { Cursor { len: Cell::new(0), capacity: Cell::new(0) } }; MARKS],
            between: [0; 0xC0],
            view: Cell::new(View { base: 0, granules: 0, marks: null() }),
            counters: Cell::new(null()),
            places: [const { Places { blocks: [const { Cell::new(null_mut()) }; PLACES], apart: [0; 64] } };
                CLASSES + 1],
        }
    }

    /// Where blocks are counted from now on. They must stay there for as long as a capacity is above 0.
    pub(super) fn count_in(&self, counters: *const Counters) {
        self.counters.set(counters);
    }

    /// Where pages are.
    pub(super) fn look_at(&self, view: View) {
        self.view.set(view);
    }

    /// The newest block, counted as a hit.
    #[inline]
    pub(super) fn take(&self, class: Class) -> Option<NonNull<u8>> {
        let mark = class.mark();
        let cursor = &self.cursors[usize::from(mark)];
        let top = cursor.len.get().checked_sub(1)?;
        cursor.len.set(top);
        // SAFETY: `top` is below the ring's length, so the place is one of the ring's and holds a block; and there are counters,
        // since a length above 0 takes a capacity above 0.
        unsafe {
            let block = self.place(mark, top).get();
            (*self.counters.get()).classes.get_unchecked(class.index()).ring_hits.add(1);
            Some(NonNull::new_unchecked(block))
        }
    }

    /// Takes a block back, counted as a return; `false` if it is no block of a page, or its ring is full.
    #[inline]
    pub(super) fn put(&self, block: *mut u8) -> bool {
        let view = self.view.get();
        let granule = block.addr().wrapping_sub(view.base) / GRANULE;
        if granule >= view.granules {
            return false;
        }
        // Relaxed: who frees a block got its pointer from who allocated it, and with it everything that happened before.
        // SAFETY: there are that many marks.
        let mark = unsafe { (*view.marks.add(granule)).load(Ordering::Relaxed) };
        let cursor = &self.cursors[usize::from(mark)];
        let len = cursor.len.get();
        if len >= cursor.capacity.get() {
            return false;
        }
        // SAFETY: `len` is below the capacity, which is that of a class: the mark is a class's, and its ring has that place.
        unsafe {
            self.place(mark, len).set(block);
            // In this order also where the thread is ended between the two (dead.rs): a place below the length holds a block.
            compiler_fence(Ordering::Release);
            cursor.len.set(len + 1);
            (*self.counters.get()).classes.get_unchecked(usize::from(mark) - 1).ring_returns.add(1);
        }
        true
    }

    /// A place of the ring of the class with this mark.
    ///
    /// # Safety
    /// The mark is a class's, and `at` below [`PLACES`].
    #[inline]
    unsafe fn place(&self, mark: u8, at: u16) -> &Cell<*mut u8> {
        // SAFETY: by contract.
        unsafe { self.places.get_unchecked(usize::from(mark)).blocks.get_unchecked(usize::from(at)) }
    }

    fn blocks(&self, class: Class) -> &[Cell<*mut u8>; PLACES] {
        &self.places[usize::from(class.mark())].blocks
    }

    fn cursor(&self, class: Class) -> &Cursor {
        &self.cursors[usize::from(class.mark())]
    }

    /// How many blocks a ring holds.
    pub(super) fn len(&self, class: Class) -> usize {
        usize::from(self.cursor(class).len.get())
    }

    /// How many it may hold.
    pub(super) fn capacity(&self, class: Class) -> usize {
        usize::from(self.cursor(class).capacity.get())
    }

    /// Lets a ring hold so many blocks, at most [`PLACES`] and no fewer than it has.
    pub(super) fn set_capacity(&self, class: Class, capacity: usize) {
        debug_assert!(capacity >= self.len(class));
        self.cursor(class).capacity.set(capacity.min(PLACES) as u16);
    }

    /// Adds a block that is not a return; `false` if the ring is full.
    #[must_use]
    pub(super) fn add(&self, class: Class, block: NonNull<u8>) -> bool {
        let len = self.len(class);
        if len >= self.capacity(class) {
            return false;
        }
        self.blocks(class)[len].set(block.as_ptr());
        self.cursor(class).len.set(len as u16 + 1);
        true
    }

    /// Adds as many blocks as fit, none of which is a return; how many.
    pub(super) fn add_all(&self, class: Class, blocks: impl Iterator<Item = NonNull<u8>>) -> usize {
        let (len, capacity) = (self.len(class), self.capacity(class));
        let places = self.blocks(class)[len..capacity].iter();
        let added = places.zip(blocks).map(|(place, block)| place.set(block.as_ptr())).count();
        self.cursor(class).len.set((len + added) as u16);
        added
    }

    /// Takes the newest block out without counting a hit: the one that a miss hands to its caller.
    pub(super) fn take_newest(&self, class: Class) -> Option<NonNull<u8>> {
        let top = self.len(class).checked_sub(1)?;
        self.cursor(class).len.set(top as u16);
        NonNull::new(self.blocks(class)[top].get())
    }

    /// The `n` oldest blocks, which stay.
    pub(super) fn oldest(&self, class: Class, n: usize) -> impl Iterator<Item = NonNull<u8>> {
        self.blocks(class)[..n.min(self.len(class))].iter().filter_map(|block| NonNull::new(block.get()))
    }

    /// Takes the `n` oldest blocks out, for a spill: those that are least likely to be in the cache.
    pub(super) fn take_oldest(&self, class: Class, n: usize, mut f: impl FnMut(NonNull<u8>)) {
        let (blocks, len) = (self.blocks(class), self.len(class));
        let n = n.min(len);
        for block in &blocks[..n] {
            if let Some(block) = NonNull::new(block.get()) {
                f(block);
            }
        }
        for at in n..len {
            blocks[at - n].set(blocks[at].get());
        }
        self.cursor(class).len.set((len - n) as u16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use stormglass_telemetry::COUNTING;

    /// A front over marks of its own: granule `i` has mark `i`.
    fn front(counters: &Counters, marks: &[AtomicU8; MARKS]) -> Box<Front> {
        let front = Box::new(Front::empty());
        front.count_in(counters);
        front.look_at(View { base: GRANULE, granules: MARKS, marks: marks.as_ptr() });
        front
    }

    /// A counter page; all zeroes, as the kernel gives them.
    fn counters() -> Box<Counters> {
        // SAFETY: counters are atomics, for which zeroes are valid.
        unsafe { Box::new_zeroed().assume_init() }
    }

    fn address(mark: u8, offset: usize) -> *mut u8 {
        core::ptr::without_provenance_mut((usize::from(mark) + 1) * GRANULE + offset)
    }

    fn marks() -> [AtomicU8; MARKS] {
        core::array::from_fn(|mark| AtomicU8::new(mark as u8))
    }

    #[test]
    fn nobodys_front_takes_and_gives_nothing() {
        // SAFETY: a static.
        let nobody = unsafe { &*nobody() };
        for class in Class::all() {
            assert_eq!(nobody.take(class), None);
        }
        let local = 0_u8;
        assert!(!nobody.put(core::ptr::null_mut()) && !nobody.put((&raw const local).cast_mut()));
        assert!(!nobody.put(core::ptr::without_provenance_mut(usize::MAX)));
    }

    #[test]
    fn what_is_no_block_of_a_page_goes_the_long_way() {
        let (counters, marks) = (counters(), marks());
        let front = front(&counters, &marks);
        for class in Class::all() {
            front.set_capacity(class, 2);
        }
        for mark in 0..=u8::MAX {
            let of_a_class = (1..=CLASSES as u8).contains(&mark);
            assert_eq!(front.put(address(mark, 64)), of_a_class, "mark {mark}");
        }
        assert!(!front.put(core::ptr::null_mut()));
        assert!(!front.put(core::ptr::without_provenance_mut(GRANULE - 1)));
        assert!(!front.put(core::ptr::without_provenance_mut((MARKS + 1) * GRANULE)));
    }

    #[derive(Clone, Debug)]
    enum Act {
        Take,
        Put,
        Add,
        Newest,
        Oldest(usize),
        Capacity(usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => Just(Act::Take),
            5 => Just(Act::Put),
            2 => Just(Act::Add),
            1 => Just(Act::Newest),
            1 => (0..40_usize).prop_map(Act::Oldest),
            1 => (0..2 * PLACES).prop_map(Act::Capacity),
        ]
    }

    proptest! {
        /// Two rings at once, so that one that writes into the other is seen.
        #[test]
        fn a_ring_is_a_stack_that_counts(acts in prop::collection::vec((any::<bool>(), act()), 1..400)) {
            let (counters, marks) = (counters(), marks());
            let front = front(&counters, &marks);
            let mut models: [VecDeque<*mut u8>; 2] = Default::default();
            let mut capacities = [0; 2];
            let mut counts = [[0_u64; 2]; 2];
            for (step, (second, act)) in acts.into_iter().enumerate() {
                let which = usize::from(second);
                let class = Class::from_index(which * (CLASSES - 1)).expect("class");
                let (model, room) = (&mut models[which], capacities[which]);
                let block = address(class.mark(), step * 16 % GRANULE);
                let pointer = NonNull::new(block).expect("an address");
                match act {
                    Act::Take => {
                        let expected = model.pop_back();
                        counts[which][0] += u64::from(expected.is_some());
                        prop_assert_eq!(front.take(class).map(NonNull::as_ptr), expected);
                    }
                    Act::Put => {
                        let fits = model.len() < room;
                        prop_assert_eq!(front.put(block), fits);
                        if fits {
                            model.push_back(block);
                            counts[which][1] += 1;
                        }
                    }
                    Act::Add => {
                        let fits = model.len() < room;
                        prop_assert_eq!(front.add(class, pointer), fits);
                        if fits {
                            model.push_back(block);
                        }
                    }
                    Act::Newest => prop_assert_eq!(front.take_newest(class).map(NonNull::as_ptr), model.pop_back()),
                    Act::Oldest(n) => {
                        let seen: Vec<_> = front.oldest(class, n).map(NonNull::as_ptr).collect();
                        let mut out = Vec::new();
                        front.take_oldest(class, n, |block| out.push(block.as_ptr()));
                        let expected: Vec<_> = model.drain(..n.min(model.len())).collect();
                        prop_assert_eq!((out, seen), (expected.clone(), expected));
                    }
                    Act::Capacity(capacity) => {
                        capacities[which] = capacity.min(PLACES).max(model.len());
                        front.set_capacity(class, capacities[which]);
                    }
                }
                prop_assert_eq!(front.len(class), model.len());
                let seen = &counters.classes[class.index()];
                if COUNTING {
                    prop_assert_eq!([seen.ring_hits.get(), seen.ring_returns.get()], counts[which]);
                }
            }
        }
    }
}
