//! Where a block goes: to memory that is there, before memory that the kernel must bring.
//!
//! A page that was never touched costs a fault, about a microsecond, which is more than all else that an allocation does. So free spans
//! that would hold a block are compared by how many of its pages they lack; the fewest win, and among equals the lowest
//! address. Blocks then gather at the lower end, and what is free lies together above them, in long spans, instead of being cut up by
//! whichever block came last: that is what keeps the sum of the memory small.
//!
//! Invariant: address space that was never used is taken where no span of those that were looked at holds the block, and then only.

use super::granule::{GRANULE, GRANULE_PAGES, granules_of, rounded};
use super::record::Tag;
use super::reservation::{HUGE, Reservation};
use super::spans::Spans;

/// Free spans of a bin that are looked at, before those of the next.
const TRIES: usize = 8;
/// Free spans that are compared at most: a bound for how long the lock is held. 16 with 4 of a bin, or 64 with 16, changed faults and size by
/// less than a tenth.
const LOOKS: usize = 32;

/// A place for a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The free span.
    pub(super) free: usize,
    /// Where the block starts in it.
    pub(super) start: usize,
    /// How many of the block's pages have no memory behind them.
    pub(super) cold: usize,
}

impl Spans {
    /// A place for `pages`, in what was used before or else above it.
    pub(super) fn place(&mut self, reservation: &Reservation, pages: usize, align: usize) -> Option<Place> {
        let (granules, preferred) = (rounded(granules_of(pages)), preferred(pages, align));
        if let Some(place) = self.warmest(reservation, pages, align, TRIES) {
            return Some(place);
        }
        let fresh = self
            .extend(reservation, granules, preferred)
            .or_else(|| self.extend(reservation, granules, align))
            .map(|(free, start)| Place { free, start, cold: cold(reservation, start, pages) });
        fresh.or_else(|| self.warmest(reservation, pages, align, usize::MAX))
    }

    /// Whether half of the memory of a block of `pages` is there, in some free span.
    pub(super) fn has_warm(&self, reservation: &Reservation, pages: usize) -> bool {
        self.warmest(reservation, pages, 1, TRIES).is_some_and(|place| place.cold <= pages / 2)
    }

    /// The place that lacks the fewest pages, the lowest of those, among some; `each` of a bin are asked whether they fit. Long
    /// blocks start where huge pages do, where the span has room for that.
    fn warmest(&self, reservation: &Reservation, pages: usize, align: usize, each: usize) -> Option<Place> {
        let (granules, preferred) = (rounded(granules_of(pages)), preferred(pages, align));
        let (mut best, mut looks): (Option<Place>, _) = (None, 0);
        self.bins.find(reservation, granules, each, |free| {
            let Tag::Free(len) = reservation.record(free).tag() else { return None };
            let start = [preferred, align].into_iter().find_map(|align| {
                reservation.aligned(free, align).filter(|start| start + granules <= free + len as usize)
            })?;
            if best.is_none_or(|best| best.cold > 0 || start < best.start) {
                let place = Place { free, start, cold: cold(reservation, start, pages) };
                if best.is_none_or(|best| (place.cold, place.start) < (best.cold, best.start)) {
                    best = Some(place);
                }
            }
            looks += 1;
            (looks == LOOKS).then_some(())
        });
        best
    }
}

/// The alignment that costs nothing but address space.
fn preferred(pages: usize, align: usize) -> usize {
    if granules_of(pages) * GRANULE >= HUGE { align.max(HUGE) } else { align }
}

/// How many of a block's pages have no memory behind them.
fn cold(reservation: &Reservation, start: usize, pages: usize) -> usize {
    let lacks = |granule: usize| {
        let used = (pages - granule * GRANULE_PAGES).min(GRANULE_PAGES);
        used.saturating_sub(reservation.memory(start + granule).touched())
    };
    (0..granules_of(pages)).map(lacks).sum()
}
