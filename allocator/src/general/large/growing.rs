//! Blocks that change their size: in place, or by moving their pages.
//!
//! In place while free granules follow. Otherwise it is copied; but a block that gets [`Bounds::leave`](super::Bounds) bytes or more and
//! for which half of the memory would have to be brought leaves the reservation: its pages move (`MREMAP_DONTUNMAP`: the span stays mapped, empty, and is free), and from then on the kernel
//! grows it. Invariant: whatever fails, the block is where it was, with its contents.
//!
//! What it costs, on Linux 6.18 and two processors, best of 15:
//!
//! | | copied to warm pages | copied to fresh pages | moved, in four calls |
//! |---|---|---|---|
//! | 256 KiB | 2 us | 87 us | 11 us |
//! | 1 MiB | 17 us | 309 us | 19 us |
//! | 4 MiB | 63 us | 1263 us | 15 us |
//! | 16 MiB | 566 us | 5374 us | 35 us |
//!
//! A program that grows such a block again and again finds warm spans, while a block that left has all its pages faulted in
//! anew each time, because its mapping goes back to the kernel at its end. So it stays for longer than the columns say, and where
//! memory for it lies idle it does not leave at all: of 100 blocks of up to 16 MiB that come and go, half grown, leaving at 4 MiB took
//! 50 faults for an allocation, this 13.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::account::Account;
use super::granule::{GRANULE, PAGE, pages_of};
use super::reservation::Reservation;
use super::spans::{Refusal, Sweep};
use super::{Large, Totals, direct};

/// Up to this size and alignment a block is not large, and is better moved to where such blocks are.
pub(super) const SMALL: usize = 32 << 10;
/// Not more blocks leave than leads to so many mappings: the kernel allows a process 65530 mappings, and others need some.
const LEAVE_MAPPINGS: usize = 8192;

impl Large {
    /// Makes a block one of `size` bytes, where it is or by moving its pages; bytes that are added are undefined. `None`: it is as it was,
    /// and the caller should allocate, copy and free (the new size may not be large).
    ///
    /// # Safety
    /// `block` is a live large block of the caller's, which is not used at its old address afterwards.
    pub(crate) unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        size: usize,
        align: usize,
        counters: &Totals,
    ) -> Option<NonNull<u8>> {
        let account = self.account(counters);
        let pages = pages_of(size)?;
        let not_large = size <= SMALL && align <= SMALL;
        if not_large || !block.addr().get().is_multiple_of(align) {
            return None;
        }
        let Some((reservation, start)) = self.granule_at(block) else {
            // SAFETY: the caller's block.
            return unsafe { self.resize_mapping(block, size, align <= PAGE, account) };
        };
        let mut resized = self.resize_span(reservation, start, pages, account);
        if resized == Err(Refusal::Limit) && self.sweep(Sweep::All, 0, account) > 0 {
            resized = self.resize_span(reservation, start, pages, account);
        }
        match resized {
            Ok(()) => Some(block),
            Err(Refusal::Space)
                if pages * PAGE >= self.bounds.leave
                    && align <= PAGE
                    && !self.locked(account, |shared| shared.spans.has_warm(reservation, pages)) =>
            {
                // SAFETY: the caller's block.
                unsafe { self.leave(reservation, start, pages * PAGE, account) }
            }
            Err(_) => None,
        }
    }

    fn resize_span(
        &self,
        reservation: &Reservation,
        start: usize,
        pages: usize,
        account: Account<'_>,
    ) -> Result<(), Refusal> {
        if pages.saturating_mul(PAGE) >= self.bounds.direct {
            return Err(Refusal::Space);
        }
        let (had, excess) = self.locked(account, |shared| {
            let had = shared.spans.resize(reservation, start, pages, account)?;
            Ok((had, self.excess(&shared.spans)))
        })?;
        if pages > had {
            // SAFETY: the span is the caller's, and has room for so many pages since `resize`.
            unsafe { reservation.fill(start, had..pages, false) };
            account.counters.large_grown_in_place.add(1);
        }
        account.count_change(had * PAGE, pages * PAGE);
        self.trim(excess, account);
        Ok(())
    }

    /// Moves a block out of the reservation into a mapping of its own.
    ///
    /// # Safety
    /// The caller owns the block.
    #[cold]
    unsafe fn leave(
        &self,
        reservation: &Reservation,
        start: usize,
        size: usize,
        account: Account<'_>,
    ) -> Option<NonNull<u8>> {
        // Relaxed: a flag that is only raised, and a late look at it costs one more address range.
        if self.copies.load(Ordering::Relaxed) {
            return None;
        }
        let len = direct::len_of(size);
        let granules = reservation.live_granules(start)?;
        let had = reservation.record(start).pages() * PAGE;
        let promised = self
            .locked(account, |shared| shared.registry.len() < LEAVE_MAPPINGS && shared.registry.promise());
        if !promised {
            return None;
        }
        // What is behind the span is given back once it has moved: until then both are charged, as for a copy.
        let moved = if account.charge(len) {
            // SAFETY: the caller's block; its span has so many granules.
            let moved = unsafe { move_pages(reservation, start, granules, len) };
            if let Err(why) = moved {
                account.limit.give_back(len);
                // Relaxed: as above.
                self.copies.fetch_or(why == Unmoved::Never, Ordering::Relaxed);
            }
            moved.ok()
        } else {
            None
        };
        let Some(block) = moved else {
            self.locked(account, |shared| shared.registry.forget());
            return None;
        };
        let excess = self.locked(account, |shared| {
            shared.spans.put_vacated(reservation, start, account);
            shared.register(block, len);
            self.excess(&shared.spans)
        });
        account.counters.large_mapped_bytes.add(len as u64);
        account.counters.large_direct_mappings.add(1);
        account.counters.large_moved.add(1);
        account.count_change(had, len);
        self.trim(excess, account);
        Some(block)
    }
}

/// Why pages were not moved. They are where they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unmoved {
    /// These cannot be: there is no address space, or what has moved could not grow and was copied back, or the program has made
    /// several mappings of them.
    NotThese,
    /// The kernel does not know how. The mapping that was to get them may be gone, and must be left alone: another thread's may be
    /// there.
    Never,
}

/// Moves the pages of a span to a mapping of `len` bytes of their own.
///
/// # Safety
/// The caller owns the span of `granules` that starts at `start`.
unsafe fn move_pages(
    reservation: &Reservation,
    start: usize,
    granules: usize,
    len: usize,
) -> Result<NonNull<u8>, Unmoved> {
    if !reservation.is_one_mapping(start, granules) {
        return Err(Unmoved::NotThese);
    }
    let had = granules * GRANULE;
    // Of the same length first: what is moved onto a part of a mapping stays a mapping of its own, and the block would be two.
    let block = direct::map(had, PAGE, false).ok_or(Unmoved::NotThese)?;
    // SAFETY: the caller's span, and a mapping that was made for it.
    if !unsafe { reservation.move_out(start, granules, block) } {
        return Err(Unmoved::Never);
    }
    // SAFETY: the kernel has just made this mapping for us, of this length.
    let grown = unsafe { direct::resize(block, had, len, true) };
    if grown.is_none() {
        // No room to grow (a limit of the process). The span is still mapped, so the bytes can go back.
        // SAFETY: both are `had` bytes and ours, and apart; the mapping is not used after.
        unsafe {
            reservation.address(start).copy_from_nonoverlapping(block, had);
            direct::unmap(block, had);
        }
    }
    grown.ok_or(Unmoved::NotThese)
}
