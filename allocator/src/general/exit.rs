//! What happens when a thread ends: a pthread key, whose destructor gives the thread's heap to the next.
//!
//! The key is set after the heap is in its place, because setting it may allocate. Destructors of thread-locals, those of
//! the standard library and of C++, run before those of keys; other keys' may run later, and then allocate and free: they
//! share one heap with all threads that have none (enter.rs). So no key has to be set again, and nothing is lost after the fourth
//! round, at which the C library stops.
//!
//! A thread that ends without the C library (a bare `exit` system call) leaves its heap behind, until it is found (dead.rs). The thread that leaves `main` runs no destructors; its heap goes with the process.

use core::ffi::{c_int, c_uint, c_void};
use core::sync::atomic::{AtomicU32, Ordering};

use super::process;
use super::thread::Home;
use super::tls;

/// The key plus 1; 0: there is none.
static KEY: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" {
    fn pthread_key_create(key: *mut c_uint, destructor: Option<unsafe extern "C" fn(*mut c_void)>) -> c_int;
    fn pthread_setspecific(key: c_uint, value: *const c_void) -> c_int;
}

/// Makes the key. Where the process has too many keys already, heaps of ended threads are lost.
pub(super) fn install() {
    let mut key = 0;
    // SAFETY: writes the key; the destructor gets what `watch` set.
    if unsafe { pthread_key_create(&raw mut key, Some(ended)) } == 0 {
        // Relaxed: who reads 0 meanwhile is the thread that is here, or one that loses its heap when it ends.
        KEY.store(key + 1, Ordering::Relaxed);
    }
}

/// Sees to it that the calling thread's heap is given up when the thread ends. May allocate.
pub(super) fn watch(home: &'static Home) {
    if let Some(key) = KEY.load(Ordering::Relaxed).checked_sub(1) {
        // SAFETY: our own key. If it fails, for want of memory, the heap is lost when the thread ends.
        let _ = unsafe { pthread_setspecific(key, core::ptr::from_ref(home).cast()) };
    }
}

/// The thread ends.
unsafe extern "C" fn ended(home: *mut c_void) {
    let Some(core) = process::core() else { return };
    // SAFETY: what `watch` set, on this thread: a home, which never goes away.
    let home: &'static Home = unsafe { &*home.cast_const().cast() };
    tls::leave_front();
    tls::set(tls::SHARES);
    super::enter::leave(core, home);
}
