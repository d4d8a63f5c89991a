//! rpmalloc 1.4 under C's names.
//!
//! rpmalloc wants to be told when a thread ends. Its own way is a `pthread_create` that wraps what the thread runs, and which a
//! library of Rust's does not export; so here is one that does the same. The linker takes the first of the two (build.rs).

use std::ffi::CStr;
use std::mem;
use std::ptr;
use std::sync::OnceLock;

use libc::{pthread_attr_t, pthread_key_t, pthread_t};
use rpmalloc_sys as _;

exports::exports! {
    malloc: rpmalloc, calloc: rpcalloc, realloc: rprealloc, free: rpfree,
    aligned_alloc: rpaligned_alloc, malloc_usable_size: rpmalloc_usable_size
}

unsafe extern "C" {
    fn rpmalloc_thread_initialize();
    fn rpmalloc_thread_finalize(release_caches: c_int);
}

type Run = extern "C" fn(*mut c_void) -> *mut c_void;
type Create = unsafe extern "C" fn(*mut pthread_t, *const pthread_attr_t, Run, *mut c_void) -> c_int;

/// What a thread is to run.
struct Start {
    run: Run,
    argument: *mut c_void,
}

/// A value of this key has [`ended`] called at the thread's end.
fn key() -> pthread_key_t {
    static KEY: OnceLock<pthread_key_t> = OnceLock::new();
    *KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: the key is written to a place of our own.
        unsafe { libc::pthread_key_create(&raw mut key, Some(ended)) };
        key
    })
}

extern "C" fn ended(_: *mut c_void) {
    // SAFETY: the thread's heap may go at any time: what is allocated afterwards takes a new one.
    unsafe { rpmalloc_thread_finalize(1) };
}

extern "C" fn started(start: *mut c_void) -> *mut c_void {
    // SAFETY: it is the one that `pthread_create` made for this thread.
    let Start { run, argument } = *unsafe { Box::from_raw(start.cast::<Start>()) };
    // SAFETY: the key lives for ever, and any value but null will do.
    unsafe {
        rpmalloc_thread_initialize();
        libc::pthread_setspecific(key(), ptr::without_provenance(1));
    }
    run(argument)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut pthread_t,
    attributes: *const pthread_attr_t,
    run: Run,
    argument: *mut c_void,
) -> c_int {
    const NAME: &CStr = c"pthread_create";
    // SAFETY: the next object of that name is the C library, whose function has this signature.
    let real: Create = unsafe { mem::transmute(libc::dlsym(libc::RTLD_NEXT, NAME.as_ptr())) };
    let start = Box::into_raw(Box::new(Start { run, argument }));
    // SAFETY: the caller's arguments, but for what is run and its argument, which fit each other.
    let failed = unsafe { real(thread, attributes, started, start.cast()) };
    if failed != 0 {
        // SAFETY: no thread has it.
        drop(unsafe { Box::from_raw(start) });
    }
    failed
}
