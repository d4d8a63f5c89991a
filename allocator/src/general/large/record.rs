//! What is known of each granule, outside the memory itself: a tag and links, and a word about its pages.
//!
//! Invariant: every granule below the frontier belongs to one span. Only the first granule of a span has a tag that says
//! what the span is; the last of a free one says so as well, so that a neighbour finds its start. All others say
//! [`Tag::Inside`]. So a span of any length is taken and given back by writing a few records.

use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use super::granule::GRANULE_PAGES;

/// No granule.
pub(super) const NONE: u32 = u32::MAX;

/// What stands at a granule. Lengths are in granules, of the whole span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// Inside a span, live or free.
    Inside,
    /// A block starts here.
    Live(u32),
    /// A free span starts here.
    Free(u32),
    /// A free span of more than one granule ends here.
    FreeEnd(u32),
}

const KIND_SHIFT: u32 = 30;

/// Tag and links of one granule; zeroes are [`Tag::Inside`]. Changed under the lock alone. Relaxed everywhere: the lock orders
/// whoever changes it, and who looks without the lock has the live block's pointer, and with it what happened before.
#[repr(C)]
pub(super) struct Record {
    tag: AtomicU32,
    /// Pages of the block that starts here.
    pages: AtomicU32,
    /// Neighbours in the bin of the free span that starts here.
    next: AtomicU32,
    previous: AtomicU32,
}

impl Record {
    pub(super) fn tag(&self) -> Tag {
        let word = self.tag.load(Ordering::Relaxed);
        let len = word & ((1 << KIND_SHIFT) - 1);
        match word >> KIND_SHIFT {
            0 => Tag::Inside,
            1 => Tag::Live(len),
            2 => Tag::Free(len),
            _ => Tag::FreeEnd(len),
        }
    }

    pub(super) fn set_tag(&self, tag: Tag) {
        let (kind, len) = match tag {
            Tag::Inside => (0, 0),
            Tag::Live(len) => (1, len),
            Tag::Free(len) => (2, len),
            Tag::FreeEnd(len) => (3, len),
        };
        self.tag.store(kind << KIND_SHIFT | len, Ordering::Relaxed);
    }

    pub(super) fn pages(&self) -> usize {
        self.pages.load(Ordering::Relaxed) as usize
    }

    pub(super) fn set_pages(&self, pages: usize) {
        self.pages.store(pages as u32, Ordering::Relaxed);
    }

    pub(super) fn next(&self) -> u32 {
        self.next.load(Ordering::Relaxed)
    }

    pub(super) fn set_next(&self, next: u32) {
        self.next.store(next, Ordering::Relaxed);
    }

    pub(super) fn previous(&self) -> u32 {
        self.previous.load(Ordering::Relaxed)
    }

    pub(super) fn set_previous(&self, previous: u32) {
        self.previous.store(previous, Ordering::Relaxed);
    }
}

/// For how long a granule has lain idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Age {
    /// It is in use, or has no memory that could go back.
    None,
    /// It came back since the last sweep.
    New,
    /// It has been idle since a sweep before that.
    Old,
}

const PAGES: u16 = 0x1F;
const RETURNED_SHIFT: u32 = 5;
const AGE_SHIFT: u32 = 10;

const _: () = assert!(GRANULE_PAGES <= PAGES as usize);

/// How many of a granule's pages may have memory behind them (always the first so many), how many had before it was given back,
/// and its age. Zeroes: none, none, and no age.
///
/// The owner of a live span writes those of its granules, the holder of the lock those of free spans. Relaxed: a sweep looks at all
/// of them and acts on those of free spans, which the lock orders.
#[repr(transparent)]
pub(super) struct Memory(AtomicU16);

impl Memory {
    pub(super) fn touched(&self) -> usize {
        usize::from(self.0.load(Ordering::Relaxed) & PAGES)
    }

    /// Of these first pages, those that are not touched may have been before.
    pub(super) fn returned(&self) -> usize {
        usize::from(self.0.load(Ordering::Relaxed) >> RETURNED_SHIFT & PAGES)
    }

    pub(super) fn age(&self) -> Age {
        match self.0.load(Ordering::Relaxed) >> AGE_SHIFT {
            0 => Age::None,
            1 => Age::New,
            _ => Age::Old,
        }
    }

    pub(super) fn set(&self, touched: usize, age: Age) {
        self.store(touched, self.returned(), if touched == 0 { Age::None } else { age });
    }

    /// Its memory went back to the kernel, or elsewhere.
    pub(super) fn give_back(&self) {
        self.store(0, self.returned().max(self.touched()), Age::None);
    }

    fn store(&self, touched: usize, returned: usize, age: Age) {
        let word = touched as u16 | (returned as u16) << RETURNED_SHIFT | (age as u16) << AGE_SHIFT;
        self.0.store(word, Ordering::Relaxed);
    }
}
