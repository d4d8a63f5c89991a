//! A lock that nobody waits for longer than a moment: who finds it held then goes another way.
//!
//! Invariant: the value is reached only by who moved the state from FREE to HELD, until it moves it back. From FREE to KEPT it is moved
//! for a fork, by who does not reach the value.

#[cfg(not(loom))]
use core::cell::UnsafeCell;
#[cfg(not(loom))]
use core::hint::spin_loop;
#[cfg(loom)]
use loom::cell::UnsafeCell;
#[cfg(loom)]
use loom::hint::spin_loop;
#[cfg(loom)]
use loom::thread::yield_now;
#[cfg(not(loom))]
use std::thread::yield_now;

use crate::sync::{AtomicU32, Ordering};

const FREE: u32 = 0;
const HELD: u32 = 1;
const KEPT: u32 = 2;

/// How often who comes looks whether the other has gone, before it goes another way: a microsecond, in which who is at work
/// ends, and for which who has no processor is not waited for.
const LOOKS: u32 = if cfg!(loom) { 1 } else { 32 };

/// How often a fork gives its processor up for who is inside.
const PATIENCE: u32 = if cfg!(loom) { 2 } else { 10_000 };

/// A value behind a lock.
pub(crate) struct TryLock<T> {
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only between a `take` that succeeds and the store of FREE after it, which exclude one another.
unsafe impl<T: Send> Sync for TryLock<T> {}

impl<T> TryLock<T> {
    #[cfg(not(loom))]
    pub(crate) const fn new(value: T) -> TryLock<T> {
        TryLock { state: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    #[cfg(loom)]
    pub(crate) fn new(value: T) -> TryLock<T> {
        TryLock { state: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    /// Runs `f` under the lock; none if another thread holds it for longer than a moment. `f` must not come here again.
    pub(crate) fn try_with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut looks = LOOKS;
        while !self.take(HELD) {
            looks -= 1;
            if looks == 0 {
                return None;
            }
            spin_loop();
        }
        #[cfg(not(loom))]
        let result = {
            // SAFETY: `take` moved the state from FREE to HELD for this thread, and it is released below, so no other reference
            // to the value exists.
            f(unsafe { &mut *self.value.get() })
        };
        #[cfg(loom)]
        let result = self.value.with_mut(|value| {
            // SAFETY: as above.
            f(unsafe { &mut *value })
        });
        // Release: pairs with the Acquire in `take`.
        self.state.store(FREE, Ordering::Release);
        Some(result)
    }

    fn take(&self, to: u32) -> bool {
        // A load first, so that who is in vain takes no line away from who is at work. Relaxed: only a hint.
        // Acquire: pairs with the Releases below and above, so that the value is as its last holder left it.
        self.state.load(Ordering::Relaxed) == FREE
            && self.state.compare_exchange(FREE, to, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Waits for the lock and keeps it, so that a fork finds the value whole and nobody inside.
    ///
    /// Not for ever: a thread that is stopped inside, or was ended there by the kernel, must not hold the fork up, nor one that
    /// has no processor because this one has it. The lock stays its own then; nobody waits for it, so none is missed.
    pub(crate) fn hold(&self) {
        for _ in 0..PATIENCE {
            if self.take(KEPT) {
                return;
            }
            yield_now();
        }
    }

    /// Ends a [`hold`](TryLock::hold), if that had the lock: in the parent, and in the child, whose copy of it its only thread has.
    pub(crate) fn end_hold(&self) {
        // Release: pairs with the Acquire in `take`.
        let _ = self.state.compare_exchange(KEPT, FREE, Ordering::Release, Ordering::Relaxed);
    }
}

#[cfg(all(test, loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// What goes in comes out once, whole, or goes another way.
    #[test]
    fn who_finds_the_lock_held_goes_another_way_and_nothing_is_lost() {
        loom::model(|| {
            let stack = Arc::new(TryLock::new(vec![1_u32]));
            let other = {
                let stack = Arc::clone(&stack);
                thread::spawn(move || {
                    (stack.try_with(|stack| stack.push(2)).is_none(), stack.try_with(|stack| stack.pop()))
                })
            };
            let own = stack.try_with(|stack| stack.pop());
            let (kept, taken) = other.join().expect("no panic");
            let mut all: Vec<u32> = stack.try_with(|stack| stack.clone()).expect("nobody holds it");
            all.extend([own, taken].into_iter().flatten().flatten());
            all.extend(kept.then_some(2));
            all.sort_unstable();
            assert_eq!(all, [1, 2]);
        });
    }

    /// A fork that loses its patience leaves the lock with who is inside; one that does not gives it back.
    #[test]
    fn a_fork_keeps_others_out_or_goes_on_without_the_lock() {
        loom::model(|| {
            let stack = Arc::new(TryLock::new(vec![1_u32]));
            let other = {
                let stack = Arc::clone(&stack);
                thread::spawn(move || stack.try_with(|stack| stack.push(2)).is_some())
            };
            stack.hold();
            stack.end_hold();
            // Loom would see it if the other thread were still inside.
            let own = stack.try_with(|stack| stack.push(3)).is_some();
            let pushed = other.join().expect("no panic");
            let all = stack.try_with(|stack| stack.clone()).expect("nobody holds it");
            assert_eq!(all.len(), 1 + usize::from(own) + usize::from(pushed));
        });
    }
}
