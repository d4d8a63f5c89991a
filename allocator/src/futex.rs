//! A word that threads can sleep on.
//!
//! Invariant: a thread goes to sleep only if the word still has the value that it saw, and no wake-up falls between that
//! look and the sleep. The kernel keeps it on Linux (futex(2)); under loom a mutex and a condition variable do, so that a
//! model finds a sleeper whom nobody wakes.

use core::ops::Deref;

use crate::sync::AtomicU32;

/// The word. Dereferences to its atomic.
pub(crate) struct Futex {
    word: AtomicU32,
    #[cfg(loom)]
    sleepers: (loom::sync::Mutex<()>, loom::sync::Condvar),
}

impl Deref for Futex {
    type Target = AtomicU32;

    fn deref(&self) -> &AtomicU32 {
        &self.word
    }
}

#[cfg(not(loom))]
impl Futex {
    pub(crate) const fn new(value: u32) -> Futex {
        Futex { word: AtomicU32::new(value) }
    }

    /// A word of a static.
    pub(crate) const fn of(value: u32) -> Futex {
        Futex { word: AtomicU32::new(value) }
    }

    /// Wakes all of those who sleep.
    pub(crate) fn wake_all(&self) {
        // Cannot fail on a word of our own.
        let _ =
            rustix::thread::futex::wake(&self.word, rustix::thread::futex::Flags::PRIVATE, i32::MAX as u32);
    }

    /// Sleeps until woken, if the word has this value. May return early: the caller looks again.
    pub(crate) fn sleep_on(&self, value: u32) {
        use rustix::thread::futex;
        // Returns at once if the word has another value; every other outcome is handled by the caller's loop.
        let _ = futex::wait(&self.word, futex::Flags::PRIVATE, value, None);
    }

    /// Wakes one of those who sleep, if there are any.
    pub(crate) fn wake_one(&self) {
        // Cannot fail on a word of our own.
        let _ = rustix::thread::futex::wake(&self.word, rustix::thread::futex::Flags::PRIVATE, 1);
    }
}

#[cfg(loom)]
impl Futex {
    pub(crate) fn new(value: u32) -> Futex {
        let sleepers = (loom::sync::Mutex::new(()), loom::sync::Condvar::new());
        Futex { word: AtomicU32::new(value), sleepers }
    }

    pub(crate) fn sleep_on(&self, value: u32) {
        let (mutex, condvar) = &self.sleepers;
        let guard = mutex.lock().expect("no panic");
        // SeqCst: the kernel looks under the lock of its queue.
        if self.word.load(crate::sync::Ordering::SeqCst) == value {
            drop(condvar.wait(guard));
        }
    }

    pub(crate) fn wake_one(&self) {
        let (mutex, condvar) = &self.sleepers;
        let guard = mutex.lock().expect("no panic");
        condvar.notify_one();
        drop(guard);
    }
}
