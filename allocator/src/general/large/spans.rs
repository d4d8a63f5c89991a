//! Which granules are free, and how spans are cut and joined. All of it under the lock.
//!
//! Invariants: spans tile the reservation below the frontier; no two free spans are neighbours; `mapped` is the sum of all
//! touched pages, `cached` of those in free spans, which are exactly the granules that have an age.

use core::ops::Range;

use super::account::Account;
use super::bins::Bins;
use super::granule::{GRANULE_PAGES, PAGE, granules_of, rounded};
use super::place::Place;
use super::record::{Age, Tag};
use super::reservation::Reservation;

/// The frontier rises by this many granules at least (1 MiB), so that the kernel is not asked for each span.
const FRONTIER_STEP: usize = 16;
/// Granules that a sweep gives back at a time, and that it looks at: bounds for how long it holds the lock.
const SWEEP_BACK: usize = 64;
const SWEEP_LOOK: usize = 1 << 14;

/// Why there is no span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// More than the limit would be mapped.
    Limit,
    /// The reservation, or the kernel, has no more.
    Space,
}

/// Which idle granules a sweep gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sweep {
    /// Every one.
    All,
    /// Those that the last sweep found idle already; it makes the others old.
    Old,
}

/// What a step of a sweep did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Granules it passed.
    pub(super) passed: usize,
    /// Pages it gave back.
    pub(super) pages: usize,
}

/// The spans of one reservation.
pub(super) struct Spans {
    pub(super) bins: Bins,
    /// Pages of live blocks.
    pub(super) live: usize,
    /// The most that it ever was.
    pub(super) most_live: usize,
    /// Pages that free spans have memory behind.
    pub(super) cached: usize,
    /// Pages that have memory behind them.
    pub(super) mapped: usize,
}

impl Spans {
    pub(super) const fn new() -> Spans {
        Spans { bins: Bins::new(), live: 0, most_live: 0, cached: 0, mapped: 0 }
    }

    /// A span with room for `pages`, at a multiple of `align` bytes, taken for the caller, who must
    /// [`fill`](Reservation::fill) it next.
    pub(super) fn take(
        &mut self,
        reservation: &Reservation,
        pages: usize,
        align: usize,
        account: Account<'_>,
    ) -> Result<usize, Refusal> {
        let granules = rounded(granules_of(pages));
        let Place { free, start, .. } = self.place(reservation, pages, align).ok_or(Refusal::Space)?;
        let new = self.charge(reservation, start, 0..pages, account)?;
        account.counters.large_reuses.add(u64::from(new < pages));
        self.carve(reservation, free, start, granules);
        reservation.record(start).set_pages(pages);
        self.lives(self.live + pages);
        Ok(start)
    }

    /// Notes how many pages are live.
    fn lives(&mut self, pages: usize) {
        self.live = pages;
        self.most_live = self.most_live.max(pages);
    }

    /// Raises the frontier until the last free span holds `granules`.
    pub(super) fn extend(
        &mut self,
        reservation: &Reservation,
        granules: usize,
        align: usize,
    ) -> Option<(usize, usize)> {
        let frontier = reservation.frontier();
        let free = free_before(reservation, frontier).unwrap_or(frontier);
        let start = reservation.aligned(free, align)?;
        let end = start.checked_add(granules)?.max(frontier + 1);
        let generous = end.max(frontier + FRONTIER_STEP);
        let end = [generous, end].into_iter().find(|&end| reservation.advance(end))?;
        self.join(reservation, frontier, end - frontier);
        Some((free, start))
    }

    /// Charges those of a block's pages that nothing is behind yet; how many.
    fn charge(
        &mut self,
        reservation: &Reservation,
        start: usize,
        pages: Range<usize>,
        account: Account<'_>,
    ) -> Result<usize, Refusal> {
        let (mut fresh, mut again) = (0, 0);
        for i in pages.start / GRANULE_PAGES..granules_of(pages.end) {
            let used = (pages.end - i * GRANULE_PAGES).min(GRANULE_PAGES);
            let memory = reservation.memory(start + i);
            let (touched, before) = (memory.touched(), memory.returned());
            again += used.min(before).saturating_sub(touched);
            fresh += used.saturating_sub(touched.max(before));
        }
        if !account.charge((fresh + again) * PAGE) {
            return Err(Refusal::Limit);
        }
        account.counters.large_mapped_bytes.add((fresh * PAGE) as u64);
        account.counters.large_retaken_bytes.add((again * PAGE) as u64);
        self.mapped += fresh + again;
        Ok(fresh + again)
    }

    /// Cuts `granules` from `start` on out of the free span at `free`.
    fn carve(&mut self, reservation: &Reservation, free: usize, start: usize, granules: usize) {
        let len = self.detach(reservation, free);
        if start > free {
            self.insert(reservation, free, start - free);
        }
        let (end, free_end) = (start + granules, free + len);
        if end < free_end {
            self.insert(reservation, end, free_end - end);
        }
        reservation.record(start).set_tag(Tag::Live(granules as u32));
        for granule in start..end {
            let memory = reservation.memory(granule);
            if memory.age() != Age::None {
                self.cached -= memory.touched();
                memory.set(memory.touched(), Age::None);
            }
        }
    }

    /// Takes a block back. Its memory stays behind the span.
    pub(super) fn put(&mut self, reservation: &Reservation, start: usize) {
        let Some(granules) = reservation.live_granules(start) else { return };
        self.live -= reservation.record(start).pages();
        self.idle(reservation, start, granules);
    }

    /// Makes granules of a live span a free one.
    fn idle(&mut self, reservation: &Reservation, start: usize, granules: usize) {
        for granule in start..start + granules {
            let memory = reservation.memory(granule);
            self.cached += memory.touched();
            memory.set(memory.touched(), Age::New);
        }
        self.join(reservation, start, granules);
    }

    /// Takes back a block whose memory was moved elsewhere.
    pub(super) fn put_vacated(&mut self, reservation: &Reservation, start: usize, account: Account<'_>) {
        let granules = reservation.live_granules(start).unwrap_or(0);
        self.given_back(reservation, start, granules, account);
        self.put(reservation, start);
    }

    /// Notes that granules have no memory any more.
    fn given_back(&mut self, reservation: &Reservation, start: usize, granules: usize, account: Account<'_>) {
        let pages = touched(reservation, start, granules);
        for granule in start..start + granules {
            reservation.memory(granule).give_back();
        }
        self.mapped -= pages;
        account.limit.give_back(pages * PAGE);
        account.counters.large_purged_bytes.add((pages * PAGE) as u64);
    }

    /// Makes the block at `start` fit `pages` without moving it, if that can be; how many it had. The caller must
    /// [`fill`](Reservation::fill) what was added.
    pub(super) fn resize(
        &mut self,
        reservation: &Reservation,
        start: usize,
        pages: usize,
        account: Account<'_>,
    ) -> Result<usize, Refusal> {
        let granules = reservation.live_granules(start).ok_or(Refusal::Space)?;
        let (least, want) = (granules_of(pages), rounded(granules_of(pages)));
        let record = reservation.record(start);
        let had = record.pages();
        let end = start + granules;
        let room = if least > granules { self.room_after(reservation, end, start + want) } else { 0 };
        if granules + room < least {
            return Err(Refusal::Space);
        }
        self.charge(reservation, start, had.min(pages)..pages, account)?;
        if least > granules {
            let len = want.min(granules + room);
            self.carve(reservation, end, end, len - granules);
            reservation.record(end).set_tag(Tag::Inside);
            record.set_tag(Tag::Live(len as u32));
        } else if want < granules {
            record.set_tag(Tag::Live(want as u32));
            self.idle(reservation, start + want, granules - want);
        }
        self.lives(self.live - had + pages);
        record.set_pages(pages);
        Ok(had)
    }

    /// Free granules from `end` on, where a live span ends; the last one's are what was never used, up to `wanted`.
    fn room_after(&mut self, reservation: &Reservation, end: usize, wanted: usize) -> usize {
        let frontier = reservation.frontier();
        let free = free_after(reservation, end).unwrap_or(0);
        let target = wanted.max(frontier + FRONTIER_STEP);
        if end + free < wanted && end + free == frontier && reservation.advance(target) {
            self.join(reservation, frontier, target - frontier);
        }
        free_after(reservation, end).unwrap_or(0)
    }

    /// Makes granules that are in no bin a free span, together with their free neighbours.
    fn join(&mut self, reservation: &Reservation, start: usize, granules: usize) {
        let (mut first, mut end) = (start, start + granules);
        reservation.record(start).set_tag(Tag::Inside);
        if let Some(free) = free_before(reservation, start) {
            self.detach(reservation, free);
            first = free;
        }
        if free_after(reservation, end).is_some() {
            end += self.detach(reservation, end);
        }
        self.insert(reservation, first, end - first);
    }

    /// Puts a free span into its bin and tags it.
    fn insert(&mut self, reservation: &Reservation, start: usize, granules: usize) {
        reservation.record(start).set_tag(Tag::Free(granules as u32));
        if granules > 1 {
            reservation.record(start + granules - 1).set_tag(Tag::FreeEnd(granules as u32));
        }
        self.bins.link(reservation, start, granules);
    }

    /// Takes a free span out of its bin and its tags away; its length.
    fn detach(&mut self, reservation: &Reservation, start: usize) -> usize {
        let Tag::Free(len) = reservation.record(start).tag() else {
            unreachable!("no free span starts here")
        };
        let len = len as usize;
        self.bins.unlink(reservation, start, len);
        reservation.record(start + len - 1).set_tag(Tag::Inside);
        reservation.record(start).set_tag(Tag::Inside);
        len
    }

    /// One step of a sweep over `granules`, from their end down, where blocks are placed last: of the next run of idle ones up to
    /// `at_most` pages, or a granule, go back to the kernel.
    pub(super) fn sweep(
        &mut self,
        reservation: &Reservation,
        granules: Range<usize>,
        sweep: Sweep,
        at_most: usize,
        account: Account<'_>,
    ) -> Step {
        let from = granules.end;
        let end = granules.start.max(from.saturating_sub(SWEEP_LOOK));
        let back = |age| age == Age::Old || (age == Age::New && sweep == Sweep::All);
        let mut at = from;
        while at > end && !back(reservation.memory(at - 1).age()) {
            let memory = reservation.memory(at - 1);
            if memory.age() == Age::New {
                memory.set(memory.touched(), Age::Old);
            }
            at -= 1;
        }
        let (above, mut pages) = (at, 0);
        while at > end && above - at < SWEEP_BACK && pages < at_most && back(reservation.memory(at - 1).age())
        {
            at -= 1;
            pages += reservation.memory(at).touched();
        }
        // SAFETY: a granule that has an age is of a free span, and the caller holds the lock.
        if pages == 0 || !unsafe { reservation.discard(at, above - at) } {
            return Step { passed: from - at, pages: 0 };
        }
        self.cached -= pages;
        self.given_back(reservation, at, above - at, account);
        Step { passed: from - at, pages }
    }

    /// The bins, for tests that look at free spans.
    #[cfg(test)]
    pub(super) fn free_spans(&self, reservation: &Reservation) -> Vec<(usize, usize)> {
        let mut spans = Vec::new();
        self.bins.find(reservation, 1, usize::MAX, |start| {
            let Tag::Free(len) = reservation.record(start).tag() else {
                panic!("a bin names a span that is not free")
            };
            spans.push((start, len as usize));
            None::<()>
        });
        spans
    }
}

/// Pages of granules that have memory behind them.
pub(super) fn touched(reservation: &Reservation, start: usize, granules: usize) -> usize {
    (start..start + granules).map(|granule| reservation.memory(granule).touched()).sum()
}

/// Where the free span starts that ends just before `granule`.
fn free_before(reservation: &Reservation, granule: usize) -> Option<usize> {
    match reservation.record(granule.checked_sub(1)?).tag() {
        Tag::Free(1) => Some(granule - 1),
        Tag::FreeEnd(len) => Some(granule - len as usize),
        _ => None,
    }
}

/// The length of the free span that starts at `granule`.
fn free_after(reservation: &Reservation, granule: usize) -> Option<usize> {
    if granule >= reservation.frontier() {
        return None;
    }
    match reservation.record(granule).tag() {
        Tag::Free(len) => Some(len as usize),
        _ => None,
    }
}
