//! The non-empty mask of a class: which of its shards a thief should look at.
//!
//! Invariant: *a shard that has blocks is named, or the thread that put them there is about to name it.* The other way
//! round may fail: a named shard can be empty (the count `mask_misses`).
//!
//! ```text
//! a thread that pushes           a thread that found nothing
//!   1. changes the list            1. clears the bit
//!   2. reads the bit,              2. reads the list,
//!      sets it if clear               sets the bit again if there is something
//! ```
//!
//! Between the two steps of each stands a SeqCst fence. One of the fences comes first in their total order: then either the
//! pusher reads the bit as cleared and sets it again, or the other reads the list as filled and does. With less, both
//! could miss each other and the blocks would be stranded. The lists themselves need no more than Acquire and Release for this.

use crate::sync::{AtomicU32, Ordering, fence};

/// One bit for each shard of a class.
#[derive(Debug)]
pub(crate) struct Mask(AtomicU32);

impl Mask {
    pub(crate) fn empty() -> Mask {
        Mask(AtomicU32::new(0))
    }

    /// Names `shard`, after something was put there.
    #[inline]
    pub(crate) fn name(&self, shard: usize) {
        let bit = 1 << shard;
        // Pairs with the fence in `forget`: after the push, before the read of the bit.
        fence(Ordering::SeqCst);
        // Relaxed, both: the fence orders them, and the bit publishes nothing.
        if self.0.load(Ordering::Relaxed) & bit == 0 {
            self.0.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Un-names `shard`, where nothing was found; names it again if `looks_empty` says that something has come.
    pub(crate) fn forget(&self, shard: usize, looks_empty: impl FnOnce() -> bool) {
        // Relaxed: the fence orders it.
        self.0.fetch_and(!(1 << shard), Ordering::Relaxed);
        // Pairs with the fence in `name`: after the bit was cleared, before the list is read.
        fence(Ordering::SeqCst);
        if !looks_empty() {
            self.name(shard);
        }
    }

    /// The named shards other than `home`, nearest first in ring order.
    pub(crate) fn others(&self, home: usize, shards: usize) -> impl Iterator<Item = usize> + use<> {
        // Relaxed: a hint; a shard that is named a moment later is found at the next miss.
        let bits = self.0.load(Ordering::Relaxed);
        (1..shards).map(move |step| (home + step) % shards).filter(move |shard| bits & (1 << shard) != 0)
    }
}
