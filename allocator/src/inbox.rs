//! A stack that is pushed to block by block and taken whole.
//!
//! ```text
//! push:      top = seen, block -> seen, CAS(top, seen -> block)
//! take all:  top <- 0 by one exchange; what it held is a chain that ends in 0
//! ```
//!
//! Invariant: blocks leave only all at once, by one exchange, so a pusher's CAS that succeeds linked to what is really
//! below, even if that was taken and has come back: no version is needed (the multi-producer stack of mimalloc and snmalloc,
//! without the race on user memory).

use stormglass_telemetry::Op;

use crate::attempts::Attempts;
use crate::block::Block;
use crate::seam;
use crate::site::Site;
use crate::sync::{AtomicU32, Ordering};

/// A stack that is taken whole: the number of its top block plus 1, 0 if there is none.
#[derive(Debug)]
pub(crate) struct Inbox(AtomicU32);

impl Inbox {
    pub(crate) fn empty() -> Inbox {
        Inbox(AtomicU32::new(0))
    }

    /// Pushes a block, counted as `op`.
    pub(crate) fn push(&self, block: Block, op: Op, site: Site<'_>) {
        let mut attempts = Attempts::of(op, site);
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            // Relaxed load is enough: what lies below is only linked to, never read, by a pusher.
            site.links.set_next(block.number(), seen.checked_sub(1));
            seam::reached(site);
            // Release: pairs with the Acquire exchange in `take_all`. Relaxed on failure, as the first load.
            match self.0.compare_exchange(seen, block.number() + 1, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => {
                    attempts.count(true);
                    return;
                }
                Err(now) => {
                    attempts.count(false);
                    seen = now;
                }
            }
        }
    }

    /// Takes every block that is there: the number of the first, whose links lead to all others.
    pub(crate) fn take_all(&self) -> Option<u32> {
        // Relaxed: only saves the exchange where there is nothing.
        if self.0.load(Ordering::Relaxed) == 0 {
            return None;
        }
        // Acquire: pairs with the Release CAS in `push`, so that the links of the whole chain are visible. Release: pairs
        // with the Acquire in `looks_empty`, so that who sees the inbox emptied sees what its taker wrote before.
        self.0.swap(0, Ordering::AcqRel).checked_sub(1)
    }

    /// Whether nothing was there a moment ago.
    pub(crate) fn looks_empty(&self) -> bool {
        // Acquire: see `take_all`. That nothing is missed where the mask depends on it is the mask's fence's doing.
        self.0.load(Ordering::Acquire) == 0
    }
}
