//! What one thread has to itself: a ring for each class, the page heaps that it holds, and its counters.
//!
//! The short ways are in front.rs; here is what they do not know, and in thread/traffic.rs how blocks come into the rings and leave them.
//!
//! Invariants: a thread heap is used by one thread at a time, or by whoever holds the lock of the shared one; blocks in its rings are
//! owned by it. Between two lives it rests (resting.rs): it has no slot, and its rings and pages are under the lock of the list of
//! heaps. Its home comes zeroed from the kernel and is never unmapped, so that figures of all threads can be read at any time.

#[cfg(test)]
mod ledger;
mod traffic;

use core::cell::UnsafeCell;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::AtomicPtr;

use rustix::mm::{MapFlags, ProtFlags};
use stormglass_telemetry::perf::Sampler;
use stormglass_telemetry::{Slot, SlotCounters, clock};

use super::capacity::{self, Turn};
use super::dead::Owner;
use super::figures::{Figures, Sums};
use super::front::Front;
use super::inside;
use super::mid;
use super::process::{self, Core};
use super::size_class::{CLASSES, Class};
use super::upkeep::KEEPING;
use crate::Pool;
use crate::heap::Heap;
use crate::injection::Delay;
use crate::page::Held;
use crate::site::Tally;

/// A thread's counters.
pub(super) type Counters = SlotCounters<CLASSES, 1>;
/// The right to write them.
pub(super) type OwnSlot = Slot<'static, CLASSES, 1>;

/// Every so many slow paths a thread looks at the clock.
const LOOK: u32 = 64;

/// One thread's part of the allocator.
pub(super) struct ThreadHeap {
    /// Of the slot. Dangling between two lives.
    counters: NonNull<Counters>,
    slow_paths: u32,
    /// Which segment of the process the slot is of.
    generation: u32,
    /// When it last looked for pages to give back.
    looked: u64,
    /// Whether it has given up all that it had since it came to rest.
    pub(super) given_up: bool,
    pub(super) held: Held<CLASSES>,
    /// Classes whose heaps may keep a whole page (upkeep.rs), by their marks.
    pub(super) keeping: [u8; KEEPING],
    slot: Option<OwnSlot>,
    /// Its part of the pool that serves mid sizes, if one does.
    mid: Option<Heap<'static>>,
    /// What each ring's last slow path was.
    turns: [Turn; CLASSES],
    /// Refills of each ring, as far as they say whose turn it is (traffic.rs).
    refills: [u8; CLASSES],
    /// Hits and returns of each ring when it last looked.
    used: [u64; CLASSES],
    figures: &'static Figures,
    front: &'static Front,
    /// Its thread's hardware counters, if the user wants them.
    sampler: Sampler,
}

/// Where a heap lives, and what does not belong to its thread.
#[repr(C)]
pub(super) struct Home {
    /// Its thread's alone, like the heap. First, because it says where in a page its lines lie.
    front: Front,
    pub(super) figures: Figures,
    /// The next in the list of all homes; null for the last. Under the lock of that list, as the next.
    pub(super) next: AtomicPtr<Home>,
    /// The next of those without a thread.
    pub(super) next_vacant: AtomicPtr<Home>,
    heap: UnsafeCell<ThreadHeap>,
}

impl Home {
    /// A home with a heap that has not begun; none if there is no memory.
    pub(super) fn map() -> Option<&'static Home> {
        let flags = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a new anonymous mapping at an address of the kernel's choice aliases nothing.
        let memory = unsafe { rustix::mm::mmap_anonymous(null_mut(), size_of::<Home>(), flags.0, flags.1) };
        let home: NonNull<Home> = NonNull::new(memory.ok()?.cast())?;
        // SAFETY: mapped, aligned to a page and long enough; never unmapped. Zeroes are a value of every field but these seven
        // (numbers, null pointers, atomics, an empty front), and these are written before there is a reference to the whole.
        unsafe {
            let heap = UnsafeCell::raw_get(&raw const (*home.as_ptr()).heap);
            (&raw mut (*heap).counters).write(NonNull::dangling());
            (&raw mut (*heap).held).write(Held::default());
            (&raw mut (*heap).slot).write(None);
            (&raw mut (*heap).mid).write(None);
            (&raw mut (*heap).sampler).write(Sampler::off());
            (&raw mut (*heap).figures).write(&(*home.as_ptr()).figures);
            (&raw mut (*heap).front).write(&(*home.as_ptr()).front);
            Some(home.as_ref())
        }
    }

    /// The heap, for its thread.
    pub(super) fn heap(&self) -> *mut ThreadHeap {
        self.heap.get()
    }

    /// In the child of a fork: closes the counters of a thread that is not there.
    ///
    /// # Safety
    /// The child has one thread, and this is not its heap's home.
    pub(super) unsafe fn close_counters(&self) {
        // SAFETY: nobody uses the heap; a thread that was just opening its counters had none yet (the sampler's own rule).
        let sampler = unsafe { &mut (*self.heap.get()).sampler };
        sampler.close();
    }
}

// SAFETY: all but the heap and the front is atomics; these are reached by the heap's pointer, whose user vouches for both.
unsafe impl Sync for Home {}

/// Where what happens to the pages of a class is counted.
fn tally_of(counters: &Counters, class: Class) -> Tally<'_> {
    Tally { counters: counters.shard(class.index(), 0), delay: Delay::NONE }
}

impl ThreadHeap {
    /// Begins a life, with what the last one left in its rings. Needs the lock of the list of heaps.
    pub(super) fn begin(&mut self, slot: OwnSlot, generation: u32, core: &Core) {
        self.generation = generation;
        self.slow_paths = 0;
        self.given_up = false;
        self.keeping = [0; KEEPING];
        let before = Sums::of(&slot);
        self.install(slot, &before);
        self.turns = [Turn::None; CLASSES];
        self.front.look_at(core.space.view());
        for class in Class::all() {
            // What its last thread left stays, and so does what that found out about its needs.
            self.front.set_capacity(class, self.front.capacity(class).max(capacity::first(class)));
        }
    }

    /// Bytes that its rings may hold beyond their first capacities. For its thread, or under the lock that stands for it.
    pub(super) fn beyond_first(&self) -> usize {
        Class::all().map(|class| capacity::beyond_first(class, self.front.capacity(class))).sum()
    }

    /// Its rings, for its thread.
    pub(super) fn front(&self) -> &'static Front {
        self.front
    }

    fn install(&mut self, slot: OwnSlot, before: &Sums) {
        let counters: *const Counters = &raw const *slot;
        self.figures.set(counters.cast_mut(), before);
        // The slot derefs to what it points to, which is never null.
        self.counters = NonNull::new(counters.cast_mut()).unwrap_or(NonNull::dangling());
        self.front.count_in(counters);
        self.slot = Some(slot);
    }

    /// Which thread has it.
    pub(super) fn owner(&self) -> &'static Owner {
        &self.figures.owner
    }

    #[inline]
    pub(super) fn counters(&self) -> &Counters {
        // SAFETY: of the slot, which the heap has while it is in use.
        unsafe { self.counters.as_ref() }
    }

    /// The counters beside which other fields can be changed.
    #[inline]
    pub(super) fn counters_apart<'a>(&self) -> &'a Counters {
        // SAFETY: of the slot, which stays mapped; every caller is done with it before the slot can change.
        unsafe { self.counters.as_ref() }
    }

    pub(super) fn tally<'a>(&self, class: Class) -> Tally<'a> {
        tally_of(self.counters_apart(), class)
    }

    /// Opens the thread's hardware counters, if the user wants them and it has not done so.
    #[inline]
    pub(super) fn settle_sampler(&mut self) {
        if !self.sampler.is_settled() {
            inside::settle(&mut self.sampler);
        }
    }

    /// A block of the pool that serves mid sizes.
    pub(super) fn allocate_from(
        &mut self,
        pool: &'static Pool,
        size: usize,
        core: &Core,
    ) -> Option<NonNull<u8>> {
        let block = self.mid_heap(pool)?.alloc(size);
        // What is free elsewhere may be what the limit lacks.
        if block.is_some() || !self.purge(core) {
            return block;
        }
        self.mid_heap(pool)?.alloc(size)
    }

    /// Takes a block of that pool back.
    ///
    /// # Safety
    /// It is one, and not used any more.
    pub(super) unsafe fn free_to(&mut self, pool: &'static Pool, block: NonNull<u8>) {
        if let Some(heap) = self.mid_heap(pool) {
            // SAFETY: by contract.
            unsafe { heap.free(block) };
        }
    }

    fn mid_heap(&mut self, pool: &'static Pool) -> Option<&mut Heap<'static>> {
        if self.mid.is_none() {
            self.mid = mid::heap(pool);
        }
        self.mid.as_mut()
    }

    /// Looks for what can go back to the kernel, now and then.
    pub(super) fn tick(&mut self, core: &Core) {
        self.slow_paths = self.slow_paths.wrapping_add(1);
        if !self.slow_paths.is_multiple_of(LOOK) {
            return;
        }
        let now = clock::monotonic();
        self.counters().heartbeat.set(now);
        let Some(delay) = process::purge_delay() else { return };
        if now.saturating_sub(self.looked) < delay {
            return;
        }
        self.looked = now;
        self.spill_unused(core);
        self.give_back(now, delay, core);
    }

    /// As [`ThreadHeap::purge`], with what lies in the rings.
    pub(super) fn trim(&mut self, core: &Core) -> bool {
        self.spill_all(core);
        self.purge(core)
    }

    /// Ends a life and gives the slot back; what the heap has counted. Needs the lock of the list of heaps.
    pub(super) fn end(&mut self, now: u64) -> Sums {
        let own = self.figures.own();
        self.mid = None;
        self.sampler.close();
        self.looked = now;
        self.figures.set(null_mut(), &Sums::ZERO);
        self.counters = NonNull::dangling();
        self.slot = None;
        own
    }

    /// When it last looked for pages to give back; between two lives, when it came to rest.
    pub(super) fn looked(&self) -> u64 {
        self.looked
    }

    /// Which segment the slot is of.
    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    /// Goes on in another slot of a process that has had no segment yet, and takes its counts along. Needs the lock of the list of heaps.
    pub(super) fn move_to(&mut self, slot: OwnSlot, generation: u32) {
        let own = self.figures.own();
        super::carry::carry(self.counters_apart(), &slot);
        self.go_on(slot, generation, &own);
    }

    fn go_on(&mut self, slot: OwnSlot, generation: u32, own: &Sums) {
        self.generation = generation;
        let before = Sums::of(&slot).less(own);
        let old = self.slot.take();
        self.install(slot, &before);
        drop(old);
    }

    /// In the child: goes on in a slot of its own, and leaves the parent's alone.
    pub(super) fn after_fork_in_child(&mut self, slot: OwnSlot, generation: u32) {
        self.owner().after_fork_in_child();
        // It is the parent's thread that has them.
        if let Some(mut mid) = self.mid.take() {
            mid.close_sampler();
            core::mem::forget(mid);
        }
        core::mem::forget(self.slot.take());
        // They count the parent's thread; the next slow path opens this one's.
        self.sampler.close();
        let own = self.figures.own();
        self.go_on(slot, generation, &own);
    }
}
