//! A page heap: pages of one class that one thread has to itself.
//!
//! Invariant: for each page heap at most one [`PageHeap`] exists, and whoever has it is the holder: it alone may call what
//! the records say is only for the holder.
//!
//! ## Merging
//! A holder that runs dry and takes an idle heap over has two. It closes the smaller one's pending stack for ever, after
//! it has written down where its pages belong now:
//!
//! ```text
//! the holder                             a thread that queues a page of the smaller heap
//!   1. smaller.merged_into = larger        1. CAS on smaller.pending
//!   2. smaller.pending: CLOSED             2. found CLOSED: CAS on larger.pending, and so on
//!   3. looks through what was pending
//! ```
//!
//! So no page that is queued is lost, whichever comes first, and no page's record has to be touched. The number of a merged
//! heap is not used again. The larger swallows the smaller, so a page is at most log2(pages) steps from its heap; a
//! holder that takes those steps shortens them.

use super::record::Records;
use super::run::{Run, WORD_BLOCKS, WORDS};
use crate::batch::Batch;
use crate::block::FreshPage;
use crate::site::Site;

/// Ownership of one page heap, by its number. Not `Copy`, not `Clone`.
#[derive(Debug)]
#[must_use = "a page heap that is dropped is lost until the pool goes"]
pub(super) struct PageHeap(u32);

impl PageHeap {
    /// Takes ownership of page heap `number`, which the caller has just taken off the idle stack.
    pub(super) fn claim(number: u32) -> PageHeap {
        PageHeap(number)
    }

    /// A new heap, without pages, that has the number of a page that was never anybody's.
    pub(super) fn found_on(page: &FreshPage) -> PageHeap {
        PageHeap(page.number())
    }

    pub(super) fn number(&self) -> u32 {
        self.0
    }

    pub(super) fn pages(&self, records: &Records) -> u32 {
        records.heap(self.0).pages()
    }

    /// Adds a page with all its blocks free.
    pub(super) fn add_page(&self, page: FreshPage, records: &Records) {
        let record = records.heap(self.0);
        record.set_pages(record.pages() + 1);
        // Before any block of it is handed out.
        records.page(page.number()).set_heap(self.0);
        for word in 0..WORDS as u32 {
            let blocks = page.blocks().saturating_sub(word * WORD_BLOCKS).min(WORD_BLOCKS);
            if blocks > 0 {
                // The page was fresh, so its blocks are ours and nobody else's.
                self.add(Run::claim(page.number(), word as usize, u64::MAX >> (64 - blocks)), records);
            }
        }
    }

    /// Whether `page` is one of this heap's pages.
    pub(super) fn has(&self, page: u32, records: &Records) -> bool {
        let record = records.page(page);
        match record.heap() {
            Some(heap) if heap == self.0 => true,
            Some(heap) if records.merged_into(heap) == self.0 => {
                record.set_heap(self.0);
                true
            }
            _ => false,
        }
    }

    /// Takes back blocks of one of its pages.
    pub(super) fn add(&self, run: Run, records: &Records) {
        let page = run.page();
        let record = records.page(page);
        record.free().add(run);
        if !record.is_listed() {
            record.set_listed(true);
            let heap = records.heap(self.0);
            record.set_next_available(heap.available());
            heap.set_available(Some(page));
        }
    }

    /// Takes blocks until the batch is full: from free maps, then from what other threads have given back.
    pub(super) fn take(&self, batch: &mut Batch, records: &Records, site: Site<'_>) {
        self.take_available(batch, records);
        if batch.room() > 0 {
            let pending = records.heap(self.0).pending().take_all();
            self.collect(pending, records, site);
            self.take_available(batch, records);
        }
    }

    fn take_available(&self, batch: &mut Batch, records: &Records) {
        let heap = records.heap(self.0);
        while batch.room() > 0
            && let Some(page) = heap.available()
        {
            let record = records.page(page);
            if !record.free().take(page, batch) {
                record.set_listed(false);
                heap.set_available(record.next_available());
            }
        }
    }

    /// Brings the remote blocks of the pages that were pending, from `next` on, to their free maps.
    fn collect(&self, mut next: Option<u32>, records: &Records, site: Site<'_>) {
        while let Some(page) = next {
            let record = records.page(page);
            // First: once `take_all` has begun, another thread may queue the page again.
            next = record.next_pending();
            record.remote().take_all(page, site, |run| self.add(run, records));
        }
    }

    /// Makes one heap of this one, which is dry, and another.
    pub(super) fn merge(self, other: PageHeap, records: &Records, site: Site<'_>) -> PageHeap {
        let available = records.heap(other.0).available();
        debug_assert!(records.heap(self.0).available().is_none(), "only a heap that is dry is merged");
        let (larger, smaller) =
            if self.pages(records) >= other.pages(records) { (self, other) } else { (other, self) };
        let record = records.heap(larger.0);
        record.set_available(available);
        record.set_pages(record.pages() + smaller.pages(records));
        records.heap(smaller.0).set_merged_into(larger.0);
        let pending = records.heap(smaller.0).pending().close();
        larger.collect(pending, records, site);
        larger
    }
}
