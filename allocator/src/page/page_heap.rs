//! A page heap: pages of one class that one thread has to itself.
//!
//! Invariant: for each page heap at most one [`PageHeap`] exists, and whoever has it is the holder: it alone may call what
//! the records say is only for the holder.
//!
//! ## Merging
//! A holder that runs dry and takes an idle heap over has two. It makes the smaller one's pages pages of the larger, each by
//! name, and then closes the smaller one's pending stack:
//!
//! ```text
//! the holder                             a thread that queues a page of the smaller heap
//!   1. page.heap = larger, each            1. CAS on smaller.pending
//!   2. smaller.pending: CLOSED             2. found CLOSED: reads page.heap again, CAS on larger.pending
//!   3. looks through what was pending
//! ```
//!
//! So no page that is queued is lost, whichever comes first. The smaller one's number is free for another heap then
//! (leaving.rs). A page that is renamed finds itself in a heap at least twice as large, so it is renamed log2(pages)
//! times at most, and a merge costs nothing that is not paid for by the pages that it brings.

use super::record::{Listing, Records};
use super::run::{Run, WORDS, bits_of};
use crate::batch::Batch;
use crate::block::{FreshPage, NUMBERS_PER_PAGE};
use crate::site::Tally;

/// Ownership of one page heap, by its number. Not `Copy`, not `Clone`.
#[derive(Debug)]
#[must_use = "a page heap that is dropped is lost until the pool goes"]
pub(super) struct PageHeap(u32);

impl PageHeap {
    /// Takes ownership of page heap `number`, which the caller has just taken off the stack where it was, or which never was.
    pub(super) fn claim(number: u32) -> PageHeap {
        PageHeap(number)
    }

    pub(super) fn number(&self) -> u32 {
        self.0
    }

    pub(super) fn pages(&self, records: &Records) -> u32 {
        records.heap(self.0).pages()
    }

    /// Adds a page with all its blocks free.
    pub(super) fn add_page(&self, page: FreshPage, records: &Records) {
        let number = page.number();
        self.add_sibling(number, records);
        let record = records.page(number);
        record.set_used(if page.is_zeroed() { 0 } else { page.blocks() });
        let free = record.free();
        for word in 0..WORDS {
            let bits = bits_of(word, page.blocks());
            if bits != 0 {
                // The page was fresh, so its blocks are ours and nobody else's.
                free.add(Run::claim(number, word, bits));
            }
        }
        self.list(number, Listing::Whole, records);
    }

    /// Makes a page one of this heap's that is nobody's, or that another heap of the caller gives up with all its others.
    fn add_sibling(&self, page: u32, records: &Records) {
        let (heap, record) = (records.heap(self.0), records.page(page));
        heap.set_pages(heap.pages() + 1);
        record.set_heap(Some(self.0));
        let next = heap.first_page();
        record.set_previous_sibling(None);
        record.set_next_sibling(next);
        if let Some(next) = next {
            records.page(next).set_previous_sibling(Some(page));
        }
        heap.set_first_page(Some(page));
    }

    /// Takes a page off the heap's list of pages.
    pub(super) fn remove_sibling(&self, page: u32, records: &Records) {
        let (heap, record) = (records.heap(self.0), records.page(page));
        heap.set_pages(heap.pages() - 1);
        let (previous, next) = (record.previous_sibling(), record.next_sibling());
        match previous {
            Some(previous) => records.page(previous).set_next_sibling(next),
            None => heap.set_first_page(next),
        }
        if let Some(next) = next {
            records.page(next).set_previous_sibling(previous);
        }
    }

    /// Whether `page` is one of this heap's pages.
    pub(super) fn has(&self, page: u32, records: &Records) -> bool {
        records.page(page).heap() == Some(self.0)
    }

    /// Takes back blocks of one of its pages.
    pub(super) fn add(&self, run: Run, records: &Records) {
        let page = run.page();
        let record = records.page(page);
        let out = record.out().wrapping_sub(run.len());
        record.free().add(run);
        record.set_out(out);
        let listing = if out == 0 { Listing::Whole } else { Listing::Available };
        if record.listing() != listing {
            self.unlist(page, records);
            self.list(page, listing, records);
        }
    }

    /// Puts a page that is on no stack on top of one.
    fn list(&self, page: u32, listing: Listing, records: &Records) {
        let (heap, record) = (records.heap(self.0), records.page(page));
        let below = heap.top(listing);
        record.set_listing(listing);
        record.set_next_listed(below);
        record.set_previous_listed(None);
        if let Some(below) = below {
            records.page(below).set_previous_listed(Some(page));
        }
        heap.set_top(listing, Some(page));
        if listing == Listing::Whole {
            heap.set_wholes(heap.wholes() + 1);
        }
    }

    /// Takes a page off the stack that it is on, if it is on one.
    pub(super) fn unlist(&self, page: u32, records: &Records) {
        let (heap, record) = (records.heap(self.0), records.page(page));
        let listing = record.listing();
        if listing == Listing::Unlisted {
            return;
        }
        record.set_listing(Listing::Unlisted);
        let (above, below) = (record.previous_listed(), record.next_listed());
        match above {
            Some(above) => records.page(above).set_next_listed(below),
            None => heap.set_top(listing, below),
        }
        if let Some(below) = below {
            records.page(below).set_previous_listed(above);
        }
        if listing == Listing::Whole {
            heap.set_wholes(heap.wholes() - 1);
        }
    }

    /// Takes blocks until the batch is full: from free maps, then from what other threads have given back. A page that is whole
    /// is broken only where there is no block otherwise: it may leave.
    pub(super) fn take(&self, batch: &mut Batch, records: &Records, tally: Tally<'_>) {
        self.take_available(batch, records);
        if batch.room() > 0 {
            self.collect_pending(records, tally);
            self.take_available(batch, records);
        }
        if batch.is_empty()
            && let Some(page) = records.heap(self.0).top(Listing::Whole)
        {
            self.unlist(page, records);
            self.list(page, Listing::Available, records);
            self.take_available(batch, records);
        }
    }

    fn take_available(&self, batch: &mut Batch, records: &Records) {
        while batch.room() > 0
            && let Some(page) = records.heap(self.0).top(Listing::Available)
        {
            let (record, before) = (records.page(page), batch.len());
            if !record.free().take(page, batch) {
                self.unlist(page, records);
            }
            record.set_out(record.out() + (batch.len() - before) as u32);
            if let Some(newest) = batch.peek() {
                // Lowest first: so those above it have not been out either.
                let (index, used) = (newest % NUMBERS_PER_PAGE as u32, record.used());
                batch.set_zeroed(index >= used);
                record.set_used(used.max(index + 1));
            }
        }
    }

    /// Brings what other threads have given back to the free maps.
    pub(super) fn collect_pending(&self, records: &Records, tally: Tally<'_>) {
        let pending = records.heap(self.0).pending().take_all();
        self.collect(pending, records, tally);
    }

    /// Brings the remote blocks of the pages that were pending, from `next` on, to their free maps.
    fn collect(&self, mut next: Option<u32>, records: &Records, tally: Tally<'_>) {
        while let Some(page) = next {
            let record = records.page(page);
            // First: once `take_all` or `forward` has begun, another thread may queue the page again.
            next = record.next_pending();
            if self.has(page, records) {
                record.remote().take_all(page, tally, |run| self.add(run, records));
            } else {
                records.forward(page, tally);
            }
        }
    }

    /// Makes one heap of two.
    pub(super) fn merge(self, other: PageHeap, records: &Records, tally: Tally<'_>) -> PageHeap {
        let (larger, smaller) =
            if self.pages(records) >= other.pages(records) { (self, other) } else { (other, self) };
        let mut next = records.heap(smaller.0).first_page();
        while let Some(page) = next {
            let record = records.page(page);
            next = record.next_sibling();
            larger.add_sibling(page, records);
            let listing = record.listing();
            if listing != Listing::Unlisted {
                larger.list(page, listing, records);
            }
        }
        larger.collect(smaller.close(records), records, tally);
        records.dissolve(smaller, tally);
        larger
    }

    /// Ends a heap whose pages are another's, or gone; what was pending comes back.
    fn close(&self, records: &Records) -> Option<u32> {
        let heap = records.heap(self.0);
        heap.set_first_page(None);
        heap.set_top(Listing::Available, None);
        heap.set_top(Listing::Whole, None);
        heap.set_pages(0);
        heap.set_wholes(0);
        heap.pending().close()
    }

    /// Gives a heap without pages up.
    pub(super) fn dissolve(self, records: &Records, tally: Tally<'_>) {
        let stray = self.close(records);
        self.collect(stray, records, tally);
        records.dissolve(self, tally);
    }
}
