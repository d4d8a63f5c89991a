//! A lock that counts: acquisitions, waits, spins, and how long it was waited for and held.
//!
//! Three states, after Drepper, "Futexes Are Tricky" (2011), mutex 2: free, held, held with sleepers. Invariant: whoever
//! finds it held sets the third state before sleeping, so the holder's release always knows that it must wake.

use core::cell::UnsafeCell;

use stormglass_telemetry::clock;

use crate::free_list::Patience;
use crate::futex::Futex;
use crate::seam;
use crate::site::Site;
use crate::sync::Ordering;

const FREE: u32 = 0;
const HELD: u32 = 1;
const SLEEPERS: u32 = 2;

/// Turns of the spin loop before a thread sleeps; glibc's adaptive mutex and Rust's own take 100.
const SPINS: u32 = if cfg!(loom) { 1 } else { 100 };

/// A value behind a counted lock.
pub(crate) struct Lock<T> {
    state: Futex,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only between `acquire` and `release`, which exclude one another.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Lock<T> {
        Lock { state: Futex::new(FREE), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock and runs `f` under it.
    pub(crate) fn with(&self, site: Site<'_>, f: impl FnOnce(&mut T)) {
        if !self.try_acquire() {
            site.counters.lock_try_failures.add(1);
            let start = clock::stamp();
            self.wait(site);
            site.counters.lock_contended.add(1);
            site.counters.lock_wait.record(site.clock.since(start));
        }
        self.hold(site, f);
    }

    /// Runs `f` under the lock, unless somebody holds it and the caller has no patience.
    pub(crate) fn with_patience(&self, patience: Patience, site: Site<'_>, f: impl FnOnce(&mut T)) {
        match patience {
            Patience::Wait => self.with(site, f),
            Patience::Try => {
                self.try_with(site, f);
            }
        }
    }

    /// Runs `f` under the lock if nobody holds it.
    fn try_with(&self, site: Site<'_>, f: impl FnOnce(&mut T)) -> bool {
        if !self.try_acquire() {
            site.counters.lock_try_failures.add(1);
            return false;
        }
        self.hold(site, f);
        true
    }

    fn hold(&self, site: Site<'_>, f: impl FnOnce(&mut T)) {
        let start = clock::stamp();
        seam::reached(site);
        // SAFETY: the state was moved from FREE to held by this thread and is not yet released, so no other reference
        // to the value exists.
        f(unsafe { &mut *self.value.get() });
        let end = clock::stamp();
        self.release();
        // After the release, so that the counting is not part of the critical section.
        site.counters.lock_acquisitions.add(1);
        site.counters.lock_hold.record(site.clock.between(start, end));
    }

    fn try_acquire(&self) -> bool {
        // Acquire: pairs with the Release in `release`.
        self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn wait(&self, site: Site<'_>) {
        for turn in 0..SPINS {
            core::hint::spin_loop();
            // Relaxed: only a hint when to try.
            if self.state.load(Ordering::Relaxed) == FREE && self.try_acquire() {
                site.counters.lock_spins.add(u64::from(turn) + 1);
                return;
            }
        }
        site.counters.lock_spins.add(u64::from(SPINS));
        // Acquire: pairs with the Release in `release`. Who has waited must assume that others still sleep.
        while self.state.swap(SLEEPERS, Ordering::Acquire) != FREE {
            self.state.sleep_on(SLEEPERS);
        }
    }

    fn release(&self) {
        // Release: pairs with the Acquire of the next holder.
        if self.state.swap(FREE, Ordering::Release) == SLEEPERS {
            self.state.wake_one();
        }
    }
}
