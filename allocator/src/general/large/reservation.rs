//! The address space of the spans, and what is known of it.
//!
//! ```text
//! | granules                     ......................... | records  ....... | memory .... |   one mapping
//!   readable, writable  ^ frontier   not accessible          16 bytes each      2 bytes each
//! ```
//!
//! Invariants: below the frontier everything can be read and written, above it nothing, so that a wild pointer into it
//! faults; the frontier only rises; the records and words of all granules below it can be used. The kernel sees two
//! mappings, however many spans there are, and backs what is touched.

use core::ffi::c_void;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MprotectFlags, MremapFlags, ProtFlags};
use rustix::process::{Resource, getrlimit};

use super::granule::{GRANULE, GRANULE_PAGES, PAGE, granules_of};
use super::record::{Age, Memory, Record, Tag};

/// Where huge pages start, and where the kernel moves page tables instead of their entries.
pub(super) const HUGE: usize = 2 << 20;
/// Fewer granules than this are not worth a reservation.
const MIN_GRANULES: usize = (16 << 20) / GRANULE;
/// More than this a granule's number and a tag have no room for.
const MAX_GRANULES: usize = 1 << 29;
/// Granules whose records are made usable at a time: 1 MiB of them.
const DESCRIBED_STEP: usize = 1 << 16;

/// One reservation.
pub(super) struct Reservation {
    base: NonNull<u8>,
    granules: usize,
    records: NonNull<Record>,
    memory: NonNull<Memory>,
    mapping: (NonNull<c_void>, usize),
    frontier: AtomicUsize,
    /// Granules whose records can be used.
    described: AtomicUsize,
}

// SAFETY: the pointers never change after `reserve`; records and memory words are atomics, and a span's memory belongs to
// whoever owns the span.
unsafe impl Send for Reservation {}
// SAFETY: as for `Send`.
unsafe impl Sync for Reservation {}

impl Reservation {
    /// Reserves up to `bytes`; less where the address space is limited. Then no more than a quarter of it, because stacks and
    /// libraries need some as well, and a block for which no span is left gets a mapping of its own.
    pub(super) fn reserve(bytes: usize) -> Option<Reservation> {
        let allowed = getrlimit(Resource::As).current.map_or(usize::MAX, |limit| limit as usize / 4);
        let mut granules = (bytes.min(allowed) / GRANULE).min(MAX_GRANULES);
        while granules >= MIN_GRANULES {
            if let Ok(reservation) = Reservation::map(granules) {
                return Some(reservation);
            }
            granules /= 2;
        }
        None
    }

    fn map(granules: usize) -> Result<Reservation, Errno> {
        let spans = granules * GRANULE;
        let records = (granules * size_of::<Record>()).next_multiple_of(GRANULE);
        let memory = (granules * size_of::<Memory>()).next_multiple_of(GRANULE);
        let len = HUGE + spans + records + memory;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice aliases nothing.
        let start =
            unsafe { rustix::mm::mmap_anonymous(core::ptr::null_mut(), len, ProtFlags::empty(), flags) }?;
        let start = NonNull::new(start).ok_or(Errno::NOMEM)?;
        let offset = start.cast::<u8>().align_offset(HUGE);
        // SAFETY: `offset` < HUGE, and the mapping is that much longer than its three parts, so each lies inside it.
        let (base, records_at, memory_at) = unsafe {
            let base = start.cast::<u8>().add(offset);
            (base, base.add(spans), base.add(spans + records))
        };
        // One huge page of records would describe 8 GiB of spans. Nothing is lost where the kernel knows no such advice.
        // SAFETY: both parts are whole pages of the mapping; the advice changes no contents.
        let _ = unsafe {
            rustix::mm::madvise(records_at.as_ptr().cast(), records + memory, Advice::LinuxNoHugepage)
        };
        Ok(Reservation {
            base,
            granules,
            records: records_at.cast(),
            memory: memory_at.cast(),
            mapping: (start, len),
            frontier: AtomicUsize::new(0),
            described: AtomicUsize::new(0),
        })
    }

    /// Bytes for spans, used or not.
    pub(super) fn bytes(&self) -> usize {
        self.granules * GRANULE
    }

    /// Granules that have been part of a span.
    pub(super) fn frontier(&self) -> usize {
        // Acquire: pairs with the Release in `advance`, after the records below it became usable.
        self.frontier.load(Ordering::Acquire)
    }

    /// The granule that `address` lies in; `None` outside the reservation. It may lie above the frontier.
    #[inline]
    pub(super) fn granule_at(&self, address: NonNull<u8>) -> Option<usize> {
        let granule = address.addr().get().wrapping_sub(self.base.addr().get()) / GRANULE;
        (granule < self.granules).then_some(granule)
    }

    /// Where a granule starts.
    pub(super) fn address(&self, granule: usize) -> NonNull<u8> {
        debug_assert!(granule < self.granules);
        // SAFETY: callers name granules of the reservation.
        unsafe { self.base.add(granule * GRANULE) }
    }

    /// The first granule from `granule` on that starts at a multiple of `align` bytes.
    pub(super) fn aligned(&self, granule: usize, align: usize) -> Option<usize> {
        let address =
            (self.base.addr().get() + granule * GRANULE).checked_next_multiple_of(align.max(GRANULE))?;
        Some((address - self.base.addr().get()) / GRANULE)
    }

    /// Ends the process if a granule has no record: an invariant of ours is broken, and a panic would allocate.
    #[inline]
    fn check_described(&self, granule: usize) {
        // Relaxed: see `frontier`, which callers without the lock look at first.
        if granule >= self.described.load(Ordering::Relaxed) {
            std::process::abort();
        }
    }

    /// What is known of a granule below the frontier.
    pub(super) fn record(&self, granule: usize) -> &Record {
        self.check_described(granule);
        // SAFETY: in bounds by the check; zeroed by the kernel, which is a value of `Record`, aligned, and usable since
        // `advance`.
        unsafe { self.records.add(granule).as_ref() }
    }

    /// What is known of the memory of a granule below the frontier.
    pub(super) fn memory(&self, granule: usize) -> &Memory {
        self.check_described(granule);
        // SAFETY: as in `record`.
        unsafe { self.memory.add(granule).as_ref() }
    }

    /// The pages of the live block that starts at `address`.
    #[inline]
    pub(super) fn block_pages(&self, address: NonNull<u8>) -> Option<usize> {
        let granule = self.granule_at(address)?;
        if granule >= self.frontier() || self.address(granule) != address {
            return None;
        }
        self.live_granules(granule).map(|_| self.record(granule).pages())
    }

    /// The length of the live span that starts at a granule below the frontier.
    pub(super) fn live_granules(&self, start: usize) -> Option<usize> {
        match self.record(start).tag() {
            Tag::Live(granules) => Some(granules as usize),
            _ => None,
        }
    }

    /// Raises the frontier to `granule`; the caller holds the lock, and tags what was added as a span. `false`: the kernel or the
    /// reservation has no more.
    pub(super) fn advance(&self, granule: usize) -> bool {
        // Relaxed: only the holder of the lock writes both.
        let from = self.frontier.load(Ordering::Relaxed);
        let described = self.described.load(Ordering::Relaxed);
        if granule > self.granules {
            return false;
        }
        if granule > described {
            let next = granule.next_multiple_of(DESCRIBED_STEP).min(self.granules);
            // The parts are whole granules, so ends that are rounded up stay inside.
            let usable = Reservation::usable(
                self.records.cast(),
                described * size_of::<Record>(),
                next * size_of::<Record>(),
            ) && Reservation::usable(
                self.memory.cast(),
                described * size_of::<Memory>(),
                next * size_of::<Memory>(),
            );
            if !usable {
                return false;
            }
            self.described.store(next, Ordering::Relaxed);
        }
        if !Reservation::usable(self.base, from * GRANULE, granule * GRANULE) {
            return false;
        }
        // Release: pairs with the Acquire in `frontier`.
        self.frontier.store(granule, Ordering::Release);
        true
    }

    /// Makes the bytes `from..to` after `part` readable and writable, rounded up to whole pages of any machine.
    fn usable(part: NonNull<u8>, from: usize, to: usize) -> bool {
        let (from, to) = (from.next_multiple_of(GRANULE), to.next_multiple_of(GRANULE));
        if from == to {
            return true;
        }
        // SAFETY: whole granules of one of the reservation's parts, which nobody has used yet.
        unsafe {
            let at = part.add(from).as_ptr().cast();
            rustix::mm::mprotect(at, to - from, MprotectFlags::READ | MprotectFlags::WRITE).is_ok()
        }
    }

    /// Marks memory of a block as touched, from page `pages.start` on, and clears what has been touched before if it must read as
    /// zeroes.
    ///
    /// # Safety
    /// The caller owns the span that starts at `start` and has room for `pages`; where it is `zeroed`, nobody uses its contents.
    pub(super) unsafe fn fill(&self, start: usize, pages: Range<usize>, zeroed: bool) {
        for i in pages.start / GRANULE_PAGES..granules_of(pages.end) {
            let used = (pages.end - i * GRANULE_PAGES).min(GRANULE_PAGES);
            let memory = self.memory(start + i);
            let touched = memory.touched();
            if zeroed && touched > 0 {
                // SAFETY: inside the caller's span, by its promise.
                unsafe { self.address(start + i).write_bytes(0, touched.min(used) * PAGE) };
            }
            memory.set(touched.max(used), Age::None);
        }
    }

    /// Asks for huge pages behind a span.
    pub(super) fn prefer_huge(&self, start: usize, granules: usize) {
        // SAFETY: the span lies below the frontier; the advice changes no contents. If the kernel refuses, nothing is lost.
        let _ = unsafe {
            rustix::mm::madvise(
                self.address(start).as_ptr().cast(),
                granules * GRANULE,
                Advice::LinuxHugepage,
            )
        };
    }

    /// Gives the memory of granules back to the kernel: they read as zeroes from then on. `false`: they are as they were (the program
    /// has locked its memory).
    ///
    /// # Safety
    /// Nobody uses their contents: they are of free spans, and the caller holds the lock.
    pub(super) unsafe fn discard(&self, start: usize, granules: usize) -> bool {
        let at = self.address(start).as_ptr().cast();
        // SAFETY: below the frontier, and not in use by the caller's promise.
        unsafe { rustix::mm::madvise(at, granules * GRANULE, Advice::LinuxDontNeed).is_ok() }
    }

    /// Whether a span is one mapping to the kernel, or part of one. It is not if the program has changed the protection or the fork
    /// behaviour of a part. Only such a span is moved whole or not at all: newer kernels move several mappings in turn, and what a
    /// failure leaves behind is in two places.
    pub(super) fn is_one_mapping(&self, start: usize, granules: usize) -> bool {
        let (at, len) = (self.address(start).as_ptr().cast(), granules * GRANULE);
        // What follows is mapped, so this always fails; the kernel says first if the span is no part of one mapping (EFAULT), and only
        // then that it cannot grow.
        // SAFETY: nothing is moved without MAYMOVE, and nothing can be added.
        let refused = unsafe { rustix::mm::mremap(at, len, len + GRANULE, MremapFlags::empty()) };
        refused == Err(Errno::NOMEM)
    }

    /// Moves the memory of a span that [is one mapping](Reservation::is_one_mapping) to `target`, a mapping of the same length,
    /// without a copy. The span stays mapped and reads as zeroes.
    ///
    /// `false`, and the memory is where it was, where the kernel cannot (before Linux 5.7). The target is then either as it was or
    /// unmapped: kernels differ. Without `MREMAP_DONTUNMAP` the span would be a hole for a moment, into which another thread's mapping
    /// may fall: so without it nothing is moved.
    ///
    /// # Safety
    /// The caller owns the span and the target, whose contents are lost.
    pub(super) unsafe fn move_out(&self, start: usize, granules: usize, target: NonNull<u8>) -> bool {
        let (at, len) = (self.address(start).as_ptr().cast(), granules * GRANULE);
        let flags = MremapFlags::MAYMOVE | MremapFlags::DONTUNMAP;
        // SAFETY: both are the caller's and apart; the kernel replaces the target while no other thread can map anything there.
        unsafe { rustix::mm::mremap_fixed(at, len, len, flags, target.as_ptr().cast()).is_ok() }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping that `map` made; references into it borrow the reservation, and blocks are not used any
        // more by the contract of `Large::allocate`. Nothing can be done if it fails.
        let _ = unsafe { rustix::mm::munmap(self.mapping.0.as_ptr(), self.mapping.1) };
    }
}
