//! The address space of the pages: from an address to its class, page and block, and from nothing to a page.
//!
//! ```text
//! | granules of 8 KiB ...................................... | class bytes | granules | links |   one mapping
//!   readable, writable           ^ frontier   not accessible
//! ```
//!
//! A granule's class byte says what it is part of: 0 nothing (never taken, or on the way), 1 to 45 a page of that class, and
//! a mark with an order the start of a free stretch. So `free` knows a block's class by one load. Free stretches are
//! buddies (stretches.rs). What comes back keeps its memory and is used first, by whichever class: only a sweep (sweep.rs) gives
//! memory to the kernel. So a page that is taken may hold what was there before; what it costs is counted by granule (granule.rs).
//!
//! Invariants: every granule below the frontier is part of one page or one free stretch, or is on the way between them with one thread;
//! class bytes of a page are written before any of its blocks is handed out and cleared after all of them have come back; lists and
//! frontier are changed under the lock only; `idle` is the sum of the granules of free stretches that have memory.

mod granule;
mod stretches;
mod sweep;

use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use rustix::process::{Resource, getrlimit};

use self::granule::{Granule, Memory};
use self::stretches::{Links, Shared};
pub(crate) use self::sweep::Sweep;

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
/// Granules of the largest stretch, by which the frontier rises.
const CHUNK: u32 = (MAX_PAGE / GRANULE) as u32;
/// Block numbers are 32 bits.
const MAX_GRANULES: usize = (u32::MAX as usize) / NUMBERS_PER_PAGE - CHUNK as usize;

/// One reservation.
pub(crate) struct Space {
    base: NonNull<u8>,
    granules: u32,
    classes: NonNull<AtomicU8>,
    memory: NonNull<Granule>,
    links: NonNull<Links>,
    shared: ForkLock<Shared>,
    /// Bytes of free stretches that have memory.
    idle: AtomicUsize,
    /// 0 and 1 in turn: when memory became idle (granule.rs).
    period: AtomicU8,
    /// Where the next sweep starts.
    cursor: AtomicU32,
}

// SAFETY: the pointers never change; the tables are atomics, and a page's memory belongs to who owns its blocks.
unsafe impl Send for Space {}
// SAFETY: as for `Send`.
unsafe impl Sync for Space {}

/// A page that was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) number: u32,
    /// Bytes of it that never had memory.
    pub(crate) fresh: usize,
    /// Bytes of it whose memory had gone back.
    pub(crate) again: usize,
}

/// Whether pages ask the kernel for huge pages; for `STORMGLASS_THP`.
static HUGE_PAGES: AtomicBool = AtomicBool::new(false);

/// Says whether pages are to ask the kernel for huge pages from now on.
pub(super) fn set_huge_pages(wanted: bool) {
    // Relaxed: a preference.
    HUGE_PAGES.store(wanted, Ordering::Relaxed);
}

/// Where a page may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Only where some memory lies idle.
    Idle,
    /// From there first.
    Anywhere,
}

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing of what was asked for is left, or the kernel refuses.
    Space,
    /// Who pays for memory does not.
    Charge,
}

/// Where a block lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// Number of the page.
    pub(crate) page: u32,
    /// Which of its blocks.
    pub(crate) index: usize,
    /// Bytes from the block's start.
    pub(crate) inside: usize,
}

/// The blocks of one class. Plain values, which a loop keeps in registers.
#[derive(Clone, Copy)]
pub(super) struct Blocks {
    base: NonNull<u8>,
    page: usize,
    bytes: usize,
    count: u32,
    class: Class,
}

impl Blocks {
    /// Where an address of a page of the class lies.
    #[inline]
    pub(super) fn spot(self, address: NonNull<u8>) -> Spot {
        let offset = address.addr().get().wrapping_sub(self.base.addr().get());
        let in_page = offset & (self.page - 1);
        let index = self.class.block_at(in_page);
        Spot { page: ((offset - in_page) / GRANULE) as u32, index, inside: in_page - index * self.bytes }
    }

    /// The number of the block that starts at this address of a page of the class; none if none does.
    #[inline]
    pub(super) fn number(self, address: NonNull<u8>) -> Option<u32> {
        let spot = self.spot(address);
        (spot.inside == 0 && spot.index < self.count as usize).then(|| spot.number())
    }

    /// Where the block with this number starts.
    #[inline]
    pub(super) fn address(self, number: u32) -> NonNull<u8> {
        let (page, index) = (number as usize / NUMBERS_PER_PAGE, number as usize % NUMBERS_PER_PAGE);
        // SAFETY: numbers come from pages that were taken, so the block lies inside the reservation.
        unsafe { self.base.add(page * GRANULE + index * self.bytes) }
    }
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
        let (memory, links) = unsafe { (at.add(count), at.add(2 * count)) };
        Some(Space {
            base,
            granules,
            classes: at.cast(),
            memory: memory.cast(),
            links: links.cast(),
            shared: ForkLock::new(Shared::empty()),
            idle: AtomicUsize::new(0),
            period: AtomicU8::new(0),
            cursor: AtomicU32::new(0),
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

    fn memory(&self, granule: u32) -> &Granule {
        debug_assert!(granule < self.granules);
        // SAFETY: as in `class_byte`.
        unsafe { self.memory.add(granule as usize).as_ref() }
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
        self.blocks(class).spot(address)
    }

    /// The blocks of a class by number and by address, for many of them at once.
    pub(super) fn blocks(&self, class: Class) -> Blocks {
        Blocks {
            base: self.base,
            page: class.page_bytes(),
            bytes: class.bytes(),
            count: class.blocks(),
            class,
        }
    }

    /// Where the block with this number starts, on a page of `class`.
    pub(crate) fn address(&self, number: u32, class: Class) -> NonNull<u8> {
        self.blocks(class).address(number)
    }

    /// A page for `class`; `charge` is asked for the bytes that it will need from the kernel, under the lock.
    pub(crate) fn take(
        &self,
        class: Class,
        source: Source,
        charge: impl FnOnce(usize) -> bool,
    ) -> Result<Taken, Refusal> {
        let order = class.order();
        let taken = self.shared.with(None, |shared| {
            let number = self.take_stretch(shared, order, source).ok_or(Refusal::Space)?;
            let (mut fresh, mut again) = (0, 0);
            for granule in number..number + (1 << order) {
                match self.memory(granule).get() {
                    Memory::Untouched => fresh += GRANULE,
                    Memory::Returned => again += GRANULE,
                    Memory::Idle { .. } => {}
                }
            }
            if !charge(fresh + again) {
                self.put_stretch(shared, number, order);
                return Err(Refusal::Charge);
            }
            self.idle.fetch_sub(class.page_bytes() - fresh - again, Ordering::Relaxed);
            Ok(Taken { number, fresh, again })
        })?;
        for granule in taken.number..taken.number + (1 << order) {
            // Relaxed: the page is the caller's alone; see `class_of`.
            self.class_byte(granule).store(class.mark(), Ordering::Relaxed);
        }
        Ok(taken)
    }

    /// Takes a page back that was of `class`, all of whose blocks have come back, with its memory.
    pub(crate) fn put(&self, number: u32, class: Class) {
        let period = self.period.load(Ordering::Relaxed);
        for granule in number..number + (1 << class.order()) {
            // Relaxed: the lock below publishes both to the page's next owner.
            self.class_byte(granule).store(0, Ordering::Relaxed);
            self.memory(granule).set(Memory::Idle { period, class });
        }
        self.shared.with(None, |shared| {
            self.idle.fetch_add(class.page_bytes(), Ordering::Relaxed);
            self.put_stretch(shared, number, class.order());
        });
    }

    /// Bytes that lie idle, at some moment.
    pub(crate) fn idle(&self) -> usize {
        self.idle.load(Ordering::Relaxed)
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
mod tests;
