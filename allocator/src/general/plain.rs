//! The allocator itself, behind the face: routes a size to its class's ring, or to the large blocks.

use core::ptr::{NonNull, null_mut};

use super::enter::with_heap;
use super::large::Misuse;
use super::mid;
use super::process::{self, Core, LARGE};
use super::size_class::Class;
use super::tls;
use crate::misuse;

/// From here on it pays to know that a block is zero.
const ZEROED_FROM: usize = 8 << 10;

/// A block at least `size` bytes long at a multiple of `align`; null on failure.
pub(super) fn allocate(size: usize, align: usize) -> *mut u8 {
    match Class::of(size, align) {
        Some(class) => match tls::front().take(class) {
            Some(block) => block.as_ptr(),
            None => allocate_slowly(class, size, align),
        },
        None => allocate_large(size, align, false),
    }
}

/// As [`allocate`], all zeroes.
#[inline]
pub(super) fn allocate_zeroed(size: usize, align: usize) -> *mut u8 {
    let Some(class) = Class::of(size, align) else { return allocate_large(size, align, true) };
    if class.bytes() >= ZEROED_FROM {
        return allocate_zeroed_slowly(class, size, align);
    }
    let block = allocate(size, align);
    if !block.is_null() {
        // SAFETY: a new block of that many bytes.
        unsafe { block.write_bytes(0, size) };
    }
    block
}

/// As [`allocate_zeroed`], for blocks whose clearing takes longer than to ask their page whether it is needed.
///
/// Of 64 MiB of blocks that were never handed out and of which one byte is written, each took 1.7 microseconds instead of 12
/// at 32 KiB, 2.8 instead of 11 at 16 KiB: clearing is what touches the memory. Up to 4 KiB, and where the caller writes all of it, there is no
/// difference, because the page fault is to be paid anyway.
fn allocate_zeroed_slowly(class: Class, size: usize, align: usize) -> *mut u8 {
    let Some(core) = process::core_or_start() else { return null_mut() };
    let block = with_heap(core, |heap| match mid::serving(size, align) {
        Some(pool) => heap.allocate_from(pool, size, core).map(|block| (block, false)),
        None => heap.allocate_zeroed(class, core),
    });
    let Some(Some((block, zeroed))) = block else { return null_mut() };
    if !zeroed {
        // SAFETY: a new block of that many bytes.
        unsafe { block.write_bytes(0, size) };
    }
    block.as_ptr()
}

/// Slow because pages are asked, perhaps the kernel.
#[cold]
fn allocate_slowly(class: Class, size: usize, align: usize) -> *mut u8 {
    let Some(core) = process::core_or_start() else { return null_mut() };
    let block = with_heap(core, |heap| match mid::serving(size, align) {
        Some(pool) => heap.allocate_from(pool, size, core),
        None => heap.allocate_after_refill(class, core),
    });
    let block = block.flatten();
    block.map_or(null_mut(), NonNull::as_ptr)
}

#[cold]
fn allocate_large(size: usize, align: usize, zeroed: bool) -> *mut u8 {
    let Some(core) = process::core_or_start() else { return null_mut() };
    let block = with_heap(core, |heap| {
        heap.tick(core);
        let block = LARGE.allocate(size, align, zeroed, &heap.counters().totals);
        heap.after_growth(core);
        // What is free in pages may be what the limit lacks.
        if block.is_none() && isize::try_from(size).is_ok() && heap.purge(core) {
            return LARGE.allocate(size, align, zeroed, &heap.counters().totals);
        }
        block
    });
    block.flatten().map_or(null_mut(), NonNull::as_ptr)
}

/// Takes a block back.
///
/// # Safety
/// It came from here and is not used any more.
pub(super) unsafe fn free(block: NonNull<u8>) {
    if !tls::front().put(block.as_ptr()) {
        // SAFETY: by contract.
        unsafe { free_slowly(block) }
    }
}

/// Slow because pages are told, or because it is no block of a class.
///
/// # Safety
/// As for [`free`].
#[cold]
unsafe fn free_slowly(block: NonNull<u8>) {
    let Some(core) = process::core() else { misuse::foreign(block) };
    let done = if let Some(class) = core.space.class_of(block) {
        with_heap(core, |heap| heap.free_after_spill(class, block, core))
    } else {
        if core.space.contains(block) {
            misuse::foreign(block);
        }
        if mid::size_of(block).is_some() {
            // SAFETY: by contract, a block of the pool.
            return unsafe { free_to_pool(core, block) };
        }
        with_heap(core, |heap| {
            heap.tick(core);
            // SAFETY: by contract.
            match unsafe { LARGE.free(block, &heap.counters().totals) } {
                Ok(()) => {}
                Err(Misuse::FreedTwice) => misuse::large_freed_twice(block),
                Err(Misuse::Interior) => misuse::interior_large(block),
                Err(Misuse::Foreign) => misuse::foreign(block),
            }
        })
    };
    // Without memory for any heap the block is lost: there is nowhere to note it.
    let _ = done;
}

/// Slow because the short way knows only blocks of pages.
///
/// # Safety
/// As for [`free`]; it is a block of the pool.
unsafe fn free_to_pool(core: &'static Core, block: NonNull<u8>) {
    if mid::takes_back()
        && let Some(pool) = mid::pool()
    {
        // SAFETY: by contract. Without memory for any heap the block is lost.
        let _ = with_heap(core, |heap| unsafe { heap.free_to(pool, block) });
    }
}

/// Makes a block one of `size` bytes; null on failure, and the old block stays.
///
/// # Safety
/// `block` came from here, and is not used at its old place where the result is not null.
pub(super) unsafe fn reallocate(block: NonNull<u8>, size: usize, align: usize) -> *mut u8 {
    let Some(core) = process::core() else { misuse::foreign(block) };
    // SAFETY: by contract.
    let held = unsafe { usable_size(block) };
    if core.space.class_of(block).is_some() || mid::size_of(block).is_some() {
        // Where it is, unless that wastes more than half of it.
        if size <= held && size >= held / 2 && block.addr().get().is_multiple_of(align) {
            return block.as_ptr();
        }
    } else if Class::of(size, align).is_none() {
        let resized = with_heap(core, |heap| {
            heap.tick(core);
            // SAFETY: by contract; `usable_size` has seen that it is a live large block.
            unsafe { LARGE.reallocate(block, size, align, &heap.counters().totals) }
        });
        if let Some(Some(block)) = resized {
            return block.as_ptr();
        }
    }
    let new = allocate(size, align);
    if !new.is_null() {
        // SAFETY: both have that many bytes and are apart; by contract the old one is not used any more.
        unsafe {
            new.copy_from_nonoverlapping(block.as_ptr(), held.min(size));
            free(block);
        }
    }
    new
}

/// How many bytes a block has.
///
/// # Safety
/// It came from here.
pub(super) unsafe fn usable_size(block: NonNull<u8>) -> usize {
    let Some(core) = process::core() else { misuse::foreign(block) };
    match core.space.class_of(block) {
        Some(class) => class.bytes(),
        None => {
            mid::size_of(block).or_else(|| LARGE.size_of(block)).unwrap_or_else(|| misuse::foreign(block))
        }
    }
}

/// Where a block lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Where it starts.
    pub(super) start: NonNull<u8>,
    /// Its bytes.
    pub(super) usable: usize,
    /// Block size of its class; its own size for a large block.
    pub(super) class: usize,
    /// Where its page starts; its own start for a large block.
    pub(super) page: usize,
}

/// The block that an address lies in, freed or not; none where no page and no large block is. Of a large block only the start
/// is known.
pub(super) fn place(address: NonNull<u8>) -> Option<Place> {
    let core = process::core()?;
    let Some(class) = core.space.class_of(address) else {
        // Of the pool, too, only the start of a block.
        let usable = mid::size_of(address).or_else(|| LARGE.size_of(address))?;
        return Some(Place { start: address, usable, class: usable, page: address.addr().get() });
    };
    let spot = core.space.spot(address, class);
    let start = core.space.address(spot.number(), class);
    let page = start.addr().get() - spot.index * class.bytes();
    (spot.index < class.blocks() as usize).then_some(Place {
        start,
        usable: class.bytes(),
        class: class.bytes(),
        page,
    })
}
