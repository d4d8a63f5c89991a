//! What is known of each page and each page heap, by number, outside of the pages themselves.
//!
//! ```text
//! page:  | heap, next pending, remote map | next available, listed, free map |
//! heap:  | pending, merged into, next idle | available, pages               |
//!          others read and write             only the holder
//! ```
//!
//! Each half has lines of its own, so that a holder at work and threads that free its blocks do not take turns at
//! one line. Up to class 5120 a half is one line that matters.
//!
//! Numbers are kept plus 1, so that zero is none: a table that was never touched is a table of pages without heap.

#[cfg(not(loom))]
use crate::error::PoolError;
use crate::site::Site;
use crate::sync::{AtomicU32, Ordering, Padded};

use super::free_map::FreeMap;
use super::pending::{Closed, Pending};
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
    next_available: Link,
    listed: AtomicU32,
    free: FreeMap,
}

/// One page heap.
pub(super) struct HeapRecord {
    shared: Padded<SharedOfHeap>,
    held: Padded<HeldOfHeap>,
}

struct SharedOfHeap {
    pending: Pending,
    merged_into: Link,
    next_idle: Link,
}

struct HeldOfHeap {
    available: Link,
    pages: AtomicU32,
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
                next_available: Link::none(),
                listed: AtomicU32::new(0),
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
            shared: Padded(SharedOfHeap {
                pending: Pending::empty(),
                merged_into: Link::none(),
                next_idle: Link::none(),
            }),
            held: Padded(HeldOfHeap { available: Link::none(), pages: AtomicU32::new(0) }),
        }
    }
}

impl PageRecord {
    /// The heap that the page belongs to, or one that was merged into it. Anybody may ask who has had a block of the page:
    /// with the block came a value, and every later one leads to the same heap.
    pub(super) fn heap(&self) -> Option<u32> {
        self.shared.0.heap.get()
    }

    /// Only for the holder, who says the same in fewer steps, or speaks of a fresh page.
    pub(super) fn set_heap(&self, heap: u32) {
        self.shared.0.heap.set(Some(heap));
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

    pub(super) fn next_available(&self) -> Option<u32> {
        self.held.0.next_available.get()
    }

    pub(super) fn set_next_available(&self, next: Option<u32>) {
        self.held.0.next_available.set(next);
    }

    /// Whether the page is on the available stack.
    pub(super) fn is_listed(&self) -> bool {
        // Relaxed: the holder's own.
        self.held.0.listed.load(Ordering::Relaxed) != 0
    }

    pub(super) fn set_listed(&self, listed: bool) {
        // Relaxed: the holder's own.
        self.held.0.listed.store(u32::from(listed), Ordering::Relaxed);
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

    pub(super) fn merged_into(&self) -> Option<u32> {
        self.shared.0.merged_into.get()
    }

    /// Only for the holder of both.
    pub(super) fn set_merged_into(&self, heap: u32) {
        self.shared.0.merged_into.set(Some(heap));
    }

    /// The page on top of the available stack. Only for the holder, as all that follow.
    pub(super) fn available(&self) -> Option<u32> {
        self.held.0.available.get()
    }

    pub(super) fn set_available(&self, page: Option<u32>) {
        self.held.0.available.set(page);
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
pub(super) struct Records {
    pages: Table<PageRecord>,
    heaps: Table<HeapRecord>,
}

impl Records {
    /// Records for `pages` pages, and as many page heaps: each is founded on a page of its own.
    #[cfg(not(loom))]
    pub(super) fn reserve(pages: usize) -> Result<Records, PoolError> {
        let bytes = pages * (size_of::<PageRecord>() + size_of::<HeapRecord>());
        let error = |errno| PoolError::Reserve { bytes, errno };
        Ok(Records {
            pages: Table::reserve(pages).map_err(error)?,
            heaps: Table::reserve(pages).map_err(error)?,
        })
    }

    #[cfg(loom)]
    pub(super) fn model(pages: usize) -> Records {
        Records { pages: Table::model(pages), heaps: Table::model(pages) }
    }

    pub(super) fn page(&self, number: u32) -> &PageRecord {
        &self.pages.entries()[number as usize]
    }

    pub(super) fn heap(&self, number: u32) -> &HeapRecord {
        &self.heaps.entries()[number as usize]
    }

    /// The heap that `heap` is part of now, as the calling thread sees it.
    ///
    /// What a holder needs of it is exact: every merge into its own heap was done by itself or by a holder before it.
    pub(super) fn merged_into(&self, mut heap: u32) -> u32 {
        // Merges go from the smaller heap to the larger, so this ends after log2(pages) steps at most.
        while let Some(into) = self.heap(heap).merged_into() {
            heap = into;
        }
        heap
    }

    /// Says that blocks were pushed on the remote map of `page`, and queues it for its holder if that is to be done.
    pub(super) fn announce(&self, page: u32, site: Site<'_>) {
        let record = self.page(page);
        if !record.remote().announce() {
            return;
        }
        // A page whose blocks went out has a heap.
        let Some(mut heap) = record.heap() else { return };
        while let Err(Closed) = self.heap(heap).pending().push(page, self, site) {
            heap = self.merged_into(heap);
        }
    }
}
