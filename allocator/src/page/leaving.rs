//! Pages that are whole, all their blocks free, leave their heap, and are used anew by another class and another thread.
//!
//! Invariant: a page that leaves has no block anywhere but in its free map, and is on no list of its heap. Therefore no block
//! of it is with a caller, in a ring, in a batch or in its remote map, and nobody can free into it before its next heap
//! hands a block out.
//!
//! ## The thread that is late
//! One thing may outlive a page's last free. A thread that frees the last block remotely sets the bit, and only then
//! announces it (remote_map.rs); where the page was queued already, the holder may find the bit before the announcement:
//!
//! ```text
//! freeing thread              holder of H                       next holder, of H2
//!   sets the bit
//!                               takes the bit: the page is whole
//!                               page.heap = none, gives it away
//!   queued: 0 -> 1: obliged                                        page.heap = H2, hands out blocks
//!   reads page.heap ...
//! ```
//!
//! - It reads *none*: it takes its announcement back (`withdraw`), and looks whether another thread relied on it meanwhile.
//! - It reads H2: the page is queued with nothing in it, which costs a look.
//! - It reads H, from before: the page stands on the pending stack of a heap that it has left. Whoever goes through that
//!   stack sees that it is not a page of its heap, leaves the maps alone, takes the announcement back and sends the page on
//!   where there is something in it (`forward`). A holder cannot mistake such a page for its own: that a page left was written by
//!   itself or a holder before it, and it reads that or something later.
//!
//! In the last case remote blocks of H2's page wait until H is looked through: at its holder's next dry refill or next tick.
//! A page that is on a queue, as far as the holder sees, does not leave: so this takes a thread that was stopped
//! between two instructions.
//!
//! ## Numbers of heaps
//! A heap that is merged into another gives all its pages over by name (page_heap.rs), and then its number is free for a new
//! heap of any class. A late thread that still has the old number pushes its page on the new heap's stack, and the page is sent on
//! as above.

use super::page_heap::PageHeap;
use super::record::{Listing, Records};
use crate::site::Tally;

impl PageHeap {
    /// Lets whole pages go until no more than `keep` are left, those first that became whole first; `leave` gets their numbers.
    ///
    /// What `leave` does to make a page known elsewhere must publish with Release what its next holder acquires.
    pub(super) fn shed(&self, keep: u32, records: &Records, mut leave: impl FnMut(u32)) {
        let heap = records.heap(self.number());
        let mut next = heap.top(Listing::Whole);
        // The newest stay.
        for _ in 0..keep {
            next = next.and_then(|page| records.page(page).next_listed());
        }
        while let Some(page) = next {
            let record = records.page(page);
            next = record.next_listed();
            if !record.remote().is_queued() {
                self.unlist(page, records);
                record.free().clear();
                self.remove_sibling(page, records);
                record.set_heap(None);
                leave(page);
            }
        }
    }

    /// Lets every whole page go, after a look at what other threads have given back.
    pub(super) fn release(&self, records: &Records, tally: Tally<'_>, leave: impl FnMut(u32)) {
        self.collect_pending(records, tally);
        self.shed(0, records, leave);
    }
}
