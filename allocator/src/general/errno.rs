//! The C library's `errno` over what we ask of it: a successful `malloc` or `free` leaves it as it was.
//!
//! System calls of ours are made without the C library. What is left are slow paths that happen once a process or once a thread, and
//! use it, or the standard library: they run under [`kept`].

use core::ffi::c_int;

unsafe extern "C" {
    safe fn __errno_location() -> *mut c_int;
}

/// Runs `f`, and leaves `errno` as it was before.
pub(super) fn kept<R>(f: impl FnOnce() -> R) -> R {
    let errno = __errno_location();
    // SAFETY: a word of this thread, which lives as long as it does.
    let before = unsafe { errno.read() };
    let result = f();
    // SAFETY: as above.
    unsafe { errno.write(before) };
    result
}
