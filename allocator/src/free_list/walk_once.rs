//! `walk-once`: option A1. The chain is chased once; after a failed CAS, what is still true of the walk is used again.
//!
//! ```text
//! walked     a -> b -> c -> d                 and the CAS failed: another thread pushed p
//! head now   p -> a -> ...
//!            chase p, meet a, which was walked: b, c, d are *predicted*.
//!            is a's link still b?  b's still c?  c's still d?      <- addresses known: no load waits for another
//!            chase on from where the answer is no, or the old walk ends
//! ```
//!
//! What is saved are the dependent loads, of which each waits for the one before; the links are read again all the same. It
//! saves nothing where another's batch pop took all that was walked: then there is nothing left to meet.
//!
//! Counted as wasted are blocks that were chased and then dropped, so kept + wasted = blocks chased. A block that was met
//! again is counted once: in this design `walked per kept` is the price in chased lines, not in lines read.
//!
//! Invariant and argument are those of `lockfree-walk`: every link that the walk relies on is read after the load of
//! the head and before the CAS, and if the CAS succeeds, the version says that the list was not changed in between.
//! A prediction that was confirmed has been read in that span like any other link; an old walk only says where to look.

use stormglass_telemetry::Op;

use super::{FreeList, Patience, stack};
use crate::attempts::Attempts;
use crate::batch::{BATCH, Batch};
use crate::block::{Block, Chain};
use crate::links::Links;
use crate::site::Site;
use crate::versioned::{AsInPaper, Orderings, VersionedHead};

pub(crate) struct OnceStack<O = AsInPaper> {
    head: VersionedHead<O>,
}

impl<O: Orderings> FreeList for OnceStack<O> {
    type Shared = ();

    fn empty() -> OnceStack<O> {
        OnceStack { head: VersionedHead::empty() }
    }

    fn pop_batch(&self, (): &(), batch: &mut Batch, _patience: Patience, site: Site<'_>) {
        take(&self.head, batch, site);
    }

    fn push_chain(&self, (): &(), chain: Chain, op: Op, site: Site<'_>) {
        stack::put(&self.head, chain.ends(), op, site);
    }

    fn looks_empty(&self) -> bool {
        self.head.glance().top().is_none()
    }
}

/// Takes a batch off a stack, chasing each block once.
pub(super) fn take<O: Orderings>(head: &VersionedHead<O>, batch: &mut Batch, site: Site<'_>) {
    let mut attempts = Attempts::of(Op::BatchPop, site);
    let mut walk = Walk::NONE;
    loop {
        let seen = head.load();
        let (renewed, dropped) = walk.renewed(seen.top(), batch.room(), site.links);
        walk = renewed;
        site.counters.walk_blocks_wasted.add(dropped);
        if walk.blocks().is_empty() {
            return;
        }
        if attempts.take(head, seen, walk.rest) {
            site.counters.walk_blocks_kept.add(walk.blocks().len() as u64);
            for &number in walk.blocks() {
                // The CAS took exactly these: the version says that no link changed since they were read.
                batch.push(Block::claim(number));
            }
            return;
        }
    }
}

/// The blocks from a top downwards, as they were linked.
struct Walk {
    numbers: [u32; BATCH],
    len: usize,
    /// What the last one links to.
    rest: Option<u32>,
}

const _: () = assert!(BATCH <= u32::BITS as usize, "a bit for each block of a walk");

impl Walk {
    const NONE: Walk = Walk { numbers: [0; BATCH], len: 0, rest: None };

    fn blocks(&self) -> &[u32] {
        &self.numbers[..self.len]
    }

    fn add(&mut self, number: u32) {
        self.numbers[self.len] = number;
        self.len += 1;
    }

    /// The walk from `top`, up to `most` blocks, predicted from this one where the two meet; and how many blocks of this
    /// one are not in it.
    fn renewed(&self, top: Option<u32>, most: usize, links: &Links) -> (Walk, u64) {
        let mut walk = Walk { rest: top, ..Walk::NONE };
        // Bit i: block i of this walk is met again. A set, because what is read of a list that changes meanwhile may lead in
        // circles.
        let mut met = 0_u32;
        while let Some(number) = walk.rest
            && walk.len < most
        {
            walk.add(number);
            let mut at = self.blocks().iter().position(|&old| old == number);
            walk.rest = links.next(number);
            while let Some(i) = at {
                met |= 1 << i;
                at = None;
                if let Some(&predicted) = self.blocks().get(i + 1)
                    && walk.rest == Some(predicted)
                    && walk.len < most
                {
                    walk.add(predicted);
                    walk.rest = links.next(predicted);
                    at = Some(i + 1);
                }
            }
        }
        (walk, self.len as u64 - u64::from(met.count_ones()))
    }
}
