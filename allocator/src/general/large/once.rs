//! A value that is made once and read without a lock.
//!
//! The standard library's would do, but what it waits on is its own, and a sanitizer does not see into it. Invariant: the value is
//! written before it is announced, by one thread, and never again.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

pub(super) struct Once<T> {
    made: AtomicBool,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: other threads get shared references only, and drop the value at most.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    pub(super) const fn new() -> Once<T> {
        Once { made: AtomicBool::new(false), value: UnsafeCell::new(None) }
    }

    /// Whether it was tried to make it.
    pub(super) fn is_made(&self) -> bool {
        // Acquire: pairs with the Release in `make`.
        self.made.load(Ordering::Acquire)
    }

    /// The value, if it was made.
    #[inline]
    pub(super) fn get(&self) -> Option<&T> {
        // SAFETY: it was announced, so nobody writes it any more.
        if self.is_made() { unsafe { (*self.value.get()).as_ref() } } else { None }
    }

    /// Makes the value, unless that was done; it may be none.
    ///
    /// # Safety
    /// One thread at a time: the caller holds a lock.
    pub(super) unsafe fn make(&self, make: impl FnOnce() -> Option<T>) {
        if !self.is_made() {
            // SAFETY: not announced, so there is no reference, and no other thread is here, by the caller's promise.
            unsafe { *self.value.get() = make() };
            // Release: pairs with the Acquire in `is_made`.
            self.made.store(true, Ordering::Release);
        }
    }
}
