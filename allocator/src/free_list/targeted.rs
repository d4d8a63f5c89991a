//! `targeted`: option C. Batches under a mutex; single pushes and remote frees lock-free, onto stacks that are taken whole.
//!
//! ```text
//! single push             CAS -> | inbox | <- taken whole by a holder of the lock whose list is short
//! batch push, batch pop   lock { | list  |  walked once }
//! ```
//!
//! Nothing is ever walked inside a CAS loop: where many threads write, blocks are only pushed; where blocks are taken one
//! by one, a lock is held.
//!
//! Invariant: the list belongs to the holder of the lock; the inbox loses blocks only all at once (inbox.rs), and only to
//! that holder, who puts what it does not need on the list, which is empty then. So a block is in one of the two, or with
//! the holder. For those who look without the lock, `filled` says yes *before* a holder empties the inbox: whoever
//! sees the inbox emptied sees that, and does not take blocks on their way from one to the other for none.

use stormglass_telemetry::Op;

use super::{FreeList, Patience, mutex};
use crate::batch::Batch;
use crate::block::{Block, Chain};
use crate::inbox::Inbox;
use crate::lock::Lock;
use crate::site::Site;
use crate::sync::{AtomicU32, Ordering, Padded};

pub(crate) struct TargetedList {
    /// Number of the list's first block plus 1; 0 is empty.
    first: Lock<u32>,
    /// 1 if there are blocks, or may be soon: a copy for those who look without the lock.
    filled: AtomicU32,
    /// Single blocks. On a line of its own, so that pushes leave the holder of the lock alone.
    inbox: Padded<Inbox>,
}

impl FreeList for TargetedList {
    type Shared = ();

    fn empty() -> TargetedList {
        TargetedList { first: Lock::new(0), filled: AtomicU32::new(0), inbox: Padded(Inbox::empty()) }
    }

    fn pop_batch(&self, (): &(), batch: &mut Batch, patience: Patience, site: Site<'_>) {
        self.first.with_patience(patience, site, |first| {
            mutex::take(first, batch, site.links);
            if *first == 0 && batch.room() > 0 {
                // Relaxed: published by the Release half of the exchange in `take_all`, which comes next.
                self.filled.store(1, Ordering::Relaxed);
                *first = self.inbox.0.take_all().map_or(0, |number| number + 1);
                mutex::take(first, batch, site.links);
            }
            if *first == 0 {
                // Relaxed: the mask's fences order it (mask.rs).
                self.filled.store(0, Ordering::Relaxed);
            }
        });
    }

    fn push_chain(&self, (): &(), chain: Chain, op: Op, site: Site<'_>) {
        if op == Op::Push {
            // A push is of a chain of one; it was the caller's, so its only block is.
            self.inbox.0.push(Block::claim(chain.first()), op, site);
            return;
        }
        self.first.with(site, |first| {
            mutex::put(first, chain, site.links);
            // Relaxed: the mask's fences order it (mask.rs).
            self.filled.store(1, Ordering::Relaxed);
        });
    }

    fn looks_empty(&self) -> bool {
        // In this order: see the invariant. Relaxed, because the inbox's load acquires what its taker wrote before, and the
        // mask's fences order the rest (mask.rs).
        self.inbox.0.looks_empty() && self.filled.load(Ordering::Relaxed) == 0
    }
}
