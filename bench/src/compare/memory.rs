//! Blocks from whatever allocator is measured, and the marks by which its answer is checked.
//!
//! Invariant: a [`Block`] is the only handle on its memory, and a run has one [`Memory`], so a block is of it. So all but this module, [`super::c`] and [`super::limit`] is safe
//! code. A block is not given back when its handle is dropped: that is a workload's to do, and to time.
//!
//! The allocator is under test, so what it hands out is not believed: marks are written as atomics, and where a block was
//! handed out twice, a mark is wrong rather than a race undefined.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use super::c::{CALLS, Calls};
use crate::workload::{Blocks, Source, Trouble};

/// The smallest block of a workload: room for a mark, and aligned as C says for every type.
pub(super) const SMALLEST: usize = 16;
/// How blocks from here up are aligned.
const ALIGNED: usize = 16;
/// Where a mark is written in every page of a block.
const PAGE: usize = 4096;

/// A block that a workload holds.
#[derive(Debug)]
pub(super) struct Block {
    address: NonNull<u8>,
    size: usize,
}

// SAFETY: a `Block` is the only handle on its memory, which belongs to no thread: any may use it and free it.
unsafe impl Send for Block {}

/// An allocator, which is called through C's functions.
#[derive(Clone, Copy, Debug)]
pub struct Memory(Calls);

impl Memory {
    /// What serves this process.
    pub(crate) fn of_this_process() -> Memory {
        Memory(CALLS)
    }

    /// One that is called through these functions.
    ///
    /// # Safety
    /// They keep the promises of C's, wrong answers excepted: what they hand out can be read and written as far as was asked
    /// for, whoever else was given it too.
    pub(crate) unsafe fn new(calls: Calls) -> Memory {
        Memory(calls)
    }

    /// A block of `size` bytes.
    #[inline]
    pub(super) fn alloc(&self, size: usize) -> Result<Block, Trouble> {
        // SAFETY: `malloc` may be called with any size.
        let address = unsafe { (self.0.malloc)(size) };
        taken(address, size, ALIGNED)
    }

    /// A block of zeros.
    pub(super) fn zeroed(&self, size: usize) -> Result<Block, Trouble> {
        // SAFETY: `calloc` may be called with any sizes.
        let address = unsafe { (self.0.calloc)(1, size) };
        let block = taken(address, size, ALIGNED)?;
        for at in [0, (size / 2) & !7, last(size)] {
            if block.word(at).load(Ordering::Relaxed) != 0 {
                return Err(Trouble::Answer(format!("calloc of {size} bytes gave memory that is not zero")));
            }
        }
        Ok(block)
    }

    /// A block at a multiple of `align`, a power of two.
    pub(super) fn aligned(&self, align: usize, size: usize) -> Result<Block, Trouble> {
        let size = size.next_multiple_of(align);
        // SAFETY: the alignment is a power of two and divides the size.
        let address = unsafe { (self.0.aligned_alloc)(align, size) };
        taken(address, size, align)
    }

    /// The same block with another size, perhaps elsewhere; what both sizes have in common is kept.
    pub(super) fn resize(&self, block: Block, size: usize) -> Result<Block, Trouble> {
        // SAFETY: the block is of this allocator and its only handle ends here.
        let address = unsafe { (self.0.realloc)(block.address.as_ptr(), size) };
        taken(address, size, ALIGNED)
    }

    #[inline]
    pub(super) fn free(&self, block: Block) {
        // SAFETY: the block is of this allocator and its only handle ends here.
        unsafe { (self.0.free)(block.address.as_ptr()) };
    }
}

#[inline]
fn taken(address: *mut u8, size: usize, align: usize) -> Result<Block, Trouble> {
    debug_assert!(size >= SMALLEST);
    match NonNull::new(address) {
        Some(address) if address.addr().get().is_multiple_of(align.max(ALIGNED)) => {
            Ok(Block { address, size })
        }
        Some(address) => Err(misaligned(address, size, align)),
        None => Err(Trouble::Memory { size }),
    }
}

#[cold]
fn misaligned(address: NonNull<u8>, size: usize, align: usize) -> Trouble {
    Trouble::Answer(format!(
        "the block of {size} bytes at {:#x} is not at a multiple of {align}",
        address.addr()
    ))
}

/// Where the last whole word of a block begins.
fn last(size: usize) -> usize {
    (size & !7) - 8
}

impl Block {
    pub(super) fn size(&self) -> usize {
        self.size
    }

    #[inline]
    fn word(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at.is_multiple_of(8) && at + 8 <= self.size);
        // SAFETY: `at` is a multiple of 8 that ends within the block, which is aligned (`taken`), may hold anything, and is
        // held here: nobody but a broken allocator lets others write to it, and then this is atomic.
        unsafe { AtomicU64::from_ptr(self.address.as_ptr().add(at).cast()) }
    }

    /// Writes a mark at both ends. All accesses to marks are relaxed: who hands a block on does so through a channel or a
    /// lock, which orders them.
    #[inline]
    pub(super) fn mark(&mut self, mark: u64) {
        self.word(0).store(mark, Ordering::Relaxed);
        self.word(last(self.size)).store(mark, Ordering::Relaxed);
    }

    /// Writes a mark into every page from the one that holds `from`, and at both ends, as a program that uses its memory
    /// does.
    pub(super) fn fill(&mut self, from: usize, mark: u64) {
        for at in (from.next_multiple_of(PAGE)..=last(self.size)).step_by(PAGE) {
            self.word(at).store(mark, Ordering::Relaxed);
        }
        self.mark(mark);
    }

    /// Whether the marks at both ends are those that were written.
    #[inline]
    pub(super) fn check(&self, mark: u64) -> Result<(), Trouble> {
        let (first, last) = (self.begins(), self.word(last(self.size)).load(Ordering::Relaxed));
        if first == mark && last == mark { Ok(()) } else { Err(self.overwritten()) }
    }

    /// The mark at the beginning.
    #[inline]
    pub(super) fn begins(&self) -> u64 {
        self.word(0).load(Ordering::Relaxed)
    }

    /// The mark at the end of the first `size` bytes.
    pub(super) fn ends(&self, size: usize) -> u64 {
        self.word(last(size)).load(Ordering::Relaxed)
    }

    #[cold]
    pub(super) fn overwritten(&self) -> Trouble {
        Trouble::Answer(format!(
            "the block of {} bytes at {:#x} was overwritten while it was held",
            self.size,
            self.address.addr()
        ))
    }
}

impl Source for Memory {
    type Blocks<'s> = Memory;

    fn blocks(&self) -> Result<Memory, Trouble> {
        Ok(*self)
    }
}

impl Blocks for Memory {
    #[inline]
    fn alloc(&mut self, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: `malloc` may be called with any size.
        NonNull::new(unsafe { (self.0.malloc)(size) })
    }

    #[inline]
    unsafe fn free(&mut self, block: NonNull<u8>) {
        // SAFETY: the caller says that it is this allocator's and not used any more.
        unsafe { (self.0.free)(block.as_ptr()) };
    }
}

#[cfg(test)]
pub(super) mod broken {
    //! Allocators that give wrong answers, to show that the checks find them.

    use std::cell::{Cell, UnsafeCell};

    use super::{Calls, Memory};

    const BYTES: usize = 8 << 20;

    /// Memory that is handed out again and again.
    #[repr(align(4096))]
    struct Arena(UnsafeCell<[u8; BYTES]>);

    thread_local! {
        static ARENA: &'static Arena = Box::leak(arena());
        static NEXT: Cell<usize> = const { Cell::new(0) };
    }

    fn arena() -> Box<Arena> {
        // SAFETY: zeros are a valid array of bytes.
        unsafe { Box::new_zeroed().assume_init() }
    }

    /// A block that is still held comes again after a few others: places 512 KiB apart, 8 of them.
    extern "C" fn twice(size: usize) -> *mut u8 {
        assert!(size <= BYTES / 2);
        let turn = NEXT.get();
        NEXT.set(turn + 1);
        let at = (turn % 8) * (512 << 10);
        let first = ARENA.with(|arena| arena.0.get().cast::<u8>());
        // SAFETY: less than 4 MiB into 8 MiB, and `size` is at most the other half.
        unsafe { first.add(at) }
    }

    extern "C" fn zeroed(count: usize, size: usize) -> *mut u8 {
        let block = twice(count * size);
        // SAFETY: `twice` gives as many bytes.
        unsafe { block.write_bytes(0, count * size) };
        block
    }

    extern "C" fn moved(_: *mut u8, size: usize) -> *mut u8 {
        twice(size)
    }

    extern "C" fn aligned(_: usize, size: usize) -> *mut u8 {
        twice(size)
    }

    extern "C" fn ignored(_: *mut u8) {}

    /// Hands the same few places out again and again, by thread.
    pub(in super::super) fn hands_out_twice() -> Memory {
        let (malloc, calloc, realloc, aligned_alloc, free) = (twice, zeroed, moved, aligned, ignored);
        // SAFETY: every block lies within an arena that is never given back.
        unsafe { Memory::new(Calls { malloc, calloc, realloc, aligned_alloc, free }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_again_and_overwriting_is_seen() {
        let memory = Memory::of_this_process();
        let mut block = memory.alloc(100).expect("memory");
        block.mark(7);
        block.check(7).expect("its own mark");
        assert!(matches!(block.check(8), Err(Trouble::Answer(_))));
        block.word(last(100)).store(1, Ordering::Relaxed);
        assert!(matches!(block.check(7), Err(Trouble::Answer(_))), "the end is checked too");
        memory.free(block);
    }

    #[test]
    fn a_block_keeps_its_marks_as_it_grows() {
        let memory = Memory::of_this_process();
        let mut block = memory.alloc(10_000).expect("memory");
        block.fill(0, 5);
        let grown = memory.resize(block, 2_000_000).expect("memory");
        assert_eq!((grown.begins(), grown.ends(10_000), grown.word(8192).load(Ordering::Relaxed)), (5, 5, 5));
        memory.free(grown);
    }

    #[test]
    fn zeros_and_alignment_are_checked() {
        let memory = Memory::of_this_process();
        memory.free(memory.zeroed(5000).expect("zeros"));
        let block = memory.aligned(4096, 100).expect("memory");
        assert_eq!((block.address.addr().get() % 4096, block.size()), (0, 4096));
        memory.free(block);
        let broken = broken::hands_out_twice();
        broken.alloc(64).expect("its first place").mark(1);
        assert!(matches!(taken(8 as *mut u8, 64, 16), Err(Trouble::Answer(_))));
        assert!(matches!(taken(std::ptr::null_mut(), 64, 16), Err(Trouble::Memory { size: 64 })));
    }
}
