//! The lock over the spans and the registry: one that a fork can be carried out under.
//!
//! The three states of lock.rs, without its counters of a shard: a large block has none. Invariant: whoever finds the lock held
//! sets the third state before sleeping, so the holder's release always knows that it must wake.

use core::cell::UnsafeCell;

use stormglass_telemetry::Cell;

use crate::futex::Futex;
use crate::sync::Ordering;

const FREE: u32 = 0;
const HELD: u32 = 1;
const SLEEPERS: u32 = 2;

/// Turns of the spin loop before a thread sleeps; as in lock.rs.
const SPINS: u32 = 100;

/// A value behind a lock.
pub(crate) struct ForkLock<T> {
    state: Futex,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only between `acquire` and `release`, which exclude one another.
unsafe impl<T: Send> Sync for ForkLock<T> {}

impl<T> ForkLock<T> {
    pub(crate) const fn new(value: T) -> ForkLock<T> {
        ForkLock { state: Futex::new(FREE), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock and runs `f` under it; a wait is counted in `waits`. `f` must not lock again.
    pub(crate) fn with<R>(&self, waits: Option<&Cell>, f: impl FnOnce(&mut T) -> R) -> R {
        if self.acquire()
            && let Some(waits) = waits
        {
            waits.add(1);
        }
        // SAFETY: `acquire` moved the state from FREE to held for this thread, and it is released below, so no other
        // reference to the value exists.
        let result = f(unsafe { &mut *self.value.get() });
        self.release();
        result
    }

    /// Takes the lock and keeps it, so that a fork finds the value whole and nobody inside.
    pub(crate) fn hold(&self) {
        self.acquire();
    }

    /// Ends a [`hold`](ForkLock::hold): in the parent, and in the child, whose copy of the lock its only thread holds.
    pub(crate) fn release(&self) {
        // Release: pairs with the Acquire of the next holder. In a child nobody sleeps, and the wake-up finds nobody.
        if self.state.swap(FREE, Ordering::Release) == SLEEPERS {
            self.state.wake_one();
        }
    }

    /// The value, for who holds the lock by [`hold`](ForkLock::hold).
    pub(crate) fn held(&self) -> *mut T {
        self.value.get()
    }

    /// The value itself, where nobody else can reach it.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Whether it had to be waited for.
    fn acquire(&self) -> bool {
        let waits = !self.try_acquire();
        if waits {
            self.wait();
        }
        waits
    }

    fn try_acquire(&self) -> bool {
        // Acquire: pairs with the Release in `release`.
        self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn wait(&self) {
        for _ in 0..SPINS {
            core::hint::spin_loop();
            // Relaxed: only a hint when to try.
            if self.state.load(Ordering::Relaxed) == FREE && self.try_acquire() {
                return;
            }
        }
        // Acquire: pairs with the Release in `release`. Who has waited must assume that others still sleep.
        while self.state.swap(SLEEPERS, Ordering::Acquire) != FREE {
            self.state.sleep_on(SLEEPERS);
        }
    }
}
