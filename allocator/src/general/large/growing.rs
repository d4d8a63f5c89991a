//! Blocks that change their size: in place, or by moving their pages.
//!
//! In place while free granules follow. Otherwise a block that gets [`LEAVE`] bytes or more leaves the reservation: its pages move
//! (`MREMAP_DONTUNMAP`: the span stays mapped, empty, and is free), and from then on the kernel grows it. Invariant: whatever
//! fails, the block is where it was, with its contents.
//!
//! What it costs, on Linux 6.18 and two processors, best of 15:
//!
//! | | copied to warm pages | copied to fresh pages | moved, in two calls |
//! |---|---|---|---|
//! | 256 KiB | 2 us | 87 us | 7 us |
//! | 1 MiB | 17 us | 309 us | 14 us |
//! | 4 MiB | 63 us | 1263 us | 9 us |
//! | 16 MiB | 566 us | 5374 us | 22 us |
//!
//! A program that grows such a block again and again finds warm spans, while a block that left has all its pages faulted in
//! anew each time, because its mapping goes back to the kernel at its end. So it stays for longer than the columns say.

use core::ptr::NonNull;

use super::granule::{GRANULE, PAGE, pages_of};
use super::record::Tag;
use super::reservation::Reservation;
use super::spans::{Refusal, Sweep, touched};
use super::{Large, Totals, direct};

/// Up to this size and alignment a block is not large, and is better moved to where such blocks are.
const SMALL: usize = 32 << 10;
/// Blocks that get this size leave the reservation rather than be copied.
pub(super) const LEAVE: usize = 4 << 20;
/// Not more of them than this: the kernel allows a process 65530 mappings, and others need some.
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
        let pages = pages_of(size)?;
        let not_large = size <= SMALL && align <= SMALL;
        if not_large || !block.addr().get().is_multiple_of(align) {
            return None;
        }
        match self.reservation().and_then(|r| Some((r, r.granule_at(block)?))) {
            Some((reservation, start)) => {
                let mut resized = self.resize_span(reservation, start, pages, counters);
                if resized == Err(Refusal::Limit) && self.sweep(Sweep::All, 0) > 0 {
                    resized = self.resize_span(reservation, start, pages, counters);
                }
                match resized {
                    Ok(()) => Some(block),
                    Err(Refusal::Space) if pages * PAGE >= LEAVE && align <= PAGE => {
                        // SAFETY: the caller's block.
                        unsafe { self.leave(reservation, start, pages * PAGE, counters) }
                    }
                    Err(_) => None,
                }
            }
            // SAFETY: the caller's block.
            None => unsafe { self.resize_mapping(block, size, align <= PAGE, counters) },
        }
    }

    fn resize_span(
        &self,
        reservation: &Reservation,
        start: usize,
        pages: usize,
        counters: &Totals,
    ) -> Result<(), Refusal> {
        if pages.saturating_mul(PAGE) >= self.bounds.direct {
            return Err(Refusal::Space);
        }
        let had = self.shared.with(Some(&counters.large_lock_contended), |shared| {
            let Tag::Live(granules) = reservation.record(start).tag() else { return Err(Refusal::Space) };
            shared.spans.resize(reservation, (start, granules as usize), pages, self.limit)
        })?;
        if pages > had {
            // SAFETY: the span is the caller's, and has room for so many pages since `resize`.
            unsafe { reservation.fill(start, had..pages, false) };
        }
        counters.large_resized_in_place.add(1);
        count_change(had * PAGE, pages * PAGE, counters);
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
        counters: &Totals,
    ) -> Option<NonNull<u8>> {
        let len = direct::len_of(size);
        let Tag::Live(granules) = reservation.record(start).tag() else { return None };
        let (granules, had) = (granules as usize, reservation.record(start).pages() * PAGE);
        let promised = self.shared.with(Some(&counters.large_lock_contended), |shared| {
            shared.registry.len() < LEAVE_MAPPINGS && shared.registry.promise()
        });
        if !promised {
            return None;
        }
        // The owner alone changes what is touched.
        let charged = touched(reservation, start, granules) * PAGE;
        let more = len.saturating_sub(charged);
        if !self.limit.take(more) {
            self.break_promise(counters);
            return None;
        }
        // SAFETY: the caller's block; its span has so many granules.
        let Some(block) = (unsafe { move_pages(reservation, start, granules, len) }) else {
            self.break_promise(counters);
            self.limit.give_back(more);
            return None;
        };
        self.shared.with(Some(&counters.large_lock_contended), |shared| {
            shared.spans.put_vacated(reservation, start, granules);
            shared.registry.insert(block, len);
            shared.direct += len;
        });
        self.limit.give_back(charged.saturating_sub(len));
        counters.large_mappings.add(1);
        counters.large_moved.add(1);
        count_change(had, len, counters);
        Some(block)
    }

    /// Makes a mapping longer or shorter, which may move it.
    ///
    /// # Safety
    /// The caller owns the block.
    #[cold]
    unsafe fn resize_mapping(
        &self,
        block: NonNull<u8>,
        size: usize,
        may_move: bool,
        counters: &Totals,
    ) -> Option<NonNull<u8>> {
        let new = direct::len_of(size);
        // Out of the registry before the kernel may give its address to another thread; the promise keeps its place.
        let old = self.shared.with(Some(&counters.large_lock_contended), |shared| {
            let old = shared.registry.get(block)?;
            if !shared.registry.promise() {
                return None;
            }
            shared.registry.remove(block);
            shared.direct -= old;
            Some(old)
        })?;
        let more = new.saturating_sub(old);
        let mut resized = None;
        if self.limit.take(more) {
            // SAFETY: a whole mapping of the caller's, by the registry.
            resized = unsafe { direct::resize(block, old, new, may_move) };
            if resized.is_none() {
                self.limit.give_back(more);
            }
        }
        let Some(moved) = resized else {
            self.register(block, old, counters);
            return None;
        };
        self.register(moved, new, counters);
        self.limit.give_back(old.saturating_sub(new));
        let count = if moved == block { &counters.large_resized_in_place } else { &counters.large_moved };
        count.add(1);
        count_change(old, new, counters);
        Some(moved)
    }
}

/// Moves the pages of a span to a mapping of `len` bytes of their own. `None`: they are where they were.
///
/// # Safety
/// The caller owns the span of `granules` that starts at `start`.
unsafe fn move_pages(
    reservation: &Reservation,
    start: usize,
    granules: usize,
    len: usize,
) -> Option<NonNull<u8>> {
    // SAFETY: the caller's span.
    let block = unsafe { reservation.move_out(start, granules) }?;
    let had = granules * GRANULE;
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
    grown
}

/// Counts what a block grew or shrank by.
fn count_change(old: usize, new: usize, counters: &Totals) {
    counters.large_bytes_allocated.add(new.saturating_sub(old) as u64);
    counters.large_bytes_freed.add(old.saturating_sub(new) as u64);
}
