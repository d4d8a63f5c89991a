//! What is known of each page and each page heap, by number, outside of the pages themselves.
//!
//! ```text
//! page:  | heap, next pending, remote map | neighbours, siblings, counts, free map       |
//! heap:  | pending, next idle             | available, whole, first page, counts        |
//!          others read and write            only the holder
//! ```
//!
//! Each half has lines of its own, so that a holder at work and threads that free its blocks do not take turns at
//! one line. Where a page has at most 320 blocks a half is one line that matters.
//!
//! Numbers are kept plus 1, so that zero is none: a table that was never touched is a table of pages without heap.

#[cfg(not(loom))]
use crate::error::PoolError;
use crate::site::Tally;
use crate::sync::{AtomicU16, AtomicU32, Ordering, Padded};

use super::free_map::FreeMap;
use super::idle::IdleStack;
use super::page_heap::PageHeap;
use super::pending::Pending;
use super::remote_map::RemoteMap;
use super::table::{Table, Zeroed};

/// A number or none, as a record keeps it. Relaxed: every use says what orders it.
#[derive(Debug)]
struct Link(AtomicU32);

impl Link {
    #[cfg(loom)]
    fn none() -> Link {
        Link(AtomicU32::new(0))
    }

    fn get(&self) -> Option<u32> {
        self.0.load(Ordering::Relaxed).checked_sub(1)
    }

    fn set(&self, to: Option<u32>) {
        self.0.store(to.map_or(0, |number| number + 1), Ordering::Relaxed);
    }
}

/// One page.
pub(super) struct PageRecord {
    shared: Padded<SharedOfPage>,
    held: Padded<HeldOfPage>,
}

#[repr(C)]
struct SharedOfPage {
    heap: Link,
    next_pending: Link,
    remote: RemoteMap,
}

#[repr(C)]
struct HeldOfPage {
    next_listed: Link,
    previous_listed: Link,
    next_sibling: Link,
    previous_sibling: Link,
    listing: AtomicU32,
    out: AtomicU16,
    used: AtomicU16,
    free: FreeMap,
}

/// On which of its heap's stacks a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    /// On none: it has no free block.
    Unlisted = 0,
    /// Available: it has some.
    Available = 1,
    /// Whole: it has all of its blocks.
    Whole = 2,
}

/// One page heap.
pub(super) struct HeapRecord {
    shared: Padded<SharedOfHeap>,
    held: Padded<HeldOfHeap>,
}

struct SharedOfHeap {
    pending: Pending,
    next_idle: Link,
}

struct HeldOfHeap {
    available: Link,
    whole: Link,
    first_page: Link,
    pages: AtomicU32,
    wholes: AtomicU32,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<PageRecord>() == 256 && size_of::<HeapRecord>() == 256);

// SAFETY: atomics and arrays of them, for which all-zero bytes are valid and which change through shared references.
unsafe impl Zeroed for PageRecord {
    #[cfg(loom)]
    fn zeroed() -> PageRecord {
        PageRecord {
            shared: Padded(SharedOfPage {
                heap: Link::none(),
                next_pending: Link::none(),
                remote: RemoteMap::empty(),
            }),
            held: Padded(HeldOfPage {
                next_listed: Link::none(),
                previous_listed: Link::none(),
                next_sibling: Link::none(),
                previous_sibling: Link::none(),
                listing: AtomicU32::new(0),
                out: AtomicU16::new(0),
                used: AtomicU16::new(0),
                free: FreeMap::empty(),
            }),
        }
    }
}

// SAFETY: as for `PageRecord`.
unsafe impl Zeroed for HeapRecord {
    #[cfg(loom)]
    fn zeroed() -> HeapRecord {
        HeapRecord {
            shared: Padded(SharedOfHeap { pending: Pending::empty(), next_idle: Link::none() }),
            held: Padded(HeldOfHeap {
                available: Link::none(),
                whole: Link::none(),
                first_page: Link::none(),
                pages: AtomicU32::new(0),
                wholes: AtomicU32::new(0),
            }),
        }
    }
}

impl PageRecord {
    /// The heap that the page belongs to; none before its first and while it is between two.
    ///
    /// Exact for the holder of that heap, because only holders write it. Who owns a block of the page may see a heap that was
    /// merged since, never one that the page had before the block was handed out.
    pub(super) fn heap(&self) -> Option<u32> {
        self.shared.0.heap.get()
    }

    /// Only for the holder.
    pub(super) fn set_heap(&self, heap: Option<u32>) {
        self.shared.0.heap.set(heap);
    }

    pub(super) fn remote(&self) -> &RemoteMap {
        &self.shared.0.remote
    }

    /// Published by the Release CAS that put the page on its stack.
    pub(super) fn next_pending(&self) -> Option<u32> {
        self.shared.0.next_pending.get()
    }

    /// Only for the thread that is about to queue the page.
    pub(super) fn set_next_pending(&self, next: Option<u32>) {
        self.shared.0.next_pending.set(next);
    }

    /// Only for the holder, as all that follow.
    pub(super) fn free(&self) -> &FreeMap {
        &self.held.0.free
    }

    /// The page below it on the stack that its listing names.
    pub(super) fn next_listed(&self) -> Option<u32> {
        self.held.0.next_listed.get()
    }

    pub(super) fn set_next_listed(&self, next: Option<u32>) {
        self.held.0.next_listed.set(next);
    }

    /// The page above it there.
    pub(super) fn previous_listed(&self) -> Option<u32> {
        self.held.0.previous_listed.get()
    }

    pub(super) fn set_previous_listed(&self, previous: Option<u32>) {
        self.held.0.previous_listed.set(previous);
    }

    /// How many of its blocks are not in its free map.
    pub(super) fn out(&self) -> u32 {
        // Relaxed: the holder's own.
        self.held.0.out.load(Ordering::Relaxed).into()
    }

    pub(super) fn set_out(&self, out: u32) {
        // Relaxed: the holder's own. A page has at most 512 blocks.
        self.held.0.out.store(out as u16, Ordering::Relaxed);
    }

    /// From which block on none was ever handed out, so that they read as zeroes.
    pub(super) fn used(&self) -> u32 {
        // Relaxed: the holder's own.
        self.held.0.used.load(Ordering::Relaxed).into()
    }

    pub(super) fn set_used(&self, used: u32) {
        // Relaxed: the holder's own. As above.
        self.held.0.used.store(used as u16, Ordering::Relaxed);
    }

    /// The next of its heap's pages.
    pub(super) fn next_sibling(&self) -> Option<u32> {
        self.held.0.next_sibling.get()
    }

    pub(super) fn set_next_sibling(&self, next: Option<u32>) {
        self.held.0.next_sibling.set(next);
    }

    pub(super) fn previous_sibling(&self) -> Option<u32> {
        self.held.0.previous_sibling.get()
    }

    pub(super) fn set_previous_sibling(&self, previous: Option<u32>) {
        self.held.0.previous_sibling.set(previous);
    }

    pub(super) fn listing(&self) -> Listing {
        // Relaxed: the holder's own.
        match self.held.0.listing.load(Ordering::Relaxed) {
            0 => Listing::Unlisted,
            1 => Listing::Available,
            _ => Listing::Whole,
        }
    }

    pub(super) fn set_listing(&self, listing: Listing) {
        // Relaxed: the holder's own.
        self.held.0.listing.store(listing as u32, Ordering::Relaxed);
    }
}

impl HeapRecord {
    pub(super) fn pending(&self) -> &Pending {
        &self.shared.0.pending
    }

    /// The heap below on the idle stack, perhaps stale (idle.rs).
    pub(super) fn next_idle(&self) -> Option<u32> {
        self.shared.0.next_idle.get()
    }

    /// Only for the holder.
    pub(super) fn set_next_idle(&self, next: Option<u32>) {
        self.shared.0.next_idle.set(next);
    }

    /// The page on top of one of the two stacks. Only for the holder, as all that follow.
    pub(super) fn top(&self, listing: Listing) -> Option<u32> {
        if listing == Listing::Whole { self.held.0.whole.get() } else { self.held.0.available.get() }
    }

    pub(super) fn set_top(&self, listing: Listing, page: Option<u32>) {
        if listing == Listing::Whole { self.held.0.whole.set(page) } else { self.held.0.available.set(page) }
    }

    /// How many pages are whole.
    pub(super) fn wholes(&self) -> u32 {
        // Relaxed: the holder's own.
        self.held.0.wholes.load(Ordering::Relaxed)
    }

    pub(super) fn set_wholes(&self, wholes: u32) {
        // Relaxed: the holder's own.
        self.held.0.wholes.store(wholes, Ordering::Relaxed);
    }

    /// The first of all its pages.
    pub(super) fn first_page(&self) -> Option<u32> {
        self.held.0.first_page.get()
    }

    pub(super) fn set_first_page(&self, page: Option<u32>) {
        self.held.0.first_page.set(page);
    }

    /// How many pages it has.
    pub(super) fn pages(&self) -> u32 {
        // Relaxed: the holder's own.
        self.held.0.pages.load(Ordering::Relaxed)
    }

    pub(super) fn set_pages(&self, pages: u32) {
        // Relaxed: the holder's own.
        self.held.0.pages.store(pages, Ordering::Relaxed);
    }
}

/// Every page and every page heap of a pool.
pub(crate) struct Records {
    pages: Table<PageRecord>,
    heaps: Table<HeapRecord>,
    /// Heap numbers that were ever in use.
    founded: AtomicU32,
    /// Those of them that no heap has now.
    vacant: IdleStack,
}

impl Records {
    /// Records for pages with numbers below `pages`, and for `heaps` page heaps.
    #[cfg(not(loom))]
    pub(crate) fn reserve(pages: usize, heaps: usize) -> Result<Records, PoolError> {
        let bytes = pages * size_of::<PageRecord>() + heaps * size_of::<HeapRecord>();
        let error = |errno| PoolError::Reserve { bytes, errno };
        Ok(Records::over(Table::reserve(pages).map_err(error)?, Table::reserve(heaps).map_err(error)?))
    }

    #[cfg(loom)]
    pub(super) fn model(pages: usize) -> Records {
        Records::over(Table::model(pages), Table::model(pages))
    }

    fn over(pages: Table<PageRecord>, heaps: Table<HeapRecord>) -> Records {
        Records { pages, heaps, founded: AtomicU32::new(0), vacant: IdleStack::empty() }
    }

    pub(super) fn page(&self, number: u32) -> &PageRecord {
        &self.pages.entries()[number as usize]
    }

    pub(super) fn heap(&self, number: u32) -> &HeapRecord {
        &self.heaps.entries()[number as usize]
    }

    /// A new heap without pages; none if there are as many as the table has room for.
    pub(super) fn found(&self, tally: Tally<'_>) -> Option<PageHeap> {
        if let Some(heap) = self.vacant.pop(self, tally) {
            self.heap(heap.number()).pending().open();
            return Some(heap);
        }
        let room = self.heaps.entries().len();
        // Relaxed: hands out each number once and publishes nothing.
        let number = self.founded.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |founded| {
            ((founded as usize) < room).then_some(founded + 1)
        });
        number.ok().map(PageHeap::claim)
    }

    /// Takes the number of a heap back that has no pages any more and whose pending stack is closed.
    pub(super) fn dissolve(&self, heap: PageHeap, tally: Tally<'_>) {
        self.vacant.push(heap, self, tally);
    }

    /// Says that blocks were pushed on the remote map of `page`, and queues it for its holder if that is to be done.
    pub(super) fn announce(&self, page: u32, tally: Tally<'_>) {
        if self.page(page).remote().announce() {
            self.queue(page, tally);
        }
    }

    /// Takes a page off a queue on which it was found though it belongs to another heap, or to none (leaving.rs).
    pub(super) fn forward(&self, page: u32, tally: Tally<'_>) {
        if self.page(page).remote().withdraw() {
            self.queue(page, tally);
        }
    }

    /// Puts a page on its heap's pending stack. Only for who is obliged to.
    fn queue(&self, page: u32, tally: Tally<'_>) {
        let record = self.page(page);
        loop {
            match record.heap() {
                // Closed: the heap was merged, and since its closing was acquired, the record names a later heap.
                Some(heap) => {
                    if let Ok(()) = self.heap(heap).pending().push(page, self, tally) {
                        return;
                    }
                }
                // All its blocks had come back, the last of them before they were announced, and the page has left.
                None if record.remote().withdraw() => {}
                None => return,
            }
        }
    }
}
