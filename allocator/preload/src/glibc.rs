//! What glibc has beside the standard: sizes, options, figures. A program that asks gets an answer that is true of this
//! allocator; an option that means nothing here is heard and changes nothing.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::fmt::Write as _;

use stormglass_allocator::general;

use crate::errno::{self, EINVAL};
use crate::stderr;
use crate::text::Text;

/// Bytes that the caller may use of a block, at least as many as were asked for; 0 for null.
///
/// # Safety
/// The block is the caller's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    // SAFETY: by contract.
    unsafe { general::usable_size(block.cast()) }
}

/// Heard, and without effect: glibc's thresholds and arenas have no counterpart here. 1 for the options of glibc, 0
/// for what it does not know either.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn mallopt(option: c_int, _value: c_int) -> c_int {
    // M_MXFAST is 1; M_TRIM_THRESHOLD to M_ARENA_MAX are -1 to -8.
    c_int::from(option == 1 || (-8..=-1).contains(&option))
}

/// glibc's figures, with `int` or with `size_t` in it.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Mallinfo<N> {
    /// Bytes that are mapped.
    arena: N,
    /// Pieces of memory that are free. Not counted here: 0.
    ordblks: N,
    /// Fast bins of glibc: 0.
    smblks: N,
    /// Direct mappings. Not counted here: 0.
    hblks: N,
    /// Bytes of direct mappings; they are among `arena` here: 0.
    hblkhd: N,
    /// Unused in glibc: 0.
    usmblks: N,
    /// Fast bins of glibc: 0.
    fsmblks: N,
    /// Bytes that callers hold.
    uordblks: N,
    /// Bytes that are mapped and that no caller holds.
    fordblks: N,
    /// What a trim of glibc's heap could give back: 0.
    keepcost: N,
}

impl<N: Default> Mallinfo<N> {
    fn of(convert: impl Fn(usize) -> N) -> Mallinfo<N> {
        let stats = general::stats();
        Mallinfo {
            arena: convert(stats.mapped),
            uordblks: convert(stats.live),
            fordblks: convert(stats.mapped.saturating_sub(stats.live)),
            ..Mallinfo::default()
        }
    }
}

/// The figures as `int`, which stop at its end where glibc's wrap around.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn mallinfo() -> Mallinfo<c_int> {
    Mallinfo::of(|bytes| c_int::try_from(bytes).unwrap_or(c_int::MAX))
}

/// The figures.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn mallinfo2() -> Mallinfo<usize> {
    Mallinfo::of(|bytes| bytes)
}

/// Gives all that is free back to the system now; 1 if that was anything. What glibc would keep (`pad`) is not kept.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn malloc_trim(_pad: usize) -> c_int {
    c_int::from(general::trim())
}

/// Says the figures on standard error.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn malloc_stats() {
    let stats = general::stats();
    stderr::say(format_args!(
        "stormglass: {} bytes mapped, {} in use; {} allocations, {} frees\n",
        stats.mapped, stats.live, stats.allocations, stats.frees
    ));
}

unsafe extern "C" {
    fn fputs(text: *const c_char, stream: *mut c_void) -> c_int;
}

/// Writes the figures to a stream as XML. `options` must be 0.
///
/// # Safety
/// `stream` is an open `FILE`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn malloc_info(options: c_int, stream: *mut c_void) -> c_int {
    if options != 0 {
        errno::set(EINVAL);
        return EINVAL;
    }
    let stats = general::stats();
    let mut room = [0; 512];
    let mut text = Text::new(&mut room);
    // What is written here fits, and a buffer does not fail.
    let _ = write!(
        text,
        "<malloc version=\"stormglass-1\">\n<total type=\"mapped\" size=\"{}\"/>\n<total type=\"live\" size=\"{}\"/>\n\
         <total type=\"allocations\" count=\"{}\"/>\n<total type=\"frees\" count=\"{}\"/>\n</malloc>\n\0",
        stats.mapped, stats.live, stats.allocations, stats.frees
    );
    let Ok(text) = CStr::from_bytes_until_nul(text.written()) else { return EINVAL };
    // SAFETY: the text ends with a zero; the stream is the caller's, by contract.
    if unsafe { fputs(text.as_ptr(), stream) } < 0 { -1 } else { 0 }
}
