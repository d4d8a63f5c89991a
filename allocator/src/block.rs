//! A block's token, chains of blocks, and the token of a page that is still whole.
//!
//! Invariant: for each block at most one `Block` (or `Chain` that holds it) exists, and whoever has it owns the block.
//! That is why the lists may offer safe functions: what is pushed was owned, what is popped is owned.

use stormglass_telemetry::schema::PAGE_BYTES;

use crate::links::Links;

/// Block numbers that each page has, whether its class needs them or not: a block's page is a shift away. Few under
/// loom, so that the models stay small.
pub(crate) const NUMBERS_PER_PAGE: usize = if cfg!(loom) { 4 } else { PAGE_BYTES / 2048 };

/// Ownership of one block, by its number in the region. Not `Copy`, not `Clone`.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a block that is dropped is lost until the pool goes"]
pub(crate) struct Block(u32);

impl Block {
    /// Takes ownership of block `number`.
    ///
    /// The caller has just taken the block out of the one place that held it: a list by a successful CAS or under its
    /// lock, a fresh page, or a caller's pointer.
    pub(crate) fn claim(number: u32) -> Block {
        Block(number)
    }

    pub(crate) fn number(&self) -> u32 {
        self.0
    }
}

/// Blocks that are linked one to the next, owned together.
#[derive(Debug)]
#[must_use = "a chain that is dropped is lost until the pool goes"]
pub(crate) struct Chain {
    first: u32,
    last: u32,
    len: u32,
}

impl Chain {
    /// A chain of one block; its link is written when it is pushed.
    pub(crate) fn one(block: Block) -> Chain {
        Chain { first: block.0, last: block.0, len: 1 }
    }

    /// Takes ownership of the chain that starts at `first`, following its links to the end.
    ///
    /// The caller has just taken the chain whole from the one place that held it.
    pub(crate) fn claim(first: u32, links: &Links) -> Chain {
        let (mut last, mut len) = (first, 1);
        while let Some(next) = links.next(last) {
            last = next;
            len += 1;
        }
        Chain { first, last, len }
    }

    /// Puts `block` in front.
    pub(crate) fn prepend(self, block: Block, links: &Links) -> Chain {
        links.set_next(block.0, Some(self.first));
        Chain { first: block.0, last: self.last, len: self.len + 1 }
    }

    /// The numbers of its blocks, first to last. A block's link is read before its number is given out.
    pub(crate) fn numbers(&self, links: &Links) -> impl Iterator<Item = u32> {
        // The last block's link means nothing until the chain is pushed: its length says where it ends.
        core::iter::successors(Some(self.first), |&number| links.next(number)).take(self.len as usize)
    }

    /// Its first and its last block.
    pub(crate) fn ends(&self) -> (u32, u32) {
        (self.first, self.last)
    }

    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    pub(crate) fn last(&self) -> u32 {
        self.last
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }
}

/// A page that was taken from the region just now, with all its blocks. Not `Copy`, not `Clone`.
#[derive(Debug)]
#[must_use = "a page that is dropped is lost until the pool goes"]
pub(crate) struct FreshPage {
    number: u32,
    blocks: u32,
    zeroed: bool,
}

impl FreshPage {
    /// Takes ownership of page `number`, which the caller has just got from where pages come from and nobody else has.
    pub(crate) fn claim(number: u32, blocks: u32) -> FreshPage {
        debug_assert!(blocks as usize <= NUMBERS_PER_PAGE, "a block's number leads to its page");
        FreshPage { number, blocks, zeroed: false }
    }

    /// Says that all its memory reads as zeroes, or that it may not.
    #[cfg(not(loom))]
    pub(crate) fn zeroed(self, zeroed: bool) -> FreshPage {
        FreshPage { zeroed, ..self }
    }

    /// Whether all its memory is known to read as zeroes.
    pub(crate) fn is_zeroed(&self) -> bool {
        self.zeroed
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// How many blocks it has.
    pub(crate) fn blocks(&self) -> u32 {
        self.blocks
    }

    /// All its blocks, linked in ascending order, so that a program that takes a few touches the start of the page only.
    #[cfg(not(loom))]
    pub(crate) fn into_chain(self, links: &Links) -> Chain {
        let first = self.number * NUMBERS_PER_PAGE as u32;
        let last = first + self.blocks - 1;
        let mut chain = Chain::one(Block::claim(last));
        for number in (first..last).rev() {
            chain = chain.prepend(Block::claim(number), links);
        }
        chain
    }
}
