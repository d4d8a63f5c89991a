//! Mappings that are made for one block each: the kernel finds the address, grows it, and takes it back.
//!
//! Thin edges over system calls. Invariant: a block is one mapping to the kernel, so that it can always be moved whole.

use core::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, MremapFlags, ProtFlags};

use super::granule::{GRANULE, PAGE};
use super::reservation::HUGE;

/// The length of a mapping for `size` bytes, which is at most [`MAX_SIZE`](super::granule::MAX_SIZE): whole pages of any machine.
pub(super) fn len_of(size: usize) -> usize {
    size.max(1).next_multiple_of(GRANULE)
}

/// A mapping of `len` bytes (see [`len_of`]) at a multiple of `align`; zeroes.
pub(super) fn map(len: usize, align: usize, huge: bool) -> Option<NonNull<u8>> {
    let align = if huge { align.max(HUGE) } else { align };
    // The kernel aligns to its pages, which may be as large as a granule.
    let room = if align > PAGE { align.max(GRANULE) } else { 0 };
    let whole = len.checked_add(room).filter(|&whole| isize::try_from(whole).is_ok())?;
    // Without NORESERVE: the kernel refuses here what it could never back, and a program that asks for far too much gets its answer.
    let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
    // SAFETY: a new anonymous mapping at an address of the kernel's choice aliases nothing.
    let start =
        unsafe { rustix::mm::mmap_anonymous(core::ptr::null_mut(), whole, protection, flags) }.ok()?;
    let start = NonNull::new(start.cast::<u8>())?;
    let mut block = start;
    if room > 0 {
        let before = start.addr().get().next_multiple_of(align) - start.addr().get();
        // SAFETY: `before` < align <= room, so what is kept and what is cut lie in the mapping, and nobody uses it yet. Both cuts are
        // at multiples of the machine's pages, because the start, `len` and (if it is larger than them) `align` are.
        unsafe {
            block = start.add(before);
            unmap(start, before);
            unmap(block.add(len), room - before);
        }
    }
    if huge {
        // SAFETY: the mapping is ours; the advice changes no contents. If the kernel refuses, nothing is lost.
        let _ = unsafe { rustix::mm::madvise(block.as_ptr().cast(), len, Advice::LinuxHugepage) };
    }
    Some(block)
}

/// Makes a mapping of `old` bytes one of `new`, here or (if it may move) elsewhere, with its contents. `None`: it is as it was.
///
/// # Safety
/// `block` is a whole mapping of `old` bytes that the caller owns; it is not used at its old address afterwards.
pub(super) unsafe fn resize(
    block: NonNull<u8>,
    old: usize,
    new: usize,
    may_move: bool,
) -> Option<NonNull<u8>> {
    let flags = if may_move { MremapFlags::MAYMOVE } else { MremapFlags::empty() };
    // SAFETY: the caller's promise.
    let moved = unsafe { rustix::mm::mremap(block.as_ptr().cast(), old, new, flags) };
    NonNull::new(moved.ok()?.cast())
}

/// Gives a mapping, or a part of it, back to the kernel.
///
/// # Safety
/// The bytes are the caller's, and nobody uses them any more.
pub(super) unsafe fn unmap(start: NonNull<u8>, len: usize) {
    if len > 0 {
        // SAFETY: the caller's promise. If it fails (too many mappings), the bytes stay mapped and are lost: nothing can be done.
        let _ = unsafe { rustix::mm::munmap(start.as_ptr().cast(), len) };
    }
}
