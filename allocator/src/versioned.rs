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
//!
//! The orderings are a parameter, because the paper asks what weaker ones would bring (its option A2): [`AsInPaper`]
//! is its own acquire and release, free_list/relaxed.rs has the weakest that are right.

use core::marker::PhantomData;

use crate::sync::{AtomicU64, Ordering};

/// The orderings of a head's loads and CASes.
pub(crate) trait Orderings: Send + Sync + 'static {
    /// A load whose links are followed afterwards.
    const LOAD: Ordering;
    /// A load of which only the top's number is used: by a push, or to see whether something is there.
    const GLANCE: Ordering;
    /// A CAS that takes blocks off.
    const TAKE: Ordering;
    /// A CAS that puts blocks on.
    const PUT: Ordering;
    /// A CAS that fails.
    const LOST: Ordering;
}

/// The paper's orderings: every load acquires, every CAS does both, a failed one acquires too.
///
/// More than is needed. What is needed is in this pair: a pusher's Release CAS publishes the links that it wrote, the
/// Acquire load of whoever walks them sees them. Every change is a read-modify-write, so the release sequence of a push
/// goes on through later changes: a head that was seen acquires from every push before it.
#[derive(Debug)]
pub(crate) struct AsInPaper;

impl Orderings for AsInPaper {
    const LOAD: Ordering = Ordering::Acquire;
    const GLANCE: Ordering = Ordering::Acquire;
    const TAKE: Ordering = Ordering::AcqRel;
    const PUT: Ordering = Ordering::AcqRel;
    // The paper's loop went on with the value that the failed CAS gave back; here it loads again.
    const LOST: Ordering = Ordering::Acquire;
}

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
pub(crate) struct VersionedHead<O = AsInPaper>(AtomicU64, PhantomData<O>);

impl<O: Orderings> VersionedHead<O> {
    pub(crate) fn empty() -> VersionedHead<O> {
        VersionedHead(AtomicU64::new(0), PhantomData)
    }

    /// The head now, for one who will follow the links behind it.
    #[inline]
    pub(crate) fn load(&self) -> Seen {
        // Pairs with the CAS in `put`.
        Seen(self.0.load(O::LOAD))
    }

    /// The head now, for one who will not.
    #[inline]
    pub(crate) fn glance(&self) -> Seen {
        Seen(self.0.load(O::GLANCE))
    }

    /// Takes what lies above `rest`, if the head is still as it was `seen`.
    #[inline]
    pub(crate) fn take(&self, seen: Seen, rest: Option<u32>) -> Result<(), Lost> {
        self.replace(seen, rest, O::TAKE)
    }

    /// Puts `first` on top, which already links to the top that was `seen`, if the head is still so.
    #[inline]
    pub(crate) fn put(&self, seen: Seen, first: u32) -> Result<(), Lost> {
        self.replace(seen, Some(first), O::PUT)
    }

    /// The strong form, so that a failure always means that another thread was there.
    #[inline]
    fn replace(&self, seen: Seen, top: Option<u32>, order: Ordering) -> Result<(), Lost> {
        match self.0.compare_exchange(seen.0, seen.next(top).0, order, O::LOST) {
            Ok(_) => Ok(()),
            Err(now) if Seen(now).top() == seen.top() => Err(Lost::VersionAlone),
            Err(_) => Err(Lost::TopChanged),
        }
    }
}
