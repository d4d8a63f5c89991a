//! The address space of the pages: from an address to its class, page and block, and from nothing to a page.
//!
//! ```text
//! | granules of 8 KiB ...................................... | class bytes | past bytes | links |   one mapping
//!   readable, writable           ^ frontier   not accessible
//! ```
//!
//! A granule's class byte says what it is part of: 0 nothing (never taken, or free), 1 to 40 a page of that class, and
//! `FREE` with an order the start of a free stretch. So `free` knows a block's class by one load. Free stretches are
//! buddies: a stretch of order k has 2^k granules and starts at a multiple of that; two free halves become one, up to 1 MiB, the
//! largest page. They hold no memory: what is given back was given back to the kernel first, so a page that is taken reads as
//! zeroes.
//!
//! Invariants: every granule below the frontier is part of one page or one free stretch; class bytes of a page are written
//! before any of its blocks is handed out and cleared after all of them have come back; lists and frontier are changed under the
//! lock only.

use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};
use rustix::process::{Resource, getrlimit};

use super::front::View;
use super::large::lock::ForkLock;
use super::size_class::{Class, GRANULE, MAX_PAGE};
use crate::block::NUMBERS_PER_PAGE;

/// About what a process may ever need for blocks up to 32 KiB.
const WANTED: usize = 64 << 30;
/// Below this there is no sense in starting.
const LEAST: usize = 16 << 20;
/// Where the pages start: huge pages start there too.
const ALIGN: usize = 2 << 20;
/// Orders of stretches: 8 KiB to 1 MiB.
const ORDERS: usize = (MAX_PAGE / GRANULE).trailing_zeros() as usize + 1;
/// Granules of the largest stretch, by which the frontier rises.
const CHUNK: u32 = (MAX_PAGE / GRANULE) as u32;
/// Chunks that are made accessible at a time.
const STEP: u32 = 8;
/// Marks the first granule of a free stretch; its order stands beside it.
const FREE: u8 = 0x80;
/// Block numbers are 32 bits.
const MAX_GRANULES: usize = (u32::MAX as usize) / NUMBERS_PER_PAGE - CHUNK as usize;

/// The links of a free stretch, at the number of its first granule; numbers plus 1, so that 0 is none.
#[repr(C)]
struct Links {
    next: AtomicU32,
    previous: AtomicU32,
}

/// What the lock is over.
struct Shared {
    /// Granules that are part of a page or a stretch.
    frontier: u32,
    /// Granules that can be read and written.
    open: u32,
    /// First stretch of each order, plus 1.
    free: [u32; ORDERS],
}

/// One reservation.
pub(crate) struct Space {
    base: NonNull<u8>,
    granules: u32,
    classes: NonNull<AtomicU8>,
    /// 1 where a granule's memory was used and went back: what is taken again is counted apart.
    past: NonNull<AtomicU8>,
    links: NonNull<Links>,
    shared: ForkLock<Shared>,
}

// SAFETY: the pointers never change; the tables are atomics, and a page's memory belongs to who owns its blocks.
unsafe impl Send for Space {}
// SAFETY: as for `Send`.
unsafe impl Sync for Space {}

/// A page that was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) number: u32,
    /// Bytes of it that had been in use before.
    pub(crate) again: usize,
}

/// Where a block lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) class: Class,
    /// Number of the page.
    pub(crate) page: u32,
    /// Which of its blocks.
    pub(crate) index: usize,
    /// Bytes from the block's start.
    pub(crate) inside: usize,
}

impl Spot {
    /// The block's number, by which its page's maps know it.
    pub(crate) fn number(self) -> u32 {
        self.page * NUMBERS_PER_PAGE as u32 + self.index as u32
    }
}

impl Space {
    /// Reserves address space; less where it is limited, and then no more than an eighth of the limit, because stacks, libraries and
    /// large blocks need some too.
    pub(crate) fn reserve() -> Option<Space> {
        let allowed = getrlimit(Resource::As).current.map_or(usize::MAX, |limit| limit as usize / 8);
        let mut bytes = WANTED.min(allowed);
        while bytes >= LEAST {
            let granules = (bytes / GRANULE).min(MAX_GRANULES) as u32 / CHUNK * CHUNK;
            if let Some(space) = Space::map(granules) {
                return Some(space);
            }
            bytes /= 2;
        }
        None
    }

    fn map(granules: u32) -> Option<Space> {
        let count = granules as usize;
        let pages = count * GRANULE;
        let tables = 2 * count + count * size_of::<Links>();
        let len = ALIGN + pages + tables;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice aliases nothing.
        let start = unsafe { rustix::mm::mmap_anonymous(null_mut(), len, ProtFlags::empty(), flags) }.ok()?;
        let start: NonNull<u8> = NonNull::new(start.cast())?;
        let offset = start.align_offset(ALIGN);
        // SAFETY: `offset` < ALIGN, and the mapping is that much longer than its parts, so each lies inside it.
        let (base, at) = unsafe { (start.add(offset), start.add(offset + pages)) };
        // SAFETY: the last part of the mapping, whole pages since the parts before it are; nobody uses it yet.
        let opened = unsafe {
            rustix::mm::mprotect(at.as_ptr().cast(), tables, MprotectFlags::READ | MprotectFlags::WRITE)
        };
        if opened.is_err() {
            // SAFETY: this is the mapping from above. Nothing can be done if it fails.
            let _ = unsafe { rustix::mm::munmap(start.as_ptr().cast::<c_void>(), len) };
            return None;
        }
        // SAFETY: inside the tables, which are that long; both strides are multiples of the alignment.
        let (past, links) = unsafe { (at.add(count), at.add(2 * count)) };
        let shared = Shared { frontier: 0, open: 0, free: [0; ORDERS] };
        Some(Space {
            base,
            granules,
            classes: at.cast(),
            past: past.cast(),
            links: links.cast(),
            shared: ForkLock::new(shared),
        })
    }

    /// How many granules there are, used or not: page numbers are below.
    pub(crate) fn granules(&self) -> usize {
        self.granules as usize
    }

    /// Where pages and their class bytes are, for a front.
    pub(super) fn view(&self) -> View {
        View { base: self.base.addr().get(), granules: self.granules(), marks: self.classes.as_ptr() }
    }

    fn class_byte(&self, granule: u32) -> &AtomicU8 {
        debug_assert!(granule < self.granules);
        // SAFETY: callers name granules of the reservation; zeroed by the kernel.
        unsafe { self.classes.add(granule as usize).as_ref() }
    }

    fn past(&self, granule: u32) -> &AtomicU8 {
        debug_assert!(granule < self.granules);
        // SAFETY: as in `class_byte`.
        unsafe { self.past.add(granule as usize).as_ref() }
    }

    fn links(&self, granule: u32) -> &Links {
        debug_assert!(granule < self.granules);
        // SAFETY: as in `class_byte`; the table is aligned, since two bytes a granule of whole chunks lie before it.
        unsafe { self.links.add(granule as usize).as_ref() }
    }

    /// Whether an address lies in the reservation, whatever is there.
    #[inline]
    pub(crate) fn contains(&self, address: NonNull<u8>) -> bool {
        address.addr().get().wrapping_sub(self.base.addr().get()) < self.granules as usize * GRANULE
    }

    /// The class of the page that an address lies in; none where there is no page.
    #[inline]
    pub(crate) fn class_of(&self, address: NonNull<u8>) -> Option<Class> {
        let granule = address.addr().get().wrapping_sub(self.base.addr().get()) / GRANULE;
        if granule >= self.granules as usize {
            return None;
        }
        // Relaxed: who frees a block got its pointer from who allocated it, and with it everything that happened before.
        let byte = self.class_byte(granule as u32).load(Ordering::Relaxed);
        // A free stretch is above every class.
        Class::from_mark(byte)
    }

    /// Where an address of a page of `class` lies.
    pub(crate) fn spot(&self, address: NonNull<u8>, class: Class) -> Spot {
        let offset = address.addr().get() - self.base.addr().get();
        let (start, in_page) = (offset & !(class.page_bytes() - 1), offset & (class.page_bytes() - 1));
        let index = class.block_at(in_page);
        Spot { class, page: (start / GRANULE) as u32, index, inside: in_page - index * class.bytes() }
    }

    /// Where the block with this number starts, on a page of `class`.
    pub(crate) fn address(&self, number: u32, class: Class) -> NonNull<u8> {
        let (page, index) = (number as usize / NUMBERS_PER_PAGE, number as usize % NUMBERS_PER_PAGE);
        // SAFETY: numbers come from pages that were taken, so the block lies inside the reservation.
        unsafe { self.base.add(page * GRANULE + index * class.bytes()) }
    }

    /// A page for `class`, reading as zeroes; none if the reservation is used up or the kernel refuses.
    pub(crate) fn take(&self, class: Class) -> Option<Taken> {
        let order = class.order();
        let number = self.shared.with(None, |shared| self.take_stretch(shared, order))?;
        let mut again = 0;
        for granule in number..number + (1 << order) {
            // Relaxed, both: the page is the caller's alone; see `class_of`.
            again += usize::from(self.past(granule).load(Ordering::Relaxed)) * GRANULE;
            self.past(granule).store(0, Ordering::Relaxed);
            self.class_byte(granule).store(class.mark(), Ordering::Relaxed);
        }
        Some(Taken { number, again })
    }

    /// Takes a page back that was of `class`, all of whose blocks have come back, and gives its memory to the kernel. `false`: the
    /// kernel left the memory as it was (the program has locked it); the page is kept all the same and cleared.
    pub(crate) fn give_back(&self, number: u32, class: Class) -> bool {
        let start = self.address(number * NUMBERS_PER_PAGE as u32, class);
        // SAFETY: the page's memory, which nobody uses: the caller has all of its blocks.
        let gone = unsafe {
            rustix::mm::madvise(start.as_ptr().cast(), class.page_bytes(), Advice::LinuxDontNeed).is_ok()
        };
        if !gone {
            // SAFETY: as above.
            unsafe { start.write_bytes(0, class.page_bytes()) };
        }
        for granule in number..number + (1 << class.order()) {
            // Relaxed: the lock below publishes both to the page's next owner.
            self.class_byte(granule).store(0, Ordering::Relaxed);
            self.past(granule).store(1, Ordering::Relaxed);
        }
        self.shared.with(None, |shared| self.put_stretch(shared, number, class.order()));
        gone
    }

    fn take_stretch(&self, shared: &mut Shared, order: u32) -> Option<u32> {
        let larger = (order as usize..ORDERS).find(|&larger| shared.free[larger] != 0);
        let (start, mut has) = match larger {
            Some(larger) => {
                let start = shared.free[larger] - 1;
                self.unlink(shared, start, larger);
                (start, larger)
            }
            None => (self.advance(shared)?, ORDERS - 1),
        };
        while has > order as usize {
            has -= 1;
            self.link(shared, start + (1 << has), has);
        }
        Some(start)
    }

    fn put_stretch(&self, shared: &mut Shared, mut start: u32, order: u32) {
        let mut order = order as usize;
        while order < ORDERS - 1 {
            let buddy = start ^ (1 << order);
            // Relaxed: marks of free stretches are written under the lock.
            if self.class_byte(buddy).load(Ordering::Relaxed) != FREE | order as u8 {
                break;
            }
            self.unlink(shared, buddy, order);
            start = start.min(buddy);
            order += 1;
        }
        self.link(shared, start, order);
    }

    fn link(&self, shared: &mut Shared, start: u32, order: usize) {
        // Relaxed throughout: under the lock.
        let next = shared.free[order];
        self.links(start).next.store(next, Ordering::Relaxed);
        self.links(start).previous.store(0, Ordering::Relaxed);
        if next != 0 {
            self.links(next - 1).previous.store(start + 1, Ordering::Relaxed);
        }
        shared.free[order] = start + 1;
        self.class_byte(start).store(FREE | order as u8, Ordering::Relaxed);
    }

    fn unlink(&self, shared: &mut Shared, start: u32, order: usize) {
        // Relaxed throughout: under the lock.
        let links = self.links(start);
        let (next, previous) = (links.next.load(Ordering::Relaxed), links.previous.load(Ordering::Relaxed));
        match previous {
            0 => shared.free[order] = next,
            previous => self.links(previous - 1).next.store(next, Ordering::Relaxed),
        }
        if next != 0 {
            self.links(next - 1).previous.store(previous, Ordering::Relaxed);
        }
        self.class_byte(start).store(0, Ordering::Relaxed);
    }

    /// A chunk that never was in use.
    fn advance(&self, shared: &mut Shared) -> Option<u32> {
        let start = shared.frontier;
        if start + CHUNK > self.granules {
            return None;
        }
        if start == shared.open {
            let chunks = STEP.min((self.granules - start) / CHUNK);
            // SAFETY: below the end of the reservation, and nobody has used it yet.
            let opened = unsafe {
                let at = self.base.add(start as usize * GRANULE).as_ptr().cast();
                let flags = MprotectFlags::READ | MprotectFlags::WRITE;
                rustix::mm::mprotect(at, (chunks * CHUNK) as usize * GRANULE, flags)
            };
            opened.ok()?;
            shared.open += chunks * CHUNK;
        }
        shared.frontier += CHUNK;
        Some(start)
    }

    /// Waits until no thread is inside, and keeps them out.
    pub(crate) fn before_fork(&self) {
        self.shared.hold();
    }

    /// Lets them in again, in the parent and in the child.
    pub(crate) fn after_fork(&self) {
        self.shared.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn space() -> Space {
        Space::map(4 * CHUNK).expect("address space")
    }

    fn taken(space: &Space) -> Vec<(u32, Class)> {
        let mut pages = Vec::new();
        while let Some(page) = space.take(Class::all().next().expect("a class")) {
            pages.push((page.number, Class::all().next().expect("a class")));
        }
        pages
    }

    #[test]
    fn address_and_spot_are_inverse_for_every_block_of_every_class() {
        let space = Space::map(64 * CHUNK).expect("address space");
        for class in Class::all() {
            let page = space.take(class).expect("a page").number;
            for index in 0..class.blocks() {
                let number = page * NUMBERS_PER_PAGE as u32 + index;
                let address = space.address(number, class);
                assert_eq!(space.class_of(address), Some(class));
                let spot = space.spot(address, class);
                assert_eq!((spot.number(), spot.inside), (number, 0));
                assert_eq!(address.addr().get() % (1 << class.bytes().trailing_zeros()), 0);
                // SAFETY: the last byte of the block.
                let last = space.spot(unsafe { address.add(class.bytes() - 1) }, class);
                assert_eq!((last.number(), last.inside), (number, class.bytes() - 1));
            }
        }
    }

    #[test]
    fn what_comes_back_is_whole_again_and_reads_as_zeroes() {
        let space = space();
        let small = taken(&space);
        assert_eq!(small.len(), 4 * CHUNK as usize);
        for &(number, class) in &small {
            // SAFETY: the page's memory.
            unsafe { space.address(number * 512, class).write_bytes(1, class.page_bytes()) };
            assert!(space.give_back(number, class));
        }
        let largest = Class::from_index(39).expect("class");
        for _ in 0..4 {
            let page = space.take(largest).expect("all became one stretch a chunk");
            assert_eq!(page.again, MAX_PAGE);
            let start = space.address(page.number * 512, largest);
            // SAFETY: the page's memory.
            assert!(unsafe { core::slice::from_raw_parts(start.as_ptr(), MAX_PAGE) }.iter().all(|&b| b == 0));
        }
        assert!(space.take(largest).is_none());
    }

    #[test]
    fn there_is_no_class_where_there_is_no_page() {
        let space = space();
        let class = Class::all().next().expect("class");
        assert_eq!(space.class_of(space.base), None);
        let page = space.take(class).expect("a page");
        let start = space.address(page.number * 512, class);
        assert_eq!(space.class_of(start), Some(class));
        space.give_back(page.number, class);
        assert_eq!(space.class_of(start), None);
        let local = 0_u8;
        assert!(space.class_of(NonNull::from(&local)).is_none() && !space.contains(NonNull::from(&local)));
    }

    proptest! {
        #[test]
        fn no_granule_is_part_of_two_pages(acts in prop::collection::vec((0..40_usize, any::<prop::sample::Index>()), 1..300)) {
            let space = space();
            let mut out: Vec<(u32, Class)> = Vec::new();
            for (class, which) in acts {
                let class = Class::from_index(class).expect("class");
                match space.take(class) {
                    Some(page) => {
                        let mine = page.number..page.number + (1 << class.order());
                        prop_assert!(page.number.is_multiple_of(1 << class.order()));
                        for (number, other) in &out {
                            let theirs = *number..*number + (1 << other.order());
                            prop_assert!(mine.end <= theirs.start || theirs.end <= mine.start);
                        }
                        out.push((page.number, class));
                    }
                    None => prop_assert!(!out.is_empty()),
                }
                if out.len().is_multiple_of(3) {
                    let (number, class) = out.swap_remove(which.index(out.len()));
                    space.give_back(number, class);
                }
            }
            for (number, class) in out {
                space.give_back(number, class);
            }
            prop_assert_eq!(taken(&space).len(), 4 * CHUNK as usize);
        }
    }
}
