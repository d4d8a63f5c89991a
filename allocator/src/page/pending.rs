//! The pages of a page heap that have remote blocks: a stack that others push to and the holder takes whole.
//!
//! ```text
//! head: 0 (empty) | page number + 1 | CLOSED: the heap was merged into another
//! ```
//!
//! Invariant: a page is on at most one pending stack, once (remote_map.rs says who may push it). Pages leave only all
//! at once, so a pusher's CAS that succeeds linked to what is really below: no version is needed. A closed stack stays
//! closed until its number founds another heap, so every page is either found by who closed it or goes to the other heap.

use stormglass_telemetry::Op;

use super::record::Records;
use crate::attempts::Attempts;
use crate::seam;
use crate::site::Tally;
use crate::sync::{AtomicU32, Ordering};

const CLOSED: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Pending(AtomicU32);

/// The heap was merged into another: the page's record says into which.
#[derive(Debug)]
pub(super) struct Closed;

impl Pending {
    #[cfg(loom)]
    pub(super) fn empty() -> Pending {
        Pending(AtomicU32::new(0))
    }

    /// Pushes a page whose announcement obliged the caller to.
    pub(super) fn push(&self, page: u32, records: &Records, tally: Tally<'_>) -> Result<(), Closed> {
        let mut attempts = Attempts::of(Op::Push, tally);
        // Acquire, here and on failure: CLOSED pairs with the Release in `close`, so that the caller sees to which heap
        // the page has gone. Other values are only linked to.
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            if seen == CLOSED {
                return Err(Closed);
            }
            records.page(page).set_next_pending(seen.checked_sub(1));
            seam::reached(tally);
            // Release: publishes the link to `take_all` and `close`.
            match self.0.compare_exchange(seen, page + 1, Ordering::Release, Ordering::Acquire) {
                Ok(_) => {
                    attempts.count(true);
                    return Ok(());
                }
                Err(now) => {
                    attempts.count(false);
                    seen = now;
                }
            }
        }
    }

    /// Takes every page that is there; the first, which links to the others. Only for the holder.
    pub(super) fn take_all(&self) -> Option<u32> {
        // Relaxed: a hint; what comes later is found at the next refill.
        if self.0.load(Ordering::Relaxed) == 0 {
            return None;
        }
        // Acquire: pairs with the Release CAS in `push`.
        self.0.swap(0, Ordering::Acquire).checked_sub(1)
    }

    /// Takes every page and lets no other come. Only for the holder, who has given its pages to another heap before.
    pub(super) fn close(&self) -> Option<u32> {
        // Acquire: as in `take_all`. Release: pairs with the Acquire in `push`.
        self.0.swap(CLOSED, Ordering::AcqRel).checked_sub(1)
    }

    /// Lets pages come to a heap that is founded on the number of one that was merged. Only for the founder.
    pub(super) fn open(&self) {
        // Relaxed: it is empty, and what came before on this number was taken when it was closed. Whoever still looks at a
        // page of then finds either CLOSED or this, and both lead on (leaving.rs).
        self.0.store(0, Ordering::Relaxed);
    }
}
