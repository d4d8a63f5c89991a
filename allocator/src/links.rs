//! The links of the shared lists, kept out of user memory: one cache line a block.
//!
//! ```text
//! region:  | block 0            | block 1            | ...      what callers write
//! links:   | next | 15 words -- | next | 15 words -- | ...      one 64-byte line a block
//! ```
//!
//! A link inside the block would be a data race: a popper that is about to lose its CAS reads the link of a block
//! that its new owner is already writing. Here the same read is of an atomic that only lists write; its value may be
//! stale, and then the version of the head rejects the CAS. A walk touches as many cache lines as it would in the
//! blocks themselves, so what the paper measured is still there to be measured.
//!
//! The other words of a line are free for a design that wants to say more than one number (free_list/depot.rs); to all
//! others they are padding.
//!
//! Invariant: every word is 0 or the number of a block of this region plus 1, so whoever reads a stale word, or one that
//! was written to mean something else, stays inside the table.

use crate::sync::{AtomicU32, Ordering};

/// Words of a line; the first is the link. Two under loom, so that the models stay small.
pub(crate) const WORDS: usize = if cfg!(loom) { 2 } else { 16 };

#[repr(C, align(64))]
struct Line([AtomicU32; WORDS]);

/// The table of links, by block number.
pub(crate) struct Links {
    #[cfg(not(loom))]
    lines: core::ptr::NonNull<Line>,
    #[cfg(not(loom))]
    len: usize,
    #[cfg(loom)]
    lines: Vec<Line>,
}

/// Bytes of table for one block.
#[cfg(not(loom))]
pub(crate) const LINE_BYTES: usize = size_of::<Line>();

#[cfg(not(loom))]
const _: () = assert!(LINE_BYTES == 64);

#[cfg(not(loom))]
impl Links {
    /// A table over memory that is there already.
    ///
    /// # Safety
    /// `memory` must be aligned to 64, zeroed, at least `len * LINE_BYTES` long, used for nothing else, and stay mapped
    /// while the table lives.
    pub(crate) unsafe fn over(memory: core::ptr::NonNull<u8>, len: usize) -> Links {
        Links { lines: memory.cast(), len }
    }

    fn line(&self, block: u32) -> &Line {
        assert!((block as usize) < self.len, "block {block} is outside the region");
        // SAFETY: in bounds by the check above, and `over` promised `len` zeroed, aligned lines, for which all bytes
        // are valid; only shared references to the atomics are ever made.
        unsafe { self.lines.add(block as usize).as_ref() }
    }
}

#[cfg(loom)]
impl Links {
    /// A small table for a model.
    pub(crate) fn model(len: usize) -> Links {
        Links { lines: (0..len).map(|_| Line(core::array::from_fn(|_| AtomicU32::new(0)))).collect() }
    }

    fn line(&self, block: u32) -> &Line {
        &self.lines[block as usize]
    }
}

impl Links {
    /// The block that `block` links to.
    #[inline]
    pub(crate) fn next(&self, block: u32) -> Option<u32> {
        self.word(block, 0)
    }

    /// Links `block` to `next`. Only the block's owner calls this.
    #[inline]
    pub(crate) fn set_next(&self, block: u32, next: Option<u32>) {
        self.set_word(block, 0, next);
    }

    /// The block that a word of `block`'s line names.
    #[inline]
    pub(crate) fn word(&self, block: u32, word: usize) -> Option<u32> {
        // Relaxed: published by the Release CAS that put the block on its list, acquired by the load of the head; a
        // reader without that sees a stale word, and its CAS fails by the version.
        self.line(block).0[word].load(Ordering::Relaxed).checked_sub(1)
    }

    /// Lets a word of `block`'s line name another block. Only `block`'s owner calls this.
    #[inline]
    pub(crate) fn set_word(&self, block: u32, word: usize, named: Option<u32>) {
        // Relaxed: see `word`.
        self.line(block).0[word].store(named.map_or(0, |n| n + 1), Ordering::Relaxed);
    }
}

// SAFETY: all access to the table goes through atomics, and the pointer itself never changes.
#[cfg(not(loom))]
unsafe impl Send for Links {}
// SAFETY: as for `Send`.
#[cfg(not(loom))]
unsafe impl Sync for Links {}
