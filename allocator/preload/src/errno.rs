//! `errno`, and what a failed allocation does to it.

use core::ffi::{c_int, c_void};

pub(crate) const ENOMEM: c_int = 12;
pub(crate) const EINVAL: c_int = 22;

unsafe extern "C" {
    safe fn __errno_location() -> *mut c_int;
}

/// Sets the calling thread's `errno`.
#[cold]
pub(crate) fn set(code: c_int) {
    // SAFETY: libc gives the address of a word of this thread, valid as long as the thread.
    unsafe { __errno_location().write(code) };
}

/// The calling thread's `errno`.
pub(crate) fn get() -> c_int {
    // SAFETY: as in `set`.
    unsafe { __errno_location().read() }
}

/// A block as C gets it: null comes with ENOMEM.
#[inline]
pub(crate) fn or_enomem(block: *mut u8) -> *mut c_void {
    if block.is_null() {
        set(ENOMEM);
    }
    block.cast()
}

/// The answer to a request whose size does not fit into a word.
#[cold]
pub(crate) fn overflow() -> *mut c_void {
    or_enomem(core::ptr::null_mut())
}
