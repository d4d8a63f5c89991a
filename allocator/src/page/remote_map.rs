//! The blocks of a page that threads free which do not hold it: one bit a block, and whether the page is queued.
//!
//! ```text
//! a thread that frees                   the holder, with the page off its pending queue
//!   1. sets bits (CAS, Release)           1. queued.swap(false)
//!   2. queued.swap(true)                  2. takes every word (swap(0), Acquire)
//!   3. was false: queues the page
//! ```
//!
//! Invariant: a page with remote blocks is queued, or exactly one thread is about to queue it. Both exchange `queued`, so
//! one comes first: if it is the freeing thread, the holder's exchange acquires what it released, and step 2 finds its
//! bits; if it is the holder, the freeing thread reads `false` and queues the page once more. A holder may
//! find bits of a thread that is still before its step 2; then the page is queued with nothing in it, which costs a look.

use stormglass_telemetry::Op;

use super::run::{Run, WORDS};
use crate::attempts::Attempts;
use crate::seam;
use crate::site::Tally;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

#[repr(C)]
#[derive(Debug)]
pub(super) struct RemoteMap {
    queued: AtomicU32,
    words: [AtomicU64; WORDS],
}

impl RemoteMap {
    #[cfg(loom)]
    pub(super) fn empty() -> RemoteMap {
        RemoteMap { queued: AtomicU32::new(0), words: core::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// Adds blocks; [`RemoteMap::announce`] must follow. A `fetch_or` would be the same loop on many processors, with its
    /// failures hidden.
    pub(super) fn push(&self, run: Run, tally: Tally<'_>) {
        let word = &self.words[run.word()];
        let mut attempts = Attempts::of(Op::RemotePush, tally);
        // Relaxed, here and on failure: only compared.
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            let with_run = run.added_to(seen);
            seam::reached(tally);
            // Release: pairs with the Acquire in `take_all`; what was done with the blocks is done before their next
            // owner has them.
            match word.compare_exchange(seen, with_run, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => {
                    attempts.count(true);
                    break;
                }
                Err(now) => {
                    attempts.count(false);
                    seen = now;
                }
            }
        }
        tally.counters.remote_frees.add(u64::from(run.len()));
    }

    /// Says that blocks were pushed; `true` obliges the caller to queue the page.
    #[must_use = "a page that nobody queues is lost to its holder"]
    pub(super) fn announce(&self) -> bool {
        // Release: pairs with the Acquire in `take_all`, so that the holder finds the bits. Acquire: pairs with the Release
        // there, so that the holder has read the page's place in the old queue before the caller writes the new one.
        self.queued.swap(1, Ordering::AcqRel) == 0
    }

    /// Whether the page is on a queue, or about to be: as the holder sees it, a hint.
    pub(super) fn is_queued(&self) -> bool {
        self.queued.load(Ordering::Relaxed) != 0
    }

    /// Takes the page off a queue that it should not be on, or that it was about to be put on; `true` obliges the caller to
    /// queue it anew, because blocks have come meanwhile.
    ///
    /// Only for who has the page off all queues, or was obliged to queue it.
    #[must_use = "a page that nobody queues is lost to its holder"]
    pub(super) fn withdraw(&self) -> bool {
        // AcqRel: as in `take_all`. Who announced before this exchange did so in vain, but its bits are seen here; who comes
        // later queues the page itself.
        self.queued.swap(0, Ordering::AcqRel);
        // Acquire: pairs with the Release in `push`, so that the caller knows the page's heap as who freed the block does. A
        // read-modify-write, because a load might go on showing the caller bits of its own that the holder has taken.
        self.words.iter().any(|word| word.fetch_or(0, Ordering::Acquire) != 0) && self.announce()
    }

    /// Takes every block that is there. Only for the holder, with `page` off the pending queue.
    pub(super) fn take_all(&self, page: u32, tally: Tally<'_>, mut take: impl FnMut(Run)) {
        // AcqRel: see `announce`.
        self.queued.swap(0, Ordering::AcqRel);
        let mut blocks = 0;
        for (index, word) in self.words.iter().enumerate() {
            // Relaxed: the bits of all threads that announced before the exchange above are visible by it; later ones
            // announce again.
            if word.load(Ordering::Relaxed) == 0 {
                continue;
            }
            // Acquire: pairs with the Release CAS in `push`.
            let run = Run::claim(page, index, word.swap(0, Ordering::Acquire));
            blocks += run.len();
            take(run);
        }
        if blocks > 0 {
            tally.counters.remote_drains.add(1);
            tally.counters.remote_drained_blocks.add(u64::from(blocks));
        }
    }
}
