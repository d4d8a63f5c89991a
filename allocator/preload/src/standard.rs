//! The functions of the C standard, and the names by which glibc has them besides.

use core::ffi::c_void;

use stormglass_allocator::general;

use crate::alignment;
use crate::errno::{or_enomem, overflow};

/// A block of `size` bytes; of 0 bytes, one that may be freed and not be used.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn malloc(size: usize) -> *mut c_void {
    match general::allocate_from_ring(size) {
        Some(block) => block.as_ptr().cast(),
        None => malloc_slowly(size),
    }
}

/// Apart, and of the same form, so that it is jumped to and the short way needs no stack.
#[cold]
#[inline(never)]
extern "C" fn malloc_slowly(size: usize) -> *mut c_void {
    or_enomem(general::allocate(size, alignment::MALLOC))
}

/// Takes a block back. Null is ignored; what is not a block ends the process.
///
/// # Safety
/// The block is not used any more.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn free(block: *mut c_void) {
    // SAFETY: by contract; what the allocator never gave out it finds and refuses.
    unsafe {
        if !general::free_into_ring(block.cast()) {
            free_slowly(block);
        }
    }
}

/// As [`malloc_slowly`].
#[cold]
#[inline(never)]
unsafe extern "C" fn free_slowly(block: *mut c_void) {
    // SAFETY: by contract of `free`.
    unsafe { general::free(block.cast()) };
}

/// A block of zeros for `count` elements of `size` bytes.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        Some(bytes) => or_enomem(general::allocate_zeroed(bytes, alignment::MALLOC)),
        None => overflow(),
    }
}

/// The block with another size, at the same place or another. Size 0 frees it and returns null, as glibc does; on failure
/// the old block stays.
///
/// # Safety
/// The block is the caller's, and where the result is not null, it is not used any more.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    if block.is_null() {
        return malloc(size);
    }
    // SAFETY: by contract.
    unsafe {
        if size == 0 {
            free(block);
            return core::ptr::null_mut();
        }
        or_enomem(general::reallocate(block.cast(), size, alignment::MALLOC))
    }
}

/// [`realloc`] to `count` elements of `size` bytes.
///
/// # Safety
/// As for [`realloc`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: by contract.
        Some(bytes) => unsafe { realloc(block, bytes) },
        None => overflow(),
    }
}

/// [`free`], from a caller who knows the size (C23).
///
/// # Safety
/// As for [`free`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn free_sized(block: *mut c_void, _size: usize) {
    // SAFETY: by contract.
    unsafe { free(block) };
}

/// [`free`], from a caller who knows alignment and size (C23).
///
/// # Safety
/// As for [`free`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn free_aligned_sized(block: *mut c_void, _align: usize, _size: usize) {
    // SAFETY: by contract.
    unsafe { free(block) };
}

/// The name that `free` had in old programs.
///
/// # Safety
/// As for [`free`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cfree(block: *mut c_void) {
    // SAFETY: by contract.
    unsafe { free(block) };
}

/// Names under which programs call past whoever replaces `malloc`: here they must not get past us, because what they
/// return is freed by `free`.
mod internal {
    use super::{c_void, calloc, free, malloc, realloc};

    #[unsafe(no_mangle)]
    extern "C" fn __libc_malloc(size: usize) -> *mut c_void {
        malloc(size)
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn __libc_free(block: *mut c_void) {
        // SAFETY: by contract of the name that stands for it.
        unsafe { free(block) };
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn __libc_cfree(block: *mut c_void) {
        // SAFETY: by contract of the name that stands for it.
        unsafe { free(block) };
    }

    #[unsafe(no_mangle)]
    extern "C" fn __libc_calloc(count: usize, size: usize) -> *mut c_void {
        calloc(count, size)
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void {
        // SAFETY: by contract of the name that stands for it.
        unsafe { realloc(block, size) }
    }
}
