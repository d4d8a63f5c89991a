//! Threads that ended without the C library, by a bare `exit` system call: their heaps are found and given to others.
//!
//! Nobody is told when such a thread ends. So where a thread needs a heap, none is vacant, and there are twice as many as when this
//! was last done, each heap's thread is asked for: what the kernel does not know any more has ended. A number that another thread has
//! got since passes for alive, and its heap is found another time, or never.
//!
//! Invariant: a heap is given away only if its thread was not at work on it when it ended. A thread dies inside only where a
//! signal handler makes the system call; the slow ways say that they are at work, and such a heap is left alone. (The short
//! ways do not. They are a few instructions whose order leaves the ring as before or as after.)
//!
//! A process that was forked by other means than the C library's `fork` has its threads' numbers from its parent: so the
//! process's own number stands beside them, and heaps of another process are never given away.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, compiler_fence};

use rustix::io::Errno;
use rustix::process::{Pid, getpid, test_kill_process};
use rustix::thread::gettid;

use super::enter;
use super::process::{Core, Threads};
use super::thread::Home;

/// How many heaps there are before any is asked after.
pub(super) const FIRST_LOOK: usize = 16;
/// Heaps that are taken at a time.
const SOME: usize = 16;

/// Which thread has a heap, and whether it is at work on it.
pub(super) struct Owner {
    /// The process and the thread; 0 for a heap that is never asked after.
    numbers: AtomicU64,
    at_work: AtomicBool,
}

fn own_process() -> u64 {
    (getpid().as_raw_pid() as u64) << 32
}

// Relaxed throughout: who reads is the thread itself, or has found it dead; a thread that the kernel has ended has written
// all that it ever will.
impl Owner {
    /// The calling thread has the heap.
    pub(super) fn enter(&self) {
        self.numbers.store(own_process() | u64::from(gettid().as_raw_pid() as u32), Ordering::Relaxed);
    }

    /// No thread has it.
    pub(super) fn leave(&self) {
        self.numbers.store(0, Ordering::Relaxed);
    }

    /// In the child of a fork, whose only thread has another number.
    pub(super) fn after_fork_in_child(&self) {
        if self.numbers.load(Ordering::Relaxed) != 0 {
            self.enter();
        }
    }

    /// Runs `f`, which changes the heap.
    pub(super) fn work<R>(&self, f: impl FnOnce() -> R) -> R {
        self.at_work.store(true, Ordering::Relaxed);
        // Only the compiler could put the two in another order as far as a thread's own end is concerned.
        compiler_fence(Ordering::SeqCst);
        let result = f();
        compiler_fence(Ordering::SeqCst);
        self.at_work.store(false, Ordering::Relaxed);
        result
    }

    fn is_dead(&self, process: u64) -> bool {
        let numbers = self.numbers.load(Ordering::Relaxed);
        let thread = Pid::from_raw((numbers & u64::from(u32::MAX)) as i32);
        !self.at_work.load(Ordering::Relaxed)
            && numbers & !u64::from(u32::MAX) == process
            // The signal 0 is none: it asks only.
            && thread.is_some_and(|thread| test_kill_process(thread) == Err(Errno::SRCH))
    }
}

/// Gives the heaps of threads that are no more to whoever comes next, if it is time to look for some.
pub(super) fn bury(core: &'static Core) {
    loop {
        let found = core.threads.with(None, |threads| {
            let due = threads.vacant.is_null() && threads.living >= threads.next_look;
            due.then(|| find(threads))
        });
        let Some(found) = found else { return };
        for home in found.into_iter().flatten() {
            enter::leave(core, home);
        }
        if found[SOME - 1].is_none() {
            return;
        }
    }
}

/// Heaps of the dead, which are the caller's now. Fewer than there is room for: there are no more.
fn find(threads: &mut Threads) -> [Option<&'static Home>; SOME] {
    let process = own_process();
    let mut found = [None; SOME];
    let mut count = 0;
    let mut next = NonNull::new(threads.first);
    while let Some(home) = next {
        // SAFETY: homes never go away.
        let home: &'static Home = unsafe { home.as_ref() };
        next = NonNull::new(home.next.load(Ordering::Relaxed));
        if home.figures.owner.is_dead(process) {
            home.figures.owner.leave();
            found[count] = Some(home);
            count += 1;
            if count == SOME {
                return found;
            }
        }
    }
    threads.next_look = FIRST_LOOK.max(2 * (threads.living - count));
    found
}
