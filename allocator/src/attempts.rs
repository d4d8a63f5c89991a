//! Counts the CAS attempts of one operation, and writes them down when the operation ends.
//!
//! Invariant: attempts made = successes + failures, and an operation's retries are its failures.

use stormglass_telemetry::Op;

use crate::seam;
use crate::site::Tally;
use crate::versioned::{Lost, Orderings, Seen, VersionedHead};

/// The attempts of one operation. Counted when dropped, so that no path out of a loop forgets it.
pub(crate) struct Attempts<'a> {
    tally: Tally<'a>,
    op: Op,
    made: u64,
    failures: u64,
    aba_averted: u64,
}

impl<'a> Attempts<'a> {
    pub(crate) fn of(op: Op, tally: impl Into<Tally<'a>>) -> Attempts<'a> {
        Attempts { tally: tally.into(), op, made: 0, failures: 0, aba_averted: 0 }
    }

    /// One attempt to take what lies above `rest` off a versioned head.
    pub(crate) fn take<O: Orderings>(
        &mut self,
        head: &VersionedHead<O>,
        seen: Seen,
        rest: Option<u32>,
    ) -> bool {
        seam::reached(self.tally);
        self.judge(head.take(seen, rest))
    }

    /// One attempt to put `first` on a versioned head.
    pub(crate) fn put<O: Orderings>(&mut self, head: &VersionedHead<O>, seen: Seen, first: u32) -> bool {
        seam::reached(self.tally);
        self.judge(head.put(seen, first))
    }

    fn judge(&mut self, outcome: Result<(), Lost>) -> bool {
        if outcome == Err(Lost::VersionAlone) {
            self.aba_averted += 1;
        }
        self.count(outcome.is_ok())
    }

    /// Writes down an attempt that was made elsewhere.
    pub(crate) fn count(&mut self, succeeded: bool) -> bool {
        self.made += 1;
        self.failures += u64::from(!succeeded);
        succeeded
    }
}

impl Drop for Attempts<'_> {
    fn drop(&mut self) {
        if self.made == 0 {
            return;
        }
        let counters = self.tally.counters;
        counters.cas_attempts[self.op as usize].add(self.made);
        counters.cas_retries.record(self.failures);
        if self.failures > 0 {
            counters.cas_failures[self.op as usize].add(self.failures);
            counters.aba_averted.add(self.aba_averted);
        }
    }
}
