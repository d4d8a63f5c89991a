//! How long the memory of free spans is kept, and how much of it.
//!
//! Invariant: after each call that frees, idle memory is within its bound, as far as the kernel takes memory back: below
//! [`Bounds::cache`](super::Bounds), or no more than is live, and with that within the budget. No thread of ours sees to the
//! delay: whoever calls [`Large::purge`] does.
//!
//! ## Why a budget
//! Free spans are rarely where the next block fits, so a process whose blocks come and go needs more memory than is live, or it
//! faults the same pages in again and again: with nothing idle at a peak, 15 faults for an allocation of `stormglass compare --workload
//! large`, with a quarter 1.

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

    /// Gives up to `bytes` of idle memory back, whatever its age, as far as more is mapped than the budget; how many went.
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

/// Pages that spans may have memory behind: as many as were ever live, and a quarter.
fn budget(spans: &Spans) -> usize {
    spans.most_live + spans.most_live / 4
}

/// Pages that may lie idle within the budget.
fn allowed(spans: &Spans) -> usize {
    budget(spans).saturating_sub(spans.live).min(spans.live)
}
