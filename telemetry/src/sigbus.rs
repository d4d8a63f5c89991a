//! A file that is cut off while it is read: its pages go from under the mapping, and the kernel sends a SIGBUS.
//!
//! No writer ever does that; a process of the same user may. `pread` would answer with a short count instead, but copies bytes
//! without a promise that a 64-bit counter is copied in one piece, and a counter in two pieces is one that falls. So counters are
//! read where they lie, and the signal is handled: the rest of the mapping becomes zeros of its own, the load is done again
//! and the reading says afterwards that it was in vain.
//!
//! Invariant: only a fault inside the mapping that the faulting thread itself is reading is taken. Every other SIGBUS goes to
//! whoever had it before, and ends the process if that is nobody.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering, compiler_fence};
use std::sync::OnceLock;

use rustix::mm::{MapFlags, ProtFlags};

/// What a thread is reading.
#[derive(Clone, Copy)]
struct Watched {
    start: usize,
    len: usize,
    /// Whether a page of it was gone.
    lost: bool,
}

const NOTHING: Watched = Watched { start: 0, len: 0, lost: false };

thread_local! {
    // Constant and without a destructor: looking at it takes nothing that a signal handler must not take.
    static WATCHED: Cell<Watched> = const { Cell::new(NOTHING) };
}

/// What handled the signal before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Size of a page of memory: looked up beforehand, not in the handler.
static PAGE: AtomicUsize = AtomicUsize::new(4096);

/// Sets the handler, once.
pub(crate) fn install() {
    BEFORE.get_or_init(|| {
        // Relaxed: whoever maps anything has come through this `get_or_init`, which synchronises.
        PAGE.store(rustix::param::page_size(), Ordering::Relaxed);
        // SAFETY: all-zero bytes are a valid `sigaction` (no handler, no flags, an empty mask).
        let (mut before, mut ours): (libc::sigaction, libc::sigaction) = unsafe { core::mem::zeroed() };
        ours.sa_sigaction = on_sigbus as extern "C" fn(_, _, _) as usize;
        // On the alternate stack, where a thread has one: the handler that was there before may count on it.
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: both point to valid structures; what was there before is asked for first, so that it is known to a handler
        // that runs at once. The calls fail only for signals that there are not.
        unsafe {
            libc::sigaction(libc::SIGBUS, core::ptr::null(), &raw mut before);
            libc::sigaction(libc::SIGBUS, &raw const ours, core::ptr::null_mut());
        }
        before
    });
}

/// What `read` returns; none if a page of the mapping was gone while it read.
pub(crate) fn watched<T>(start: NonNull<u8>, len: usize, read: impl FnOnce() -> T) -> Option<T> {
    /// Ends the watch, also where `read` panics.
    struct End(Watched);
    impl Drop for End {
        fn drop(&mut self) {
            WATCHED.set(self.0);
        }
    }
    let end = End(WATCHED.replace(Watched { start: start.as_ptr() as usize, len, lost: false }));
    // The loads of `read` stay between the two: the compiler moves no memory access over a signal fence.
    compiler_fence(Ordering::SeqCst);
    let value = read();
    compiler_fence(Ordering::SeqCst);
    let lost = WATCHED.get().lost;
    drop(end);
    (!lost).then_some(value)
}

extern "C" fn on_sigbus(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid structure; of a SIGBUS it has the address.
    let address = unsafe { (*info).si_addr() } as usize;
    let watched = WATCHED.get();
    if address.wrapping_sub(watched.start) < watched.len {
        // Relaxed: as in `install`.
        let page = PAGE.load(Ordering::Relaxed);
        let from = address & !(page - 1);
        let end = (watched.start + watched.len).next_multiple_of(page);
        // SAFETY: from a page of the watched mapping to its end, which this thread is reading, through atomics alone: zeros are as
        // valid as what was there. One system call, by no function of the C library: safe in a handler, and leaves errno alone.
        let zeros = unsafe {
            rustix::mm::mmap_anonymous(
                from as *mut c_void,
                end - from,
                ProtFlags::READ,
                MapFlags::PRIVATE | MapFlags::FIXED,
            )
        };
        if zeros.is_ok() {
            WATCHED.set(Watched { lost: true, ..watched });
            return;
        }
    }
    pass_on(signal, info, context);
}

/// Lets the signal do what it would have done without us.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let before = BEFORE.get().filter(|before| ![libc::SIG_DFL, libc::SIG_IGN].contains(&before.sa_sigaction));
    let Some(before) = before else {
        // SAFETY: the default action has no handler to be valid. The fault comes again, and then ends the process.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        return;
    };
    // SAFETY: a handler that somebody set for this signal, called with what the kernel calls it with, by its flags.
    unsafe {
        if before.sa_flags & libc::SA_SIGINFO != 0 {
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                core::mem::transmute(before.sa_sigaction);
            handler(signal, info, context);
        } else {
            let handler: extern "C" fn(c_int) = core::mem::transmute(before.sa_sigaction);
            handler(signal);
        }
    }
}
