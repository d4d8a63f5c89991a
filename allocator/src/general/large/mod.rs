//! Large blocks: more than 32 KiB, or aligned to more than that.
//!
//! ```text
//!  allocate --< 32 MiB--> a span of the reservation; its memory is kept when it is freed, and purged after a delay
//!           |                  | outgrows its neighbours: its pages move (growing.rs)
//!           |                  v
//!           `--others---> a mapping of its own, in a registry; back to the kernel when it is freed
//! ```
//!
//! The reservation (reservation.rs) is address space in granules of 64 KiB, with a record for each (record.rs); spans.rs cuts and
//! joins, bins.rs finds, place.rs chooses, cache.rs limits what lies idle. Mappings: mapping.rs, registry.rs, and direct.rs for the kernel.
//!
//! Invariants:
//! 1. A block starts where a span of the reservation starts, or where a mapping in the registry does; no other address is one.
//! 2. The lock orders every change of spans and registry. A live block's memory, and what is known of it (record.rs), belong to
//!    whoever has the block.
//! 3. A page that was never touched since the kernel gave it is known as such, and is not cleared for a block that must be zero.
//! 4. What is charged to the limit is what may have memory behind it: the pages of live blocks, those that freed ones left, and
//!    whole mappings; not the records (18 bytes for 64 KiB).
//!
//! ## Why two kinds
//! Freed spans stay warm, and that is most of what a large allocation costs: a page fault is about 1 microsecond, 4 MiB of
//! them a millisecond. Two blocks above 32 MiB would use up the bound on idle memory, so their memory goes back at once, and then
//! a mapping that the kernel places loses nothing against a span. It grows by `mremap` alone, while in the reservation that would
//! leave a hole, to be closed before another thread's mapping falls into it. The same mappings serve when the reservation is
//! used up or could not be made.
//!
//! ## Huge pages
//! Off, unless [`Large::set_huge_pages`] asks for them (`STORMGLASS_THP=1`); where the system gives them to everybody it does so
//! here. Spans of 2 MiB and more start at multiples of 2 MiB where there is room, which takes address space only. 256 MiB on Linux 6.18, two processors,
//! `enabled` at `madvise`, two runs each of
//! `STORMGLASS_THP=1 cargo test --release -p stormglass-allocator --lib fill_and_walk -- --ignored --nocapture`:
//!
//! | | without | with |
//! |---|---|---|
//! | filled, as one block | 103, 129 ms | 17, 571 ms |
//! | filled, as 128 blocks | 98, 101 ms | 15, 15 ms |
//! | 4 million reads, one block | 36, 37 ms | 33, 33 ms |
//! | resident, all of it written | 256 MiB | 256 MiB |
//! | resident, every 16th page written | 16 MiB | 256 MiB |
//!
//! Faults are what they save, reads gain little, and a sparse table pays sixteen times its memory: that is the program's choice.
//!
//! ## Fork
//! [`Large::before_fork`] takes the lock, so the child finds everything whole. A block that another thread was about to map, move
//! or unmap at that moment is lost to the child, and so is what other threads had.

mod account;
mod bins;
mod cache;
mod direct;
mod granule;
mod growing;
pub(super) mod lock;
mod mapping;
mod once;
mod place;
mod record;
mod registry;
mod reservation;
mod spans;

#[cfg(test)]
mod processes;
#[cfg(test)]
mod tests;

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::general::limit::Limit;

use self::account::Account;
pub(crate) use self::account::Totals;
use self::granule::{PAGE, granules_of, pages_of};
use self::lock::ForkLock;
use self::once::Once;
use self::record::Tag;
use self::registry::Registry;
use self::reservation::{HUGE, Reservation};
use self::spans::{Refusal, Spans, Sweep};

/// How much of what. Larger reservations than the address space allows become smaller ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes of address space for spans.
    pub(crate) reserve: usize,
    /// From this size, or alignment, on a block gets a mapping of its own.
    pub(crate) direct: usize,
    /// Bytes of memory that freed spans may keep; more while more is live (cache.rs).
    pub(crate) cache: usize,
    /// Blocks that outgrow their place and get this size leave the reservation rather than be copied to memory that is not there yet.
    pub(crate) leave: usize,
}

impl Bounds {
    /// What serves a process.
    pub(crate) const DEFAULT: Bounds =
        Bounds { reserve: 1 << 40, direct: 32 << 20, cache: 64 << 20, leave: 4 << 20 };
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
}

impl Shared {
    /// Notes a mapping, for which room was promised.
    fn register(&mut self, block: NonNull<u8>, len: usize) {
        self.registry.insert(block, len);
        self.direct += len;
    }

    /// Forgets a mapping; its length.
    fn unregister(&mut self, block: NonNull<u8>) -> Option<usize> {
        let len = self.registry.remove(block)?;
        self.direct -= len;
        Some(len)
    }
}

/// All large blocks of a process.
pub(crate) struct Large {
    bounds: Bounds,
    limit: &'static Limit,
    huge_pages: AtomicBool,
    /// The kernel has refused once to move pages out of the reservation: such blocks are copied from then on.
    copies: AtomicBool,
    /// Made under the lock; none where there is no address space.
    reservation: Once<Reservation>,
    shared: ForkLock<Shared>,
}

impl Large {
    /// Reserves nothing before the first block.
    pub(crate) const fn new(bounds: Bounds, limit: &'static Limit) -> Large {
        let shared = Shared { spans: Spans::new(), registry: Registry::new(), direct: 0, swept: 0 };
        Large {
            bounds,
            limit,
            huge_pages: AtomicBool::new(false),
            copies: AtomicBool::new(false),
            reservation: Once::new(),
            shared: ForkLock::new(shared),
        }
    }

    fn wants_huge_pages(&self) -> bool {
        // Relaxed: a preference.
        self.huge_pages.load(Ordering::Relaxed)
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
        let account = self.account(counters);
        let block = pages_of(size).and_then(|pages| {
            let mut block = self.try_allocate(pages, align, zeroed, account);
            if block == Err(Refusal::Limit) && self.sweep(Sweep::All, 0, account) > 0 {
                block = self.try_allocate(pages, align, zeroed, account);
            }
            block.ok()
        });
        match block.and_then(|block| self.size_of(block)) {
            Some(bytes) => {
                counters.large_allocations.add(1);
                counters.large_allocated_bytes.add(bytes as u64);
            }
            None => counters.large_failures.add(1),
        }
        block
    }

    fn try_allocate(
        &self,
        pages: usize,
        align: usize,
        zeroed: bool,
        account: Account<'_>,
    ) -> Result<NonNull<u8>, Refusal> {
        if pages.saturating_mul(PAGE).max(align) < self.bounds.direct
            && let Some(reservation) = self.reserved(account)
        {
            match self.locked(account, |shared| shared.spans.take(reservation, pages, align, account)) {
                Ok(start) => {
                    // SAFETY: the span was taken for this block, which nobody has yet.
                    unsafe { reservation.fill(start, 0..pages, zeroed) };
                    if pages * PAGE >= HUGE && self.wants_huge_pages() {
                        reservation.prefer_huge(start, granules_of(pages));
                    }
                    return Ok(reservation.address(start));
                }
                Err(Refusal::Limit) => return Err(Refusal::Limit),
                // A mapping may still be had.
                Err(Refusal::Space) => {}
            }
        }
        self.map(pages * PAGE, align, account)
    }

    fn account<'a>(&self, counters: &'a Totals) -> Account<'a> {
        Account { limit: self.limit, counters }
    }

    fn locked<R>(&self, account: Account<'_>, f: impl FnOnce(&mut Shared) -> R) -> R {
        self.shared.with(Some(&account.counters.large_lock_contended), f)
    }

    /// The reservation, made now if it is not there.
    fn reserved(&self, account: Account<'_>) -> Option<&Reservation> {
        if !self.reservation.is_made() {
            self.locked(account, |_| {
                // SAFETY: under the lock.
                unsafe { self.reservation.make(|| Reservation::reserve(self.bounds.reserve)) };
            });
        }
        self.reservation()
    }

    /// The reservation, if it is there.
    fn reservation(&self) -> Option<&Reservation> {
        self.reservation.get()
    }

    /// The reservation and the granule in it that `address` lies in.
    fn granule_at(&self, address: NonNull<u8>) -> Option<(&Reservation, usize)> {
        let reservation = self.reservation()?;
        Some((reservation, reservation.granule_at(address)?))
    }

    /// Usable bytes of the large block that starts at `block`; `None`: none does.
    pub(crate) fn size_of(&self, block: NonNull<u8>) -> Option<usize> {
        match self.granule_at(block) {
            Some((reservation, _)) => reservation.block_pages(block).map(|pages| pages * PAGE),
            None => self.shared.with(None, |shared| shared.registry.get(block)),
        }
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// If `block` is a live large block, nobody uses it any more.
    pub(crate) unsafe fn free(&self, block: NonNull<u8>, counters: &Totals) -> Result<(), Misuse> {
        let account = self.account(counters);
        let bytes = match self.granule_at(block) {
            Some((reservation, granule)) => {
                let (pages, excess) = self.locked(account, |shared| {
                    let Some(pages) = reservation.block_pages(block) else {
                        return Err(misuse(reservation, granule, block));
                    };
                    shared.spans.put(reservation, granule);
                    Ok((pages, self.excess(&shared.spans)))
                })?;
                self.trim(excess, account);
                pages * PAGE
            }
            None => self.unmap(block, account)?,
        };
        counters.large_frees.add(1);
        counters.large_freed_bytes.add(bytes as u64);
        Ok(())
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
