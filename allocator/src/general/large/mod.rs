//! Large blocks: more than 32 KiB, or aligned to more than that.
//!
//! ```text
//!  allocate --< 32 MiB--> spans of one reservation: kept when freed, purged after a delay      (spans.rs, reservation.rs)
//!           |                  | grows past its neighbours, and copying costs more: mremap
//!           |                  v
//!           `--others---> a mapping of its own, in a registry: back to the kernel when freed   (direct.rs, registry.rs)
//! ```
//!
//! Invariants:
//! 1. A block starts where a span of the reservation starts, or where a mapping in the registry does; no other address is one.
//! 2. The lock orders every change of spans and registry. A live block's memory, and the bytes about it (record.rs), belong to whoever
//!    has the block; the kernel is asked about a mapping of its own only while that is in nobody's registry, since another thread may
//!    get the address the moment it is free.
//! 3. A page that was never touched since the kernel gave it is known as such and is not cleared again.
//! 4. What is charged to the limit is what may have memory behind it: the pages of live blocks, those that freed ones left, and
//!    whole mappings; not the records (16 bytes for 64 KiB).
//!
//! ## Why two kinds
//! Freed spans stay warm, and that is most of what a large allocation costs: a page fault is about 1 microsecond, 4 MiB of
//! them a millisecond. Above 32 MiB the bound on idle memory would be used up by two blocks, so memory goes back at once; then a mapping
//! that the kernel places loses nothing against a span, and it can grow by `mremap` without a hole in the reservation that has to
//! be closed before another thread's mapping falls into it. The same mappings serve when the reservation is used up or could
//! not be made.
//!
//! ## Fork
//! [`Large::before_fork`] takes the lock, so the child finds everything whole. A block that another thread was about to map, move
//! or unmap at that moment is lost to the child.

mod bins;
mod direct;
mod granule;
mod growing;
mod lock;
mod record;
mod registry;
mod reservation;
mod spans;
mod totals;

#[cfg(test)]
mod processes;
#[cfg(test)]
mod tests;

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;

use crate::general::limit::Limit;

use self::granule::{PAGE, pages_of};
use self::lock::ForkLock;
use self::record::Tag;
use self::registry::{Registry, Standing};
use self::reservation::{HUGE, Reservation};
use self::spans::{Refusal, Spans, Sweep};
pub(crate) use self::totals::Totals;

/// How much of what. Larger reservations than the address space allows become smaller ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes of address space for spans.
    pub(crate) reserve: usize,
    /// From this size, or alignment, on a block gets a mapping of its own.
    pub(crate) direct: usize,
    /// Bytes of memory that freed spans may keep; a quarter of what is live, if that is more.
    pub(crate) cache: usize,
}

impl Bounds {
    /// What serves a process.
    pub(crate) const DEFAULT: Bounds = Bounds { reserve: 1 << 40, direct: 32 << 20, cache: 64 << 20 };
}

/// Why a block is not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misuse {
    /// No large block was ever there.
    Foreign,
    /// It points into a large block, live or freed, not to its start.
    Interior,
    /// It was a block and was freed, and nothing has been given out there since.
    FreedTwice,
}

/// Bytes, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Of address space, for spans.
    pub(crate) reserved: usize,
    /// Usable bytes of live blocks, of both kinds.
    pub(crate) live: usize,
    /// Of memory that freed spans keep.
    pub(crate) cached: usize,
    /// That may have memory behind them, of both kinds: what is charged to the limit.
    pub(crate) mapped: usize,
    /// Mappings for one block each.
    pub(crate) mappings: usize,
}

/// What the lock is over.
struct Shared {
    spans: Spans,
    registry: Registry,
    /// Bytes of the mappings in the registry.
    direct: usize,
    /// When a sweep made idle granules old.
    swept: u64,
    /// Where the next sweep starts, so that each part of the reservation gets its turn.
    cursor: usize,
}

/// All large blocks of a process.
pub(crate) struct Large {
    bounds: Bounds,
    limit: &'static Limit,
    huge_pages: AtomicBool,
    /// Set under the lock alone, so nobody ever waits in it. `None` in it: there is no address space.
    reservation: OnceLock<Option<Reservation>>,
    shared: ForkLock<Shared>,
}

impl Large {
    /// Reserves nothing before the first block.
    pub(crate) const fn new(bounds: Bounds, limit: &'static Limit) -> Large {
        let shared =
            Shared { spans: Spans::new(), registry: Registry::new(), direct: 0, swept: 0, cursor: 0 };
        Large {
            bounds,
            limit,
            huge_pages: AtomicBool::new(false),
            reservation: OnceLock::new(),
            shared: ForkLock::new(shared),
        }
    }

    /// Whether blocks of 2 MiB and more ask the kernel for huge pages (`STORMGLASS_THP`).
    pub(crate) fn set_huge_pages(&self, wanted: bool) {
        // Relaxed: a preference.
        self.huge_pages.store(wanted, Ordering::Relaxed);
    }

    /// A block of at least `size` bytes at a multiple of `align`, a power of two; all zeroes if it is to be `zeroed`. `None`: the limit or
    /// the kernel refuses.
    pub(crate) fn allocate(
        &self,
        size: usize,
        align: usize,
        zeroed: bool,
        counters: &Totals,
    ) -> Option<NonNull<u8>> {
        let block = pages_of(size).and_then(|pages| {
            let mut block = self.try_allocate(pages, align, zeroed, counters);
            if block == Err(Refusal::Limit) && self.sweep(Sweep::All, 0) > 0 {
                block = self.try_allocate(pages, align, zeroed, counters);
            }
            block.ok()
        });
        let count = if block.is_some() { &counters.large_allocations } else { &counters.large_failures };
        count.add(1);
        block
    }

    fn try_allocate(
        &self,
        pages: usize,
        align: usize,
        zeroed: bool,
        counters: &Totals,
    ) -> Result<NonNull<u8>, Refusal> {
        if pages.saturating_mul(PAGE).max(align) < self.bounds.direct
            && let Some(reservation) = self.reserved(counters)
        {
            let taken = self.shared.with(Some(&counters.large_lock_contended), |shared| {
                shared.spans.take(reservation, pages, align, self.limit)
            });
            match taken {
                Ok(start) => {
                    // SAFETY: the span was taken for this block, which nobody has yet.
                    unsafe { reservation.fill(start, 0..pages, zeroed) };
                    if pages * PAGE >= HUGE && self.huge_pages.load(Ordering::Relaxed) {
                        reservation.prefer_huge(start, granule::granules_of(pages));
                    }
                    counters.large_bytes_allocated.add((pages * PAGE) as u64);
                    return Ok(reservation.address(start));
                }
                Err(Refusal::Limit) => return Err(Refusal::Limit),
                // A mapping may still be had.
                Err(Refusal::Space) => {}
            }
        }
        self.map(pages * PAGE, align, counters)
    }

    /// A block in a mapping of its own.
    #[cold]
    fn map(&self, size: usize, align: usize, counters: &Totals) -> Result<NonNull<u8>, Refusal> {
        let len = direct::len_of(size);
        if !self.promise(counters) {
            return Err(Refusal::Space);
        }
        if !self.limit.take(len) {
            self.break_promise(counters);
            return Err(Refusal::Limit);
        }
        let huge = len >= HUGE && self.huge_pages.load(Ordering::Relaxed);
        let Some(block) = direct::map(len, align, huge) else {
            self.break_promise(counters);
            self.limit.give_back(len);
            return Err(Refusal::Space);
        };
        self.register(block, len, counters);
        counters.large_mappings.add(1);
        counters.large_bytes_allocated.add(len as u64);
        Ok(block)
    }

    fn promise(&self, counters: &Totals) -> bool {
        self.shared.with(Some(&counters.large_lock_contended), |shared| shared.registry.promise())
    }

    fn break_promise(&self, counters: &Totals) {
        self.shared.with(Some(&counters.large_lock_contended), |shared| shared.registry.forget());
    }

    fn register(&self, block: NonNull<u8>, len: usize, counters: &Totals) {
        self.shared.with(Some(&counters.large_lock_contended), |shared| {
            shared.registry.insert(block, len);
            shared.direct += len;
        });
    }

    /// The reservation, made now if it is not there.
    fn reserved(&self, counters: &Totals) -> Option<&Reservation> {
        let made = self.reservation.get().unwrap_or_else(|| {
            self.shared.with(Some(&counters.large_lock_contended), |_| {
                self.reservation.get_or_init(|| Reservation::reserve(self.bounds.reserve))
            })
        });
        made.as_ref()
    }

    /// The reservation, if it is there.
    fn reservation(&self) -> Option<&Reservation> {
        self.reservation.get()?.as_ref()
    }

    /// Usable bytes of the large block that starts at `block`; `None`: none does.
    pub(crate) fn size_of(&self, block: NonNull<u8>) -> Option<usize> {
        match self.reservation() {
            Some(reservation) if reservation.granule_at(block).is_some() => {
                reservation.block_pages(block).map(|pages| pages * PAGE)
            }
            _ => self.shared.with(None, |shared| shared.registry.get(block)),
        }
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// If `block` is a live large block, nobody uses it any more.
    pub(crate) unsafe fn free(&self, block: NonNull<u8>, counters: &Totals) -> Result<(), Misuse> {
        let bytes = match self.reservation().and_then(|r| Some((r, r.granule_at(block)?))) {
            Some((reservation, granule)) => self.free_span(reservation, granule, block, counters)?,
            None => self.free_mapping(block, counters)?,
        };
        counters.large_frees.add(1);
        counters.large_bytes_freed.add(bytes as u64);
        Ok(())
    }

    fn free_span(
        &self,
        reservation: &Reservation,
        granule: usize,
        block: NonNull<u8>,
        counters: &Totals,
    ) -> Result<usize, Misuse> {
        let (pages, too_much) = self.shared.with(Some(&counters.large_lock_contended), |shared| {
            let Some(pages) = reservation.block_pages(block) else {
                return Err(misuse(reservation, granule, block));
            };
            let Tag::Live(granules) = reservation.record(granule).tag() else {
                return Err(Misuse::FreedTwice);
            };
            let spans = &mut shared.spans;
            spans.put(reservation, granule, granules as usize);
            let bound = (spans.live / 4).max(self.bounds.cache / PAGE);
            Ok((pages, (spans.cached > bound).then_some(bound)))
        })?;
        if let Some(bound) = too_much {
            // Some more than needed, so that not every free that follows has to sweep.
            self.sweep(Sweep::All, bound - bound / 8);
        }
        Ok(pages * PAGE)
    }

    #[cold]
    fn free_mapping(&self, block: NonNull<u8>, counters: &Totals) -> Result<usize, Misuse> {
        let len = self.shared.with(Some(&counters.large_lock_contended), |shared| {
            let Some(len) = shared.registry.remove(block) else {
                return Err(match shared.registry.standing(block) {
                    Standing::Interior => Misuse::Interior,
                    Standing::Freed => Misuse::FreedTwice,
                    Standing::Unknown => Misuse::Foreign,
                });
            };
            shared.direct -= len;
            Ok(len)
        })?;
        // SAFETY: a whole mapping; it left the registry, so nobody else will unmap it, and the caller does not use it.
        unsafe { direct::unmap(block, len) };
        self.limit.give_back(len);
        Ok(len)
    }

    /// Gives memory of free spans back to the kernel that has been idle for `delay` nanoseconds, and for up to as long again; all of it if
    /// that is 0. `now` is the monotonic clock. How many bytes went back. Cheap if it is called too early.
    pub(crate) fn purge(&self, now: u64, delay: u64) -> u64 {
        let due = self.shared.with(None, |shared| {
            let due = now.saturating_sub(shared.swept) >= delay;
            if due {
                shared.swept = now;
            }
            due
        });
        match (due, delay) {
            (false, _) => 0,
            (true, 0) => self.sweep(Sweep::All, 0),
            (true, _) => self.sweep(Sweep::Old, 0),
        }
    }

    /// Goes once through the reservation, or until no more than `keep` pages are idle; the bytes that went back.
    ///
    /// The lock is taken for each step anew, so that nobody waits for more than one.
    #[cold]
    fn sweep(&self, sweep: Sweep, keep: usize) -> u64 {
        let Some(reservation) = self.reservation() else { return 0 };
        let mut at = self.shared.with(None, |shared| shared.cursor);
        let (mut left, mut pages) = (reservation.frontier(), 0);
        while left > 0 {
            if at >= reservation.frontier() {
                at = 0;
            }
            let step = self.shared.with(None, |shared| {
                let wanted = shared.spans.cached > keep;
                wanted.then(|| shared.spans.sweep(reservation, at, sweep, self.limit))
            });
            let Some(step) = step else { break };
            at += step.passed;
            left = left.saturating_sub(step.passed);
            pages += step.pages;
        }
        self.shared.with(None, |shared| shared.cursor = at);
        (pages * PAGE) as u64
    }

    /// What there is.
    pub(crate) fn figures(&self) -> Figures {
        let reserved = self.reservation().map_or(0, Reservation::bytes);
        self.shared.with(None, |shared| Figures {
            reserved,
            live: shared.spans.live * PAGE + shared.direct,
            cached: shared.spans.cached * PAGE,
            mapped: shared.spans.mapped * PAGE + shared.direct,
            mappings: shared.registry.len(),
        })
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

impl Drop for Large {
    fn drop(&mut self) {
        let shared = self.shared.get_mut();
        for (block, len) in shared.registry.blocks() {
            // SAFETY: a whole mapping, whose block is not used any more by the contract of `allocate`: it was this value's.
            unsafe { direct::unmap(block, len) };
        }
        self.limit.give_back(shared.spans.mapped * PAGE + shared.direct);
    }
}

/// What is wrong with an address in the reservation at which no block starts.
#[cold]
fn misuse(reservation: &Reservation, granule: usize, address: NonNull<u8>) -> Misuse {
    if granule >= reservation.frontier() {
        return Misuse::Foreign;
    }
    // The tag of the span is at its start, wherever that is.
    let span = (0..=granule).rev().map(|at| reservation.record(at).tag()).find(|&tag| tag != Tag::Inside);
    match span {
        Some(Tag::Free(_) | Tag::FreeEnd(_)) if reservation.address(granule) == address => Misuse::FreedTwice,
        _ => Misuse::Interior,
    }
}
