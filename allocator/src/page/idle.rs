//! Page heaps that no thread holds: of a class, with their pages, or of no class, without any.
//!
//! A stack with a versioned head, popped one at a time. Invariant: a heap is on it once, put there by its holder;
//! the Release of the push and the Acquire of the pop hand over everything that only a holder may touch.

use stormglass_telemetry::Op;

use super::page_heap::PageHeap;
use super::record::Records;
use crate::attempts::Attempts;
use crate::site::Tally;
use crate::versioned::VersionedHead;

#[derive(Debug)]
pub(super) struct IdleStack(VersionedHead);

impl IdleStack {
    pub(super) fn empty() -> IdleStack {
        IdleStack(VersionedHead::empty())
    }

    /// Gives a heap to whoever comes next.
    pub(super) fn push(&self, heap: PageHeap, records: &Records, tally: Tally<'_>) {
        let mut attempts = Attempts::of(Op::Push, tally);
        loop {
            let seen = self.0.load();
            records.heap(heap.number()).set_next_idle(seen.top());
            if attempts.put(&self.0, seen, heap.number()) {
                return;
            }
        }
    }

    /// Takes the heap that was left last.
    pub(super) fn pop(&self, records: &Records, tally: Tally<'_>) -> Option<PageHeap> {
        let mut attempts = Attempts::of(Op::Pop, tally);
        loop {
            let seen = self.0.load();
            let number = seen.top()?;
            // May be stale if another thread has just taken this heap; then the version rejects the CAS.
            let next = records.heap(number).next_idle();
            if attempts.take(&self.0, seen, next) {
                // The CAS took this heap alone.
                return Some(PageHeap::claim(number));
            }
        }
    }

    /// Takes every heap; the first, with the others below it ([`IdleStack::below`]).
    pub(super) fn take_all(&self, tally: Tally<'_>) -> Option<PageHeap> {
        let mut attempts = Attempts::of(Op::Pop, tally);
        loop {
            let seen = self.0.load();
            let number = seen.top()?;
            if attempts.take(&self.0, seen, None) {
                // The CAS took this heap, and all that it leads to.
                return Some(PageHeap::claim(number));
            }
        }
    }

    /// The heap that was below `heap` when [`IdleStack::take_all`] took both. To be asked once, before `heap` is on a stack
    /// again.
    pub(super) fn below(heap: &PageHeap, records: &Records) -> Option<PageHeap> {
        // Taken together with `heap`, by the caller.
        records.heap(heap.number()).next_idle().map(PageHeap::claim)
    }
}
