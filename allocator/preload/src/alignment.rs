//! Which alignments there are.

use core::ffi::c_int;

/// What `malloc` promises: fit for every scalar type, `long double` and the 16-byte vectors among them.
pub(crate) const MALLOC: usize = 16;

unsafe extern "C" {
    safe fn getpagesize() -> c_int;
}

/// Bytes of a page of this system.
pub(crate) fn page() -> usize {
    getpagesize() as usize
}

/// The alignment that glibc's `memalign` makes of any number: the next power of two, at least that of `malloc`.
/// None if there is none in a word.
pub(crate) fn rounded(align: usize) -> Option<usize> {
    align.max(MALLOC).checked_next_power_of_two()
}
