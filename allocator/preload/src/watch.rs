//! What a program can ask of the allocator that it runs under: `include/stormglass.h`, which documents it.

use core::ffi::{CStr, c_char, c_uint};
use core::fmt::Write as _;
use core::ptr::null;
use core::sync::atomic::{AtomicPtr, Ordering};

use stormglass_allocator::general;

use crate::text::Text;

/// Version of the interface; `STORMGLASS_API` in the header.
const API: c_uint = 1;
/// The longest path that Linux takes, with its zero.
const PATH: usize = 4096;

/// The version of this interface.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn stormglass_api_version() -> c_uint {
    API
}

/// Path of this process's segment, null if it has none (yet). The text stays for the life of the process.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn stormglass_segment_path() -> *const c_char {
    /// The path that was last handed out. It is never changed or freed: callers keep it.
    static LAST: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());

    let mut room = [0; PATH];
    let Some(path) = general::segment_path(&mut room) else { return null() };
    let len = path.len();
    // Acquire: pairs with the Release below, which comes after the text.
    let last = LAST.load(Ordering::Acquire);
    // SAFETY: only texts with a zero at their end are stored, and none is ever freed.
    if !last.is_null() && unsafe { CStr::from_ptr(last.cast()) }.to_bytes() == path {
        return last.cast();
    }
    // The first call, or the first in a child, which has a segment of its own.
    let copy = general::allocate(len + 1, 1);
    if copy.is_null() {
        return null();
    }
    // SAFETY: a new block of `len + 1` bytes.
    unsafe {
        copy.copy_from_nonoverlapping(path.as_ptr(), len);
        copy.add(len).write(0);
    }
    // Release: pairs with the Acquire above. If two threads store, both texts stay good.
    LAST.store(copy, Ordering::Release);
    copy.cast()
}

/// The figures of this process as one JSON object, as `snprintf` writes: at most `size` bytes with a zero at their end, and
/// the length that the whole text has without it.
///
/// # Safety
/// `buffer` can be written for `size` bytes; it may be null if `size` is 0.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn stormglass_stats_json(buffer: *mut c_char, size: usize) -> usize {
    // The last byte is the zero's.
    let room: &mut [u8] = match size.checked_sub(1) {
        // SAFETY: by contract.
        Some(room) if !buffer.is_null() => unsafe { core::slice::from_raw_parts_mut(buffer.cast(), room) },
        _ => &mut [],
    };
    let mut text = Text::new(room);
    // A buffer does not fail.
    let _ = write_stats(&mut text);
    let (written, len) = (text.written().len(), text.len());
    if size > 0 && !buffer.is_null() {
        // SAFETY: `written` is at most `size - 1`.
        unsafe { buffer.add(written).write(0) };
    }
    len
}

fn write_stats(text: &mut Text<'_>) -> core::fmt::Result {
    let stats = general::stats();
    write!(
        text,
        "{{\"api\":{API},\"version\":\"{}\",\"mapped_bytes\":{},\"live_bytes\":{},\"allocations\":{},\"frees\":{},\"segment\":",
        env!("CARGO_PKG_VERSION"),
        stats.mapped,
        stats.live,
        stats.allocations,
        stats.frees
    )?;
    let mut room = [0; PATH];
    match general::segment_path(&mut room) {
        Some(path) => write_string(text, path)?,
        None => text.write_str("null")?,
    }
    text.write_str("}")
}

/// A path as a JSON string; what is no UTF-8 in it is shown as a replacement character.
fn write_string(text: &mut Text<'_>, path: &[u8]) -> core::fmt::Result {
    text.write_char('"')?;
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => write!(text, "\\{c}")?,
                c if u32::from(c) < 0x20 => write!(text, "\\u{:04x}", u32::from(c))?,
                c => text.write_char(c)?,
            }
        }
        if !chunk.invalid().is_empty() {
            text.write_char(char::REPLACEMENT_CHARACTER)?;
        }
    }
    text.write_char('"')
}
