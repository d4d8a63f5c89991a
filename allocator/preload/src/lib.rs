//! `libstormglass.so`: the allocator behind the names that C and C++ programs call.
//!
//! Invariants:
//! - *Only the names of C, of C++ and of `include/stormglass.h` are exported*, and all of a family: a program whose
//!   `malloc` is ours and whose `memalign` is not would hand us blocks that we never gave out.
//! - *No panic crosses.* Every function is `extern "C"`, which ends the process where an unwinding would leave it; only
//!   the throwing operators of C++ may be unwound through, by an exception that C++ threw itself.
//! - *`errno` changes on failure alone.* It becomes ENOMEM or EINVAL where the standard says so.
//!
//! Nothing here decides anything about memory: that is `stormglass_allocator::general`.

mod aligned;
mod alignment;
mod errno;
mod glibc;
mod new_handler;
mod operators;
mod standard;
mod stderr;
mod text;
mod watch;
