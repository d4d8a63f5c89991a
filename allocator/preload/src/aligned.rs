//! Blocks with an alignment: POSIX, C11, and the older names.

use core::ffi::{c_int, c_void};

use stormglass_allocator::general;

use crate::alignment;
use crate::errno::{self, EINVAL, ENOMEM, or_enomem, overflow};

/// A block at a multiple of `align`, through `out`. Says what went wrong by its result: `errno` and `*out` stay.
///
/// # Safety
/// `out` can be written.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() || align < size_of::<*mut c_void>() {
        return EINVAL;
    }
    let before = errno::get();
    let block = general::allocate(size, align.max(alignment::MALLOC));
    if block.is_null() {
        errno::set(before);
        return ENOMEM;
    }
    // SAFETY: by contract.
    unsafe { out.write(block.cast()) };
    0
}

/// A block at a multiple of `align`, which must be a power of two.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if !align.is_power_of_two() {
        return invalid();
    }
    or_enomem(general::allocate(size, align.max(alignment::MALLOC)))
}

/// A block at a multiple of `align`, which is made a power of two.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    match alignment::rounded(align) {
        Some(align) => or_enomem(general::allocate(size, align)),
        None => invalid(),
    }
}

/// A block at the start of a page.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn valloc(size: usize) -> *mut c_void {
    or_enomem(general::allocate(size, alignment::page()))
}

/// Whole pages; one for size 0.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn pvalloc(size: usize) -> *mut c_void {
    match size.max(1).checked_next_multiple_of(alignment::page()) {
        Some(bytes) => valloc(bytes),
        None => overflow(),
    }
}

#[cold]
fn invalid() -> *mut c_void {
    errno::set(EINVAL);
    core::ptr::null_mut()
}

/// See the module of this name in `standard`.
mod internal {
    use super::{c_int, c_void, memalign, posix_memalign, pvalloc, valloc};

    #[unsafe(no_mangle)]
    extern "C" fn __libc_memalign(align: usize, size: usize) -> *mut c_void {
        memalign(align, size)
    }

    #[unsafe(no_mangle)]
    extern "C" fn __libc_valloc(size: usize) -> *mut c_void {
        valloc(size)
    }

    #[unsafe(no_mangle)]
    extern "C" fn __libc_pvalloc(size: usize) -> *mut c_void {
        pvalloc(size)
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn __posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> c_int {
        // SAFETY: by contract of the name that stands for it.
        unsafe { posix_memalign(out, align, size) }
    }
}
