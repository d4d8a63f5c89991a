//! A stand-in with the face of the general allocator.
#![allow(clippy::undocumented_unsafe_blocks, clippy::cast_possible_wrap)]

mod check;
#[allow(dead_code)]
pub(crate) mod large;
#[allow(dead_code)]
pub(crate) mod limit;
mod plain;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, Ordering};
pub use plain::{Stats, is_ours, segment_path, stats, trim};

static CHECK: AtomicU8 = AtomicU8::new(0);
fn checked() -> bool {
    if CHECK.load(Ordering::Relaxed) == 0 {
        unsafe extern "C" {
            fn getenv(name: *const core::ffi::c_char) -> *const core::ffi::c_char;
        }
        // SAFETY: stand-in.
        let set = unsafe {
            {
                let v = getenv(c"STORMGLASS_CHECK".as_ptr());
                !v.is_null() && *v == b'1' as i8
            }
        };
        check::decide(set);
        CHECK.store(1, Ordering::Relaxed);
    }
    check::is_on()
}

#[used]
#[unsafe(link_section = ".fini_array")]
static FINI: extern "C" fn() = {
    extern "C" fn fini() {
        check::at_exit();
    }
    fini
};

/// See the plan.
pub fn allocate(size: usize, align: usize) -> *mut u8 {
    if checked() { check::allocate(size, align) } else { plain::allocate(size, align) }
}
/// See the plan.
pub fn allocate_zeroed(size: usize, align: usize) -> *mut u8 {
    if checked() { check::allocate_zeroed(size, align) } else { plain::allocate_zeroed(size, align) }
}
/// See the plan.
///
/// # Safety
/// The block is the caller's.
pub unsafe fn free(block: *mut u8) {
    let Some(block) = NonNull::new(block) else { return };
    // SAFETY: stand-in.
    unsafe { if checked() { check::free(block) } else { plain::free(block) } }
}
/// See the plan.
///
/// # Safety
/// The block is the caller's.
pub unsafe fn reallocate(block: *mut u8, size: usize, align: usize) -> *mut u8 {
    let Some(block) = NonNull::new(block) else { return allocate(size, align) };
    // SAFETY: stand-in.
    unsafe {
        if checked() { check::reallocate(block, size, align) } else { plain::reallocate(block, size, align) }
    }
}
/// See the plan.
///
/// # Safety
/// The block is the caller's.
pub unsafe fn usable_size(block: *mut u8) -> usize {
    let Some(p) = NonNull::new(block) else { return 0 };
    // SAFETY: stand-in.
    unsafe { if checked() { check::usable_size(p) } else { plain::usable_size(block) } }
}
/// See the plan.
pub fn before_fork() {
    check::before_fork();
}
/// See the plan.
pub fn after_fork_in_parent() {
    check::after_fork();
}
/// See the plan.
pub fn after_fork_in_child() {
    check::after_fork();
}

/// See the plan.
pub struct Stormglass;
// SAFETY: a stand-in.
unsafe impl core::alloc::GlobalAlloc for Stormglass {
    unsafe fn alloc(&self, l: core::alloc::Layout) -> *mut u8 {
        allocate(l.size(), l.align())
    }
    unsafe fn alloc_zeroed(&self, l: core::alloc::Layout) -> *mut u8 {
        allocate_zeroed(l.size(), l.align())
    }
    unsafe fn dealloc(&self, p: *mut u8, _: core::alloc::Layout) {
        unsafe { free(p) }
    }
    unsafe fn realloc(&self, p: *mut u8, l: core::alloc::Layout, n: usize) -> *mut u8 {
        unsafe { reallocate(p, n, l.align()) }
    }
}
