//! A bound on the bytes that the process has mapped for its blocks, and the most that it had.
//!
//! Invariant: what was taken and not given back never exceeds the bound that stood when it was taken.
//!
//! The peak is for who keeps idle memory: as long as the process stays below what it had before, memory that lies idle in one
//! place does not raise what it takes at most; when it would take more than ever, the idle memory is given up for it
//! (upkeep.rs).

use core::sync::atomic::{AtomicUsize, Ordering};

/// Bytes taken, and how many may be.
#[derive(Debug)]
pub(crate) struct Limit {
    bound: AtomicUsize,
    taken: AtomicUsize,
    /// The most that was taken when it was last looked at.
    peak: AtomicUsize,
}

/// The peak may be passed by so much before somebody looks, or by a 32nd.
const STEP: usize = 512 << 10;

impl Limit {
    /// No bound but the address space.
    pub(crate) const fn none() -> Limit {
        Limit { bound: AtomicUsize::new(usize::MAX), taken: AtomicUsize::new(0), peak: AtomicUsize::new(0) }
    }

    /// Refuses, from now on, whatever would exceed `bytes`. What is taken already stays.
    pub(crate) fn set(&self, bytes: usize) {
        // Relaxed: a number that publishes nothing else.
        self.bound.store(bytes, Ordering::Relaxed);
    }

    /// Counts `bytes` as mapped; `false` if that would be more than is allowed, and then nothing is counted.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        // Relaxed: the count stands for itself; the memory that it is about is handed over by other means.
        let bound = self.bound.load(Ordering::Relaxed);
        let counted = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            taken.checked_add(bytes).filter(|&sum| bytes == 0 || sum <= bound)
        });
        counted.is_ok()
    }

    /// Counts `bytes` as given back.
    pub(crate) fn give_back(&self, bytes: usize) {
        // Relaxed: as in `take`.
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether to take so many bytes more would be more than ever.
    pub(crate) fn would_peak(&self, bytes: usize) -> bool {
        // Relaxed: as in `take`.
        self.taken().saturating_add(bytes) > self.peak.load(Ordering::Relaxed)
    }

    /// By how many bytes the peak was passed, if that is worth a look: only one thread is told, who calls [`Limit::settle`] then.
    pub(crate) fn growth(&self) -> Option<Growth> {
        let (taken, peak) = (self.taken(), self.peak.load(Ordering::Relaxed));
        let bytes = taken.checked_sub(peak).filter(|&growth| growth > STEP.max(peak / 32))?;
        // Relaxed: only picks one thread.
        self.peak.compare_exchange(peak, taken, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        Some(Growth { bytes, before: peak })
    }

    /// Makes what is taken now the peak, if it is.
    pub(crate) fn settle(&self, growth: &Growth) {
        // Relaxed: a number that others look at now and then.
        self.peak.store(self.taken().max(growth.before), Ordering::Relaxed);
    }

    /// Bytes that are taken.
    pub(crate) fn taken(&self) -> usize {
        // Relaxed: as in `take`.
        self.taken.load(Ordering::Relaxed)
    }
}

/// The peak was passed.
#[derive(Debug)]
pub(crate) struct Growth {
    /// By so much.
    pub(crate) bytes: usize,
    before: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exceeds_the_bound_is_refused_and_not_counted() {
        let limit = Limit::none();
        limit.set(100);
        assert!(limit.take(60));
        assert!(!limit.take(41));
        assert!(limit.take(40));
        assert_eq!(limit.taken(), 100);
        limit.give_back(1);
        assert!(limit.take(1));
        assert!(limit.take(0), "nothing is never too much");
    }

    #[test]
    fn a_new_peak_is_told_once_and_is_what_is_left_when_memory_was_given_up_for_it() {
        let limit = Limit::none();
        assert!(limit.take(4 * STEP) && limit.would_peak(1));
        let growth = limit.growth().expect("more than ever");
        assert_eq!(growth.bytes, 4 * STEP);
        assert!(limit.growth().is_none());
        limit.give_back(STEP);
        limit.settle(&growth);
        assert!(limit.would_peak(1) && !limit.would_peak(0));
        limit.give_back(2 * STEP);
        assert!(limit.take(2 * STEP) && limit.growth().is_none(), "no more than before");
        assert!(limit.take(STEP + 1) && limit.growth().is_some());
    }

    #[test]
    fn no_sum_overflows() {
        let limit = Limit::none();
        assert!(limit.take(usize::MAX));
        assert!(!limit.take(1));
        assert!(!limit.take(usize::MAX));
        assert_eq!(limit.taken(), usize::MAX);
    }

    #[test]
    fn a_bound_that_is_lowered_refuses_until_enough_came_back() {
        let limit = Limit::none();
        assert!(limit.take(100));
        limit.set(50);
        assert!(!limit.take(1));
        assert!(limit.take(0));
        limit.give_back(51);
        assert!(limit.take(1));
    }

    #[test]
    fn threads_together_take_no_more_than_the_bound() {
        let limit = Limit::none();
        limit.set(1000);
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..1000).filter(|_| limit.take(1)).count();
            let threads = [scope.spawn(take), scope.spawn(take)];
            threads.map(|thread| thread.join().expect("no panic")).iter().sum()
        });
        assert_eq!((taken, limit.taken()), (1000, 1000));
    }
}
