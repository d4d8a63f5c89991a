//! What `operator new` does where there is no memory: asks the program's new-handler for some, again and again, and
//! gives up where there is none.
//!
//! The handler and the exception are libstdc++'s (or libc++'s). The library must load into programs without either, so both are
//! weak symbols: null where nobody has them. Rust has no stable way to name one; a weak reference in the assembler and a load
//! from the global offset table is what a C compiler makes of it too.

use core::mem::transmute;

use crate::stderr;

/// The function of this name in whatever library has it, as an address; 0 where none has.
macro_rules! weak {
    ($name:literal) => {{
        let address: usize;
        // SAFETY: reads a slot of our own global offset table, which the loader has filled before any code of ours runs.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $name),
                concat!("mov {}, qword ptr [rip + ", $name, "@GOTPCREL]"),
                out(reg) address,
                options(nostack, pure, readonly, preserves_flags)
            );
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $name),
                concat!("adrp {0}, :got:", $name),
                concat!("ldr {0}, [{0}, :got_lo12:", $name, "]"),
                out(reg) address,
                options(nostack, pure, readonly, preserves_flags)
            );
        }
        address
    }};
}

/// `std::get_new_handler()`, null where the program has no C++ library, or no handler.
fn handler() -> Option<extern "C-unwind" fn()> {
    let get = weak!("_ZSt15get_new_handlerv");
    if get == 0 {
        return None;
    }
    // SAFETY: a symbol of this mangled name is a function without arguments that returns a `std::new_handler`: null, or a
    // function without arguments and result.
    unsafe { transmute::<usize, extern "C" fn() -> Option<extern "C-unwind" fn()>>(get)() }
}

/// Tries again with the program's handler until there is memory. Null where there is no handler; a handler may also
/// leave by an exception or end the process.
#[cold]
pub(crate) extern "C-unwind" fn with_handler(size: usize, align: usize) -> *mut u8 {
    loop {
        let Some(handler) = handler() else { return core::ptr::null_mut() };
        handler();
        let block = stormglass_allocator::general::allocate(size, align);
        if !block.is_null() {
            return block;
        }
    }
}

/// [`with_handler`] for the forms that may not throw. An exception of the handler cannot be caught in Rust: it ends the
/// process here, with a message, rather than pass through a caller that was promised none.
#[cold]
pub(crate) extern "C" fn with_handler_nothrow(size: usize, align: usize) -> *mut u8 {
    with_handler(size, align)
}

/// The end of `operator new`: `std::bad_alloc`, thrown by the C++ library. Without one nobody could catch it: a
/// message and an abort.
#[cold]
pub(crate) extern "C-unwind" fn bad_alloc(size: usize) -> ! {
    let throw = weak!("_ZSt17__throw_bad_allocv");
    if throw != 0 {
        // SAFETY: a symbol of this mangled name is `std::__throw_bad_alloc()`, which takes nothing and does not return.
        unsafe { transmute::<usize, extern "C-unwind" fn() -> !>(throw)() }
    }
    stderr::say(format_args!(
        "stormglass: operator new: no memory for {size} bytes, and no C++ library to throw std::bad_alloc\n"
    ));
    std::process::abort()
}
