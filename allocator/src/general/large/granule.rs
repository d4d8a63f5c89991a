//! Sizes as pages and granules.
//!
//! ```text
//! span:   |    granule     |    granule     |    granule     |     64 KiB each; a block starts where a span starts
//! block:  |p|p|p|p|p|p|p|p|p|p|p|p|p|p|p|p|p|p|p|p|p|p|p| . .       pages; the rest of the span is never touched
//! ```
//!
//! Address space is rounded generously, so that spans fit again, and memory exactly: a block wastes less than a page.

/// The unit of address space.
pub(super) const GRANULE: usize = 64 << 10;
/// The unit of memory, as far as we count it. Where the machine's pages are larger, the kernel rounds, within the granule.
pub(super) const PAGE: usize = 4096;
/// Pages of a granule.
pub(super) const GRANULE_PAGES: usize = GRANULE / PAGE;

/// The largest size of a block: what pointers into it can be subtracted from one another, less room to round.
pub(super) const MAX_SIZE: usize = isize::MAX as usize - GRANULE;

/// Pages that hold `size` bytes, at least one; `None` above [`MAX_SIZE`].
pub(super) fn pages_of(size: usize) -> Option<usize> {
    (size <= MAX_SIZE).then(|| size.div_ceil(PAGE).max(1))
}

/// Granules that hold `pages`.
pub(super) fn granules_of(pages: usize) -> usize {
    pages.div_ceil(GRANULE_PAGES)
}

/// The length that a span of at least `granules` gets: eight steps a doubling, so that at most 12.5% of its address space is
/// wasted, and what one block leaves fits the next of about its size.
pub(super) fn rounded(granules: usize) -> usize {
    if granules <= 16 { granules } else { granules.next_multiple_of(1 << (granules.ilog2() - 3)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_wastes_an_eighth_at_most_and_is_stable() {
        let mut last = 0;
        for granules in 1..100_000 {
            let span = rounded(granules);
            assert!(span >= granules && (span - granules) * 8 <= granules, "{granules} -> {span}");
            assert_eq!(rounded(span), span);
            assert!(span >= last);
            last = span;
        }
    }

    #[test]
    fn a_block_has_a_page_and_no_more_than_can_be_addressed() {
        assert_eq!(pages_of(0), Some(1));
        assert_eq!(pages_of(4096), Some(1));
        assert_eq!(pages_of(4097), Some(2));
        assert!(pages_of(MAX_SIZE).is_some());
        assert_eq!(pages_of(MAX_SIZE + 1), None);
        assert_eq!(pages_of(usize::MAX), None);
    }
}
