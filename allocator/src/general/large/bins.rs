//! Free spans by length.
//!
//! Invariant: every free span is on the list of its length's bin, once, and a bin's bit is set exactly if its list is
//! not empty. A span that is in a bin is at least as long as the bin's lower bound; lengths that rounding gives (granule.rs)
//! are lower bounds, so whatever lies in their bin fits.

use super::record::NONE;
use super::reservation::Reservation;

/// Exact up to 8 granules, then eight a doubling up to 2^29.
const BINS: usize = 7 + 8 * 27;
const WORDS: usize = BINS.div_ceil(64);

/// The bin that spans of so many granules are in.
fn bin_of(granules: usize) -> usize {
    if granules < 8 {
        granules - 1
    } else {
        let shift = granules.ilog2() - 3;
        (7 + 8 * shift as usize + ((granules >> shift) & 7)).min(BINS - 1)
    }
}

/// The lists. Links are in the records of the spans' first granules.
pub(super) struct Bins {
    heads: [u32; BINS],
    filled: [u64; WORDS],
}

impl Bins {
    pub(super) const fn new() -> Bins {
        Bins { heads: [NONE; BINS], filled: [0; WORDS] }
    }

    /// Puts a free span on its list.
    pub(super) fn link(&mut self, reservation: &Reservation, start: usize, granules: usize) {
        let bin = bin_of(granules);
        let head = self.heads[bin];
        let record = reservation.record(start);
        record.set_previous(NONE);
        record.set_next(head);
        if head != NONE {
            reservation.record(head as usize).set_previous(start as u32);
        }
        self.heads[bin] = start as u32;
        self.filled[bin / 64] |= 1 << (bin % 64);
    }

    /// Takes a free span off its list.
    pub(super) fn unlink(&mut self, reservation: &Reservation, start: usize, granules: usize) {
        let bin = bin_of(granules);
        let record = reservation.record(start);
        let (next, previous) = (record.next(), record.previous());
        if next != NONE {
            reservation.record(next as usize).set_previous(previous);
        }
        if previous == NONE {
            self.heads[bin] = next;
            if next == NONE {
                self.filled[bin / 64] &= !(1 << (bin % 64));
            }
        } else {
            reservation.record(previous as usize).set_next(next);
        }
    }

    /// The first answer of `fits`, which is asked about the free spans that may hold `granules`, shortest bin first and the
    /// span that came back last first; at most `each` of a bin.
    pub(super) fn find<T>(
        &self,
        reservation: &Reservation,
        granules: usize,
        each: usize,
        mut fits: impl FnMut(usize) -> Option<T>,
    ) -> Option<T> {
        let first = bin_of(granules);
        for word in first / 64..WORDS {
            let mut bits = self.filled[word];
            if word == first / 64 {
                bits &= u64::MAX << (first % 64);
            }
            while bits != 0 {
                let mut at = self.heads[word * 64 + bits.trailing_zeros() as usize];
                bits &= bits - 1;
                for _ in 0..each {
                    if at == NONE {
                        break;
                    }
                    if let Some(answer) = fits(at as usize) {
                        return Some(answer);
                    }
                    at = reservation.record(at as usize).next();
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::granule::rounded;
    use super::*;

    #[test]
    fn bins_follow_the_lengths_and_rounded_lengths_are_their_lower_bounds() {
        let mut bin = 0;
        for granules in 1..200_000 {
            let next = bin_of(granules);
            assert!(next == bin || next == bin + 1, "{granules}");
            assert_eq!(next != bin || granules == 1, rounded(granules) == granules, "{granules}");
            bin = next;
        }
        assert!(bin_of(1 << 29) < BINS && bin_of(usize::MAX) < BINS);
    }
}
