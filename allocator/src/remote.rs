//! A shard's remote-free stack: threads of other shards push, the first that needs blocks takes all.
//!
//! Invariant: blocks leave only all at once, by one exchange, so a pusher's CAS that succeeds linked to what is really
//! below: no version is needed (the multi-producer stack of mimalloc and snmalloc, without the race on user memory).

use stormglass_telemetry::Op;

use crate::attempts::Attempts;
use crate::block::{Block, Chain};
use crate::seam;
use crate::site::Site;
use crate::sync::{AtomicU32, Ordering};

/// A stack that is taken whole.
#[derive(Debug)]
pub(crate) struct RemoteStack(AtomicU32);

impl RemoteStack {
    pub(crate) fn empty() -> RemoteStack {
        RemoteStack(AtomicU32::new(0))
    }

    /// Pushes a block that a thread of another shard frees.
    pub(crate) fn push(&self, block: Block, site: Site<'_>) {
        let mut attempts = Attempts::of(Op::RemotePush, site);
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            // Relaxed load is enough: what lies below is only linked to, never read, by a pusher.
            site.links.set_next(block.number(), seen.checked_sub(1));
            seam::reached(site);
            // Release: pairs with the Acquire exchange in `take_all`. Relaxed on failure, as the first load.
            match self.0.compare_exchange(seen, block.number() + 1, Ordering::Release, Ordering::Relaxed) {
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
        site.counters.remote_frees.add(1);
    }

    /// Takes every block that is there.
    pub(crate) fn take_all(&self, site: Site<'_>) -> Option<Chain> {
        if self.looks_empty() {
            return None;
        }
        // Acquire: pairs with the Release CAS in `push`, so that the links of the whole chain are visible.
        let first = self.0.swap(0, Ordering::Acquire).checked_sub(1)?;
        let chain = Chain::claim(first, site.links);
        site.counters.remote_drains.add(1);
        site.counters.remote_drained_blocks.add(u64::from(chain.len()));
        Some(chain)
    }

    /// Whether nothing was there a moment ago.
    pub(crate) fn looks_empty(&self) -> bool {
        // Relaxed: a hint; where the mask depends on it, the mask's fence orders it.
        self.0.load(Ordering::Relaxed) == 0
    }
}
