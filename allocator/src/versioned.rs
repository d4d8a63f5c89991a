//! The head of a CAS stack: a block number and a version in one 64-bit word.
//!
//! ```text
//! | version: 32 bits | block number + 1: 32 bits |        0 in the low half: the list is empty
//! ```
//!
//! Invariant: every successful change raises the version, so a head that compares equal has not been touched since
//! it was seen, and neither have the links behind it. Without the version a head that names the same block again (taken,
//! and put back after its neighbour was taken too) would pass for untouched: the ABA failure (Treiber, IBM RJ 5118,
//! 1986, section on tags). The version wraps after 2^32 changes during one attempt: minutes, against an attempt's
//! microseconds.

use crate::sync::{AtomicU64, Ordering};

/// A head as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen(u64);

impl Seen {
    /// The block on top.
    pub(crate) fn top(self) -> Option<u32> {
        (self.0 as u32).checked_sub(1)
    }

    fn version(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn next(self, top: Option<u32>) -> Seen {
        let version = u64::from(self.version().wrapping_add(1));
        Seen(version << 32 | u64::from(top.map_or(0, |block| block + 1)))
    }
}

/// Why a CAS did not go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Another block is on top now.
    TopChanged,
    /// The same block is on top, but the list was changed in between: a head without a version would have been fooled.
    VersionAlone,
}

/// A versioned head.
#[derive(Debug)]
pub(crate) struct VersionedHead(AtomicU64);

impl VersionedHead {
    pub(crate) fn empty() -> VersionedHead {
        VersionedHead(AtomicU64::new(0))
    }

    /// The head now.
    #[inline]
    pub(crate) fn load(&self) -> Seen {
        // Acquire: pairs with the Release CAS in `replace`, so that the links of every block that was pushed before are
        // visible.
        Seen(self.0.load(Ordering::Acquire))
    }

    /// Puts `top` on top if the head is still as it was `seen`.
    ///
    /// The strong form, so that a failure always means that another thread was there.
    #[inline]
    pub(crate) fn replace(&self, seen: Seen, top: Option<u32>) -> Result<(), Lost> {
        // Release: publishes the links written by a pusher to `load`. Every change is a read-modify-write, so the
        // release sequence of an earlier push goes on through later pops. No Acquire: `load` had it, and the version says
        // that nothing has come since. Relaxed on failure: the value is only compared, the next turn loads again.
        match self.0.compare_exchange(seen.0, seen.next(top).0, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(now) if Seen(now).top() == seen.top() => Err(Lost::VersionAlone),
            Err(_) => Err(Lost::TopChanged),
        }
    }
}
