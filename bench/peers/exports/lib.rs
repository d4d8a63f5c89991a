//! C's names for an allocator whose functions have names of their own, so that it can be preloaded.
//!
//! Invariant: the interface is whole. A program whose `malloc` is one library's and whose `memalign` is another's would hand
//! the one blocks of the other.

/// Defines what C and its libraries call, by six functions of an allocator under C's signatures: each is a jump to its
/// function, and what takes more than one is made of them.
#[macro_export]
macro_rules! exports {
    (malloc: $malloc:ident, calloc: $calloc:ident, realloc: $realloc:ident, free: $free:ident,
     aligned_alloc: $aligned_alloc:ident, malloc_usable_size: $usable_size:ident) => {
        use std::ffi::{c_int, c_void};

        unsafe extern "C" {
            fn $malloc(size: usize) -> *mut c_void;
            fn $calloc(count: usize, size: usize) -> *mut c_void;
            fn $realloc(block: *mut c_void, size: usize) -> *mut c_void;
            fn $free(block: *mut c_void);
            fn $aligned_alloc(align: usize, size: usize) -> *mut c_void;
            fn $usable_size(block: *const c_void) -> usize;
        }

        const PAGE: usize = 4096;
        const NO_MEMORY: c_int = 12;
        const INVALID: c_int = 22;

        #[unsafe(no_mangle)]
        unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
            // SAFETY: the caller keeps C's rules, which are the function's; so in all that follow.
            unsafe { $malloc(size) }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
            // SAFETY: as in `malloc`.
            unsafe { $calloc(count, size) }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
            // SAFETY: as in `malloc`.
            unsafe { $realloc(block, size) }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn free(block: *mut c_void) {
            // SAFETY: as in `malloc`.
            unsafe { $free(block) }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
            // SAFETY: as in `malloc`.
            unsafe { $aligned_alloc(align, size) }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
            // SAFETY: as in `malloc`.
            unsafe { $aligned_alloc(align, size) }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn valloc(size: usize) -> *mut c_void {
            // SAFETY: as in `malloc`.
            unsafe { $aligned_alloc(PAGE, size) }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn pvalloc(size: usize) -> *mut c_void {
            match size.checked_next_multiple_of(PAGE) {
                // SAFETY: as in `malloc`.
                Some(size) => unsafe { $aligned_alloc(PAGE, size) },
                None => std::ptr::null_mut(),
            }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn posix_memalign(to: *mut *mut c_void, align: usize, size: usize) -> c_int {
            if !align.is_power_of_two() || align < size_of::<*mut c_void>() {
                return INVALID;
            }
            // SAFETY: as in `malloc`.
            let block = unsafe { $aligned_alloc(align, size) };
            if block.is_null() {
                return NO_MEMORY;
            }
            // SAFETY: the caller says where the block's address goes.
            unsafe { to.write(block) };
            0
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
            match count.checked_mul(size) {
                // SAFETY: as in `malloc`.
                Some(bytes) => unsafe { $realloc(block, bytes) },
                None => std::ptr::null_mut(),
            }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn malloc_usable_size(block: *const c_void) -> usize {
            // SAFETY: as in `malloc`.
            unsafe { $usable_size(block) }
        }
    };
}
