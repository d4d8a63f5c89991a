//! The functions of the C library that a comparison calls: the allocator, whatever serves it, and three questions.
//!
//! Invariant: these are bound by the dynamic loader, so a library that is preloaded is what answers the first five; which
//! one does is asked, not assumed ([`serving`]).

use std::ffi::{CStr, OsStr, c_char, c_int, c_long, c_void};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::ptr::{self, NonNull};

mod raw {
    use super::{DlInfo, RUsage, c_char, c_int, c_long, c_void};

    unsafe extern "C" {
        pub(super) fn malloc(size: usize) -> *mut u8;
        pub(super) fn calloc(count: usize, size: usize) -> *mut u8;
        pub(super) fn realloc(block: *mut u8, size: usize) -> *mut u8;
        pub(super) fn aligned_alloc(align: usize, size: usize) -> *mut u8;
        pub(super) fn free(block: *mut u8);
        pub(super) fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
        pub(super) fn dladdr(address: *const c_void, info: *mut DlInfo) -> c_int;
        pub(super) fn getrusage(who: c_int, usage: *mut RUsage) -> c_int;
        pub(super) fn mmap(
            address: *mut c_void,
            length: usize,
            protection: c_int,
            flags: c_int,
            file: c_int,
            offset: c_long,
        ) -> *mut c_void;
    }
}

/// An allocator as the C library shows it. Every contender is called through such a table, so that the call itself costs
/// each the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calls {
    pub(crate) malloc: unsafe extern "C" fn(usize) -> *mut u8,
    pub(crate) calloc: unsafe extern "C" fn(usize, usize) -> *mut u8,
    pub(crate) realloc: unsafe extern "C" fn(*mut u8, usize) -> *mut u8,
    pub(crate) aligned_alloc: unsafe extern "C" fn(usize, usize) -> *mut u8,
    pub(crate) free: unsafe extern "C" fn(*mut u8),
}

/// What this process's own `malloc` is.
pub(crate) const CALLS: Calls = Calls {
    malloc: raw::malloc,
    calloc: raw::calloc,
    realloc: raw::realloc,
    aligned_alloc: raw::aligned_alloc,
    free: raw::free,
};

/// `Dl_info` of `dlfcn.h`.
#[repr(C)]
struct DlInfo {
    file: *const c_char,
    base: *mut c_void,
    symbol: *const c_char,
    address: *mut c_void,
}

/// Each function of [`CALLS`] and the file that serves it, if the loader knows.
pub(crate) fn serving() -> [(&'static str, Option<PathBuf>); 5] {
    [
        ("malloc", file_of(CALLS.malloc as *const c_void)),
        ("calloc", file_of(CALLS.calloc as *const c_void)),
        ("realloc", file_of(CALLS.realloc as *const c_void)),
        ("aligned_alloc", file_of(CALLS.aligned_alloc as *const c_void)),
        ("free", file_of(CALLS.free as *const c_void)),
    ]
}

fn file_of(function: *const c_void) -> Option<PathBuf> {
    let mut info =
        DlInfo { file: ptr::null(), base: ptr::null_mut(), symbol: ptr::null(), address: ptr::null_mut() };
    // SAFETY: `info` is ours and has the layout of `Dl_info`; the address may be any.
    let found = unsafe { raw::dladdr(function, &raw mut info) };
    if found == 0 || info.file.is_null() {
        return None;
    }
    // SAFETY: the loader's own string, which lasts as long as the object is loaded: that of `malloc` for ever.
    let file = unsafe { CStr::from_ptr(info.file) };
    Some(PathBuf::from(OsStr::from_bytes(file.to_bytes())))
}

/// Whether our library, where it is loaded, counts what it does; `None` where it is not. Every process has allocated something
/// before it asks, so a library that knows of nothing counts nothing.
pub(crate) fn counts() -> Option<bool> {
    // SAFETY: a null handle asks all objects of the process (RTLD_DEFAULT), the name is a C string.
    let found = unsafe { raw::dlsym(ptr::null_mut(), c"stormglass_stats_json".as_ptr()) };
    if found.is_null() {
        return None;
    }
    // SAFETY: a function of that name is our library's, whose header declares it so.
    let stats: unsafe extern "C" fn(*mut u8, usize) -> usize = unsafe { std::mem::transmute(found) };
    let mut text = [0_u8; 4096];
    // SAFETY: the buffer is ours and as long as is said.
    let len = unsafe { stats(text.as_mut_ptr(), text.len()) };
    let figures: serde_json::Value = serde_json::from_slice(text.get(..len)?).ok()?;
    Some(figures.get("allocations")?.as_u64()? > 0)
}

/// `struct rusage` of 64-bit Linux.
#[repr(C)]
#[derive(Default)]
struct RUsage {
    user: [c_long; 2],
    system: [c_long; 2],
    max_rss_kib: c_long,
    unused: [c_long; 3],
    minor_faults: c_long,
    rest: [c_long; 7],
    switches: c_long,
    forced_switches: c_long,
}

/// Whose use of resources is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This process's.
    Own,
    /// That of the children that it has waited for.
    Children,
}

/// Resources used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// Time on processors, in microseconds.
    pub(crate) cpu_micros: u64,
    pub(crate) minor_faults: u64,
    pub(crate) switches: u64,
    /// Of the largest child, or of this process; that of a process that it was before an `exec` counts too.
    pub(crate) peak_bytes: u64,
}

/// What was used so far; `None` if the kernel does not say.
pub(crate) fn used(whose: Whose) -> Option<Used> {
    let mut usage = RUsage::default();
    let who = match whose {
        Whose::Own => 0,
        Whose::Children => -1,
    };
    // SAFETY: `usage` is ours and has the layout of `struct rusage` where `long` has 64 bits, which is asserted below.
    if unsafe { raw::getrusage(who, &raw mut usage) } != 0 {
        return None;
    }
    let count = |n: c_long| u64::try_from(n).unwrap_or(0);
    let micros = |[seconds, micros]: [c_long; 2]| count(seconds) * 1_000_000 + count(micros);
    Some(Used {
        cpu_micros: micros(usage.user) + micros(usage.system),
        minor_faults: count(usage.minor_faults),
        switches: count(usage.switches) + count(usage.forced_switches),
        peak_bytes: count(usage.max_rss_kib) * 1024,
    })
}

const _: () = assert!(size_of::<c_long>() == 8 && size_of::<RUsage>() == 18 * 8);

/// Address space that takes memory as it is touched, for ever.
///
/// # Errors
/// If the process may not have as much.
pub(crate) fn reserve(bytes: usize) -> io::Result<NonNull<u8>> {
    const READ_WRITE: c_int = 1 | 2;
    const PRIVATE_ANONYMOUS_NORESERVE: c_int = 0x02 | 0x20 | 0x4000;
    // SAFETY: a new mapping at a place of the kernel's choice touches nothing that is there.
    let at = unsafe { raw::mmap(ptr::null_mut(), bytes, READ_WRITE, PRIVATE_ANONYMOUS_NORESERVE, -1, 0) };
    // MAP_FAILED is the address -1.
    if at.addr() == usize::MAX {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(at.cast()).ok_or_else(|| io::Error::other("the kernel mapped page 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_served_by_one_library() {
        let found = serving();
        let first = found[0].1.clone().expect("the loader knows malloc");
        assert!(found.iter().all(|(_, file)| *file == Some(first.clone())), "{found:?}");
    }

    #[test]
    fn faults_are_counted() {
        let before = used(Whose::Own).expect("the kernel says");
        let touched = vec![1_u8; 16 << 20];
        let after = used(Whose::Own).expect("the kernel says");
        assert!(touched.iter().all(|byte| *byte == 1));
        assert!(after.minor_faults > before.minor_faults && after.peak_bytes > 1 << 20);
    }
}
