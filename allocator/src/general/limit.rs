//! A bound on the bytes that the process has mapped for its blocks.
//!
//! Invariant: what was taken and not given back never exceeds the bound that stood when it was taken.

use core::sync::atomic::{AtomicUsize, Ordering};

/// Bytes taken, and how many may be.
#[derive(Debug)]
pub(crate) struct Limit {
    bound: AtomicUsize,
    taken: AtomicUsize,
}

impl Limit {
    /// No bound but the address space.
    pub(crate) const fn none() -> Limit {
        Limit { bound: AtomicUsize::new(usize::MAX), taken: AtomicUsize::new(0) }
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

    /// Bytes that are taken.
    pub(crate) fn taken(&self) -> usize {
        // Relaxed: as in `take`.
        self.taken.load(Ordering::Relaxed)
    }
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
