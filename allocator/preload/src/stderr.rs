//! Standard error, by raw writes: no buffer, no lock, no allocation.

use core::ffi::{c_int, c_void};
use core::fmt::Write as _;

use crate::text::Text;

unsafe extern "C" {
    fn write(descriptor: c_int, bytes: *const c_void, count: usize) -> isize;
}

/// Writes a message, up to 1 KiB of it.
pub(crate) fn say(what: core::fmt::Arguments<'_>) {
    let mut room = [0; 1024];
    let mut text = Text::new(&mut room);
    // Neither our buffer nor what is written here can fail.
    let _ = text.write_fmt(what);
    let bytes = text.written();
    // SAFETY: the bytes are ours. With standard error closed there is nobody to tell.
    let _ = unsafe { write(2, bytes.as_ptr().cast(), bytes.len()) };
}
