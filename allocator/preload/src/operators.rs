//! `operator new` and `operator delete` of C++, by their mangled names (Itanium ABI, 64-bit `size_t`).
//!
//! Every form that libstdc++ has is here, so that no call goes through it. The throwing forms are `C-unwind`: an exception
//! of C++ may pass through them, and they hold nothing that would have to be dropped.

use core::ffi::c_void;

use stormglass_allocator::general;

use crate::alignment::MALLOC;
use crate::new_handler::{bad_alloc, with_handler, with_handler_nothrow};
use crate::standard::free;

#[inline]
extern "C-unwind" fn new(size: usize, align: usize) -> *mut c_void {
    if align <= MALLOC
        && let Some(block) = general::allocate_from_ring(size)
    {
        return block.as_ptr().cast();
    }
    new_slowly(size, align)
}

#[cold]
#[inline(never)]
extern "C-unwind" fn new_slowly(size: usize, align: usize) -> *mut c_void {
    let mut block = general::allocate(size, align);
    if block.is_null() {
        block = with_handler(size, align);
        if block.is_null() {
            bad_alloc(size);
        }
    }
    block.cast()
}

#[inline]
fn new_nothrow(size: usize, align: usize) -> *mut c_void {
    let block = general::allocate(size, align);
    if block.is_null() { with_handler_nothrow(size, align).cast() } else { block.cast() }
}

/// Functions of one body under the mangled names of C++.
macro_rules! operators {
    ($abi:literal: $($symbol:literal $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)? $body:block)*) => {
        $(
            #[unsafe(export_name = $symbol)]
            extern $abi fn $name($($arg: $type),*) $(-> $result)? $body
        )*
    };
}

/// `std::align_val_t`, which is passed as the integer that it is.
type Align = usize;
/// `const std::nothrow_t &`: only its type says anything.
type Nothrow = *const c_void;

operators! { "C-unwind":
    "_Znwm" new_one(size: usize) -> *mut c_void { new(size, MALLOC) }
    "_Znam" new_array(size: usize) -> *mut c_void { new(size, MALLOC) }
    "_ZnwmSt11align_val_t" new_one_aligned(size: usize, align: Align) -> *mut c_void { new(size, align.max(MALLOC)) }
    "_ZnamSt11align_val_t" new_array_aligned(size: usize, align: Align) -> *mut c_void { new(size, align.max(MALLOC)) }
}

operators! { "C":
    "_ZnwmRKSt9nothrow_t" new_one_nothrow(size: usize, _none: Nothrow) -> *mut c_void { new_nothrow(size, MALLOC) }
    "_ZnamRKSt9nothrow_t" new_array_nothrow(size: usize, _none: Nothrow) -> *mut c_void { new_nothrow(size, MALLOC) }
    "_ZnwmSt11align_val_tRKSt9nothrow_t"
    new_one_aligned_nothrow(size: usize, align: Align, _none: Nothrow) -> *mut c_void {
        new_nothrow(size, align.max(MALLOC))
    }
    "_ZnamSt11align_val_tRKSt9nothrow_t"
    new_array_aligned_nothrow(size: usize, align: Align, _none: Nothrow) -> *mut c_void {
        new_nothrow(size, align.max(MALLOC))
    }
}

#[inline]
fn delete(block: *mut c_void) {
    // SAFETY: C++ deletes what it got from `new`, and does not use it any more.
    unsafe { free(block) };
}

operators! { "C":
    "_ZdlPv" delete_one(block: *mut c_void) { delete(block); }
    "_ZdaPv" delete_array(block: *mut c_void) { delete(block); }
    "_ZdlPvm" delete_one_sized(block: *mut c_void, _size: usize) { delete(block); }
    "_ZdaPvm" delete_array_sized(block: *mut c_void, _size: usize) { delete(block); }
    "_ZdlPvSt11align_val_t" delete_one_aligned(block: *mut c_void, _align: Align) { delete(block); }
    "_ZdaPvSt11align_val_t" delete_array_aligned(block: *mut c_void, _align: Align) { delete(block); }
    "_ZdlPvmSt11align_val_t" delete_one_sized_aligned(block: *mut c_void, _size: usize, _align: Align) { delete(block); }
    "_ZdaPvmSt11align_val_t" delete_array_sized_aligned(block: *mut c_void, _size: usize, _align: Align) { delete(block); }
    "_ZdlPvRKSt9nothrow_t" delete_one_nothrow(block: *mut c_void, _none: Nothrow) { delete(block); }
    "_ZdaPvRKSt9nothrow_t" delete_array_nothrow(block: *mut c_void, _none: Nothrow) { delete(block); }
    "_ZdlPvSt11align_val_tRKSt9nothrow_t"
    delete_one_aligned_nothrow(block: *mut c_void, _align: Align, _none: Nothrow) { delete(block); }
    "_ZdaPvSt11align_val_tRKSt9nothrow_t"
    delete_array_aligned_nothrow(block: *mut c_void, _align: Align, _none: Nothrow) { delete(block); }
}
