//! Where a workload's blocks come from: a pool of ours, or whatever serves `malloc`.
//!
//! Invariant: nothing here costs anything; it is resolved where a workload is compiled for its source.

use std::ptr::NonNull;

use stormglass_allocator::{Heap, Pool};

use super::Trouble;

/// Something that threads take blocks from.
pub(crate) trait Source: Sync {
    /// What one thread takes them from.
    type Blocks<'s>: Blocks
    where
        Self: 's;

    /// The calling thread's.
    ///
    /// # Errors
    /// If a thread more is too many.
    fn blocks(&self) -> Result<Self::Blocks<'_>, Trouble>;
}

/// One thread's way to its source.
pub(crate) trait Blocks {
    /// A block of at least `size` bytes, or `None`.
    fn alloc(&mut self, size: usize) -> Option<NonNull<u8>>;

    /// Gives a block back.
    ///
    /// # Safety
    /// The block is of the same source, and nobody uses it any more.
    unsafe fn free(&mut self, block: NonNull<u8>);
}

impl Source for Pool {
    type Blocks<'s> = Heap<'s>;

    fn blocks(&self) -> Result<Heap<'_>, Trouble> {
        self.heap().map_err(Trouble::Heap)
    }
}

impl Blocks for Heap<'_> {
    #[inline]
    fn alloc(&mut self, size: usize) -> Option<NonNull<u8>> {
        Heap::alloc(self, size)
    }

    #[inline]
    unsafe fn free(&mut self, block: NonNull<u8>) {
        // SAFETY: the caller says what `Heap::free` asks for.
        unsafe { Heap::free(self, block) };
    }
}
