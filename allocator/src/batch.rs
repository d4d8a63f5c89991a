//! Up to one batch of owned blocks, on the stack of the thread that moves them.

use crate::block::{Block, Chain};
use crate::links::Links;

/// Blocks that a refill takes or a spill returns at once. Two under loom, so that the models stay small.
pub(crate) const BATCH: usize = if cfg!(loom) { 2 } else { 32 };

/// At most [`BATCH`] blocks, owned.
#[derive(Debug)]
pub(crate) struct Batch {
    numbers: [u32; BATCH],
    len: usize,
    most: usize,
    zeroed: bool,
}

impl Batch {
    pub(crate) fn new() -> Batch {
        Batch::of_at_most(BATCH)
    }

    /// A batch that is full before it has [`BATCH`] blocks.
    pub(crate) fn of_at_most(most: usize) -> Batch {
        Batch { numbers: [0; BATCH], len: 0, most: most.min(BATCH), zeroed: false }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn room(&self) -> usize {
        self.most.saturating_sub(self.len)
    }

    /// Says whether the newest block is known to read as zeroes.
    pub(crate) fn set_zeroed(&mut self, zeroed: bool) {
        self.zeroed = zeroed;
    }

    /// Whether it is.
    #[cfg(not(loom))]
    pub(crate) fn is_zeroed(&self) -> bool {
        self.zeroed
    }

    pub(crate) fn push(&mut self, block: Block) {
        self.numbers[self.len] = block.number();
        self.len += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<Block> {
        self.len = self.len.checked_sub(1)?;
        Some(Block::claim(self.numbers[self.len]))
    }

    /// The numbers of its blocks, in the order in which they were pushed.
    pub(crate) fn numbers(&self) -> &[u32] {
        &self.numbers[..self.len]
    }

    /// The number of the block that `pop` would give.
    pub(crate) fn peek(&self) -> Option<u32> {
        Some(self.numbers[self.len.checked_sub(1)?])
    }

    /// Links all blocks into a chain; none if the batch is empty.
    pub(crate) fn into_chain(mut self, links: &Links) -> Option<Chain> {
        let mut chain = Chain::one(self.pop()?);
        while let Some(block) = self.pop() {
            chain = chain.prepend(block, links);
        }
        Some(chain)
    }
}
