//! *limit*: what the memory system allows, as an allocator that leaves out everything that makes one usable.
//!
//! ```text
//! a thread:  class -> list of freed blocks (last in, first out; the link lies in the block)
//!                     else the rest of a chunk, else a new chunk of the class's own address range
//! ```
//!
//! No block returns to the thread that allocated it, nothing goes back to the kernel, and what a thread has left is lost
//! when it ends. So it is no allocator to use, and a bound for those that are: whoever is faster than this is so by better
//! use of the caches, not by doing less.
//!
//! Invariant: a block of class `c` lies in the `c`th range of the reservation, so that `free` finds the class by a shift.

use std::cell::Cell;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::c::{Calls, reserve};
use super::memory::Memory;

/// Sizes to 128 bytes in steps of 16, then four a doubling to 16 MiB.
const CLASSES: usize = 8 + 17 * 4;
const LARGEST: usize = 16 << 20;
/// Address space of a class.
const RANGE_SHIFT: u32 = 33;
const RANGE: usize = 1 << RANGE_SHIFT;
/// What a thread takes of it at once, if blocks are smaller.
const CHUNK: usize = 64 << 10;

/// Where the ranges begin, at a multiple of [`LARGEST`].
static BASE: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
/// Bytes of each range that some thread has taken.
static TAKEN: [AtomicUsize; CLASSES] = [const { AtomicUsize::new(0) }; CLASSES];

/// A class's blocks in a thread.
struct Shelf {
    freed: Cell<*mut u8>,
    fresh: Cell<*mut u8>,
    left: Cell<usize>,
}

thread_local! {
    static SHELVES: [Shelf; CLASSES] = const {
        [const { Shelf { freed: Cell::new(ptr::null_mut()), fresh: Cell::new(ptr::null_mut()), left: Cell::new(0) } }; CLASSES]
    };
}

/// The allocator.
///
/// # Errors
/// If the process may not reserve the address space.
pub(crate) fn open() -> io::Result<Memory> {
    // Relaxed here and below: it is set before any thread that allocates is started, which orders it.
    if BASE.load(Ordering::Relaxed).is_null() {
        let first = reserve(CLASSES * RANGE + LARGEST)?.as_ptr();
        let base = first.wrapping_add(first.align_offset(LARGEST));
        // Tests open it from several threads: the first counts, and the others' reservations cost nothing.
        let _ = BASE.compare_exchange(ptr::null_mut(), base, Ordering::Relaxed, Ordering::Relaxed);
    }
    // SAFETY: a block is as large as its class, which holds what was asked for, and its range is mapped for ever.
    Ok(unsafe { Memory::new(Calls { malloc, calloc, realloc, aligned_alloc, free }) })
}

#[inline]
fn class_of(size: usize) -> usize {
    if size <= 128 {
        return size.saturating_sub(1) / 16;
    }
    let doubling = (size - 1).ilog2() as usize;
    let quarter = ((size - 1) >> (doubling - 2)) & 3;
    8 + (doubling - 7) * 4 + quarter
}

#[inline]
fn bytes_of(class: usize) -> usize {
    match class.checked_sub(8) {
        None => (class + 1) * 16,
        Some(above) => (5 + above % 4) << (above / 4 + 5),
    }
}

#[expect(clippy::cast_ptr_alignment, reason = "every block is aligned to 16")]
extern "C" fn malloc(size: usize) -> *mut u8 {
    if size > LARGEST {
        return ptr::null_mut();
    }
    let class = class_of(size);
    SHELVES.with(|shelves| {
        let shelf = &shelves[class];
        let block = shelf.freed.get();
        if block.is_null() {
            return fresh(class, shelf);
        }
        // SAFETY: a block on the list is free, so its first word is the link that `free` wrote.
        shelf.freed.set(unsafe { block.cast::<*mut u8>().read() });
        block
    })
}

/// A block that nobody had before.
#[cold]
fn fresh(class: usize, shelf: &Shelf) -> *mut u8 {
    let bytes = bytes_of(class);
    if shelf.left.get() == 0 {
        let blocks = (CHUNK / bytes).max(1);
        let at = TAKEN[class].fetch_add(blocks * bytes, Ordering::Relaxed);
        if at + blocks * bytes > RANGE {
            return ptr::null_mut();
        }
        shelf.fresh.set(BASE.load(Ordering::Relaxed).wrapping_add(class * RANGE + at));
        shelf.left.set(blocks);
    }
    let block = shelf.fresh.get();
    shelf.fresh.set(block.wrapping_add(bytes));
    shelf.left.set(shelf.left.get() - 1);
    block
}

#[inline]
fn class_at(block: *mut u8) -> usize {
    (block.addr() - BASE.load(Ordering::Relaxed).addr()) >> RANGE_SHIFT
}

#[expect(clippy::cast_ptr_alignment, reason = "every block is aligned to 16")]
extern "C" fn free(block: *mut u8) {
    if block.is_null() {
        return;
    }
    SHELVES.with(|shelves| {
        let shelf = &shelves[class_at(block)];
        // SAFETY: the caller gives the block up; it has at least 16 bytes and is aligned to 16.
        unsafe { block.cast::<*mut u8>().write(shelf.freed.get()) };
        shelf.freed.set(block);
    });
}

extern "C" fn calloc(count: usize, size: usize) -> *mut u8 {
    let Some(bytes) = count.checked_mul(size) else { return ptr::null_mut() };
    let block = malloc(bytes);
    if !block.is_null() {
        // SAFETY: the block has as many bytes.
        unsafe { block.write_bytes(0, bytes) };
    }
    block
}

extern "C" fn realloc(block: *mut u8, size: usize) -> *mut u8 {
    if block.is_null() {
        return malloc(size);
    }
    if size > LARGEST {
        return ptr::null_mut();
    }
    let class = class_at(block);
    if class_of(size) == class {
        return block;
    }
    let other = malloc(size);
    if !other.is_null() {
        // SAFETY: both blocks have as many bytes, and are two, as the first is held.
        unsafe { ptr::copy_nonoverlapping(block, other, size.min(bytes_of(class))) };
        free(block);
    }
    other
}

/// A power of two is its own class from 128 bytes up, and ranges begin at multiples of 16 MiB: so blocks of that class are
/// aligned to their size.
extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut u8 {
    if align <= 16 { malloc(size) } else { malloc(size.max(align).max(128).next_power_of_two()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_class_holds_its_sizes_and_wastes_a_quarter_at_most(size in 1_usize..=LARGEST) {
            let class = class_of(size);
            prop_assert!(class < CLASSES);
            prop_assert!(bytes_of(class) >= size);
            prop_assert!(class == 0 || bytes_of(class - 1) < size, "a smaller class would do");
        }
    }

    #[test]
    fn powers_of_two_are_classes() {
        for power in 7..=24 {
            assert_eq!(bytes_of(class_of(1 << power)), 1 << power);
        }
        assert_eq!(class_of(LARGEST), CLASSES - 1);
    }

    #[test]
    fn what_is_freed_last_comes_first_and_growing_keeps_the_contents() {
        let memory = open().expect("address space");
        let mut block = memory.alloc(1000).expect("memory");
        block.mark(3);
        let grown = memory.resize(block, 100_000).expect("memory");
        assert_eq!((grown.begins(), grown.ends(1000)), (3, 3));
        memory.free(grown);
        let again = memory.alloc(100_000).expect("memory");
        assert_ne!(again.begins(), 3, "the link lies where the mark was");
        memory.free(again);
        memory.free(memory.aligned(1 << 20, 100).expect("aligned, or it says so"));
        memory.free(memory.zeroed(100_000).expect("zeros"));
        assert!(matches!(memory.alloc(LARGEST + 1), Err(crate::workload::Trouble::Memory { .. })));
    }
}
