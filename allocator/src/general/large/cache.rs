//! How long the memory of free spans is kept, and how much of it.
//!
//! Invariant: after each call that frees, idle memory is within [`Bounds::cache`](super::Bounds) or what is [allowed], whichever is
//! more, as far as the kernel takes memory back. No thread of ours sees to the delay: whoever calls [`Large::purge`] does.
//!
//! ## What is allowed
//! A free span is rarely as long as the next block, so a process whose blocks come and go needs more memory than is live at any moment, or it
//! faults the same pages in again and again. With best fit, and nothing idle at a new peak, the kernel had to bring 20% of the
//! bytes that were given out; with place.rs and this it brings 1% (`blocks_that_come_and_go_find_their_memory_again`).
//! Not more than is live stays, because what a process needed of large blocks once says little when it has few.

use super::account::Account;
use super::granule::PAGE;
use super::spans::{Spans, Sweep};
use super::{Large, Totals};

impl Large {
    /// Gives memory of free spans back to the kernel that has been idle for `delay` nanoseconds at least, and twice that at most if
    /// this is called often enough; all of it if that is 0. `now` is the monotonic clock. How many bytes went back. Cheap if it
    /// is called too early.
    pub(crate) fn purge(&self, now: u64, delay: u64, counters: &Totals) -> u64 {
        let account = self.account(counters);
        let due = self.locked(account, |shared| {
            let due = now.saturating_sub(shared.swept) >= delay;
            if due {
                shared.swept = now;
            }
            due
        });
        match (due, delay) {
            (false, _) => 0,
            (true, 0) => self.sweep(Sweep::All, 0, account),
            (true, _) => self.sweep(Sweep::Old, 0, account),
        }
    }

    /// Gives up to `bytes` of idle memory back, whatever its age, but nothing of what is allowed; how many went.
    pub(crate) fn give_up(&self, bytes: usize, counters: &Totals) -> u64 {
        let account = self.account(counters);
        let (cached, allowed) = self.locked(account, |shared| (shared.spans.cached, allowed(&shared.spans)));
        let keep = cached.saturating_sub(bytes.div_ceil(PAGE)).max(allowed);
        if cached <= keep { 0 } else { self.sweep(Sweep::All, keep, account) }
    }

    /// How many pages may stay idle, if more are.
    pub(super) fn excess(&self, spans: &Spans) -> Option<usize> {
        let bound = allowed(spans).max(self.bounds.cache / PAGE);
        // Some fewer than may, so that not every free that follows has to sweep.
        (spans.cached > bound).then_some(bound - bound / 8)
    }

    /// Gives back what [`excess`](Large::excess) found.
    pub(super) fn trim(&self, excess: Option<usize>, account: Account<'_>) {
        if let Some(keep) = excess {
            self.sweep(Sweep::All, keep, account);
        }
    }

    /// Goes once down the reservation, or until no more than `keep` pages are idle; the bytes that went back.
    ///
    /// The lock is taken for each step anew, so that nobody waits for more than one.
    #[cold]
    pub(super) fn sweep(&self, sweep: Sweep, keep: usize, account: Account<'_>) -> u64 {
        let Some(reservation) = self.reservation() else { return 0 };
        let (mut above, mut pages) = (reservation.frontier(), 0);
        while above > 0 {
            let step = self.locked(account, |shared| {
                let excess = shared.spans.cached.saturating_sub(keep);
                (excess > 0).then(|| shared.spans.sweep(reservation, 0..above, sweep, excess, account))
            });
            let Some(step) = step else { break };
            above -= step.passed;
            pages += step.pages;
        }
        (pages * PAGE) as u64
    }
}

/// Pages that may lie idle: with those behind live blocks as many as were ever live, and a quarter; and no more than are live.
fn allowed(spans: &Spans) -> usize {
    let (budget, used) = (spans.most_live + spans.most_live / 4, spans.mapped - spans.cached);
    budget.saturating_sub(used).min(spans.live)
}
