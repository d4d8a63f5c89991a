//! `depot`: not in the paper. Whole batches are the unit that moves: one CAS hands over 32 blocks, and nobody walks them.
//!
//! A batch on the list is a *magazine*, named by its first block. The numbers of the others are written into the link
//! lines of its first two blocks, so that whoever takes it reads 2 lines, not 32 (the depot of Bonwick and Adams, USENIX
//! 2001, without memory for the magazines themselves):
//!
//! ```text
//! head -> a's line: | next magazine | b | 14 more    |           1 + 15 + 16 = 32 blocks
//!         b's line: | 16 more                        |           fewer: a 0 ends them
//!              |
//!              +-> the next magazine's first block's line: | next magazine | ...
//! ```
//!
//! A longer chain (a fresh page, a drained remote stack) is cut into magazines that are linked to each other first and
//! pushed with one CAS. A pop takes one magazine, by the one link that any stack has to read; that is no walk, and nothing
//! is counted as walked.
//!
//! **Fragments.** A short chain makes a short magazine: what a thread leaves at its exit, the end of a page or of a drain.
//! A pop that gets one brings fewer blocks, and that is all: it does not go on to the next, because what did not fit would go
//! back as a new fragment, on top, for every pop after it. A fragment is popped once and never put back: its blocks
//! leave the ring in a full magazine, or with all else that an exiting thread has. So an exit leaves at most one a class,
//! a drain and a page one, each refill uses up at most one, and a thread that keeps missing merges what it meets.
//!
//! Invariant: *nobody writes to a magazine that is on the list.* Its lines are written by the owner of its blocks before the
//! push, and read by their next owner after the pop.
//!
//! Argument: the push's CAS publishes both lines; the pop's load acquired them, and its CAS succeeds only if the head was not
//! changed since, so the magazine that is read is the one that was pushed. Inside the loop a pop reads only the first
//! line's link; a stale one may name any block (links.rs), and the version rejects it.

use stormglass_telemetry::Op;

use super::{FreeList, Patience, stack};
use crate::attempts::Attempts;
use crate::batch::{BATCH, Batch};
use crate::block::{Block, Chain};
use crate::links::{Links, WORDS};
use crate::site::Site;
use crate::versioned::VersionedHead;

const _: () = assert!(BATCH <= 2 * WORDS, "the lines of two blocks hold a batch");

pub(crate) struct Depot {
    head: VersionedHead,
}

impl FreeList for Depot {
    type Shared = ();

    fn empty() -> Depot {
        Depot { head: VersionedHead::empty() }
    }

    fn pop_batch(&self, (): &(), batch: &mut Batch, _patience: Patience, site: Site<'_>) {
        let mut attempts = Attempts::of(Op::BatchPop, site);
        loop {
            let seen = self.head.load();
            let Some(first) = seen.top() else { return };
            if attempts.take(&self.head, seen, site.links.next(first)) {
                unpack(first, batch, site.links);
                return;
            }
        }
    }

    fn push_chain(&self, (): &(), chain: Chain, op: Op, site: Site<'_>) {
        let mut numbers = chain.numbers(site.links);
        let mut last = None;
        let mut magazine = Batch::new();
        loop {
            // The chain was the caller's, and with it each of its blocks. All of a magazine's links are read before its lines
            // are written.
            numbers.by_ref().take(BATCH).for_each(|number| magazine.push(Block::claim(number)));
            let Some(first) = pack(&magazine, site.links) else { break };
            if let Some(before) = last.replace(first) {
                site.links.set_next(before, Some(first));
            }
            magazine = Batch::new();
        }
        if let Some(last) = last {
            stack::put(&self.head, (chain.first(), last), op, site);
        }
    }

    fn push_batch(&self, (): &(), batch: Batch, op: Op, site: Site<'_>) {
        if let Some(first) = pack(&batch, site.links) {
            stack::put(&self.head, (first, first), op, site);
        }
    }

    fn looks_empty(&self) -> bool {
        self.head.glance().top().is_none()
    }
}

/// Where the number of block `i` (from 1) of a magazine stands: in the line of its first or of its second block.
fn place(first: u32, second: u32, i: usize) -> (u32, usize) {
    if i < WORDS { (first, i) } else { (second, i - WORDS) }
}

/// Writes a batch down as a magazine, all but its link, and names it; none if there is nothing in it.
fn pack(batch: &Batch, links: &Links) -> Option<u32> {
    let numbers = batch.numbers();
    let first = *numbers.first()?;
    // A magazine of one has no second block; then no place is in its line.
    let second = numbers.get(1).copied().unwrap_or(first);
    for i in 1..BATCH.min(numbers.len() + 1) {
        let (line, word) = place(first, second, i);
        links.set_word(line, word, numbers.get(i).copied());
    }
    Some(first)
}

/// Moves the blocks of a magazine that was just taken to `batch`.
fn unpack(first: u32, batch: &mut Batch, links: &Links) {
    // The CAS took the magazine, and with it each block that is written in it.
    batch.push(Block::claim(first));
    let Some(second) = links.word(first, 1) else { return };
    for i in 1..BATCH {
        let (line, word) = place(first, second, i);
        let Some(number) = links.word(line, word) else { return };
        batch.push(Block::claim(number));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::region::Region;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(len in 1..=BATCH, start in 0_u32..4096, stride in 1_u32..8, stale in 0_u32..4096) {
            let region = Region::reserve(0).expect("address space");
            let links = region.links();
            // Lines that were used before for something else.
            for block in start..start + 8 * BATCH as u32 {
                (0..WORDS).for_each(|word| links.set_word(block, word, Some(stale)));
            }
            let mut batch = Batch::new();
            (0..len as u32).for_each(|i| batch.push(Block::claim(start + i * stride)));
            let before = batch.numbers().to_vec();
            let first = pack(&batch, links).expect("not empty");
            let mut again = Batch::new();
            unpack(first, &mut again, links);
            prop_assert_eq!(again.numbers(), before);
        }
    }
}
