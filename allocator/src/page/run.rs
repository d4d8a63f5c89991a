//! Free blocks of one page that stand in one word of its maps.
//!
//! ```text
//! block number: | page | word: 3 bits | bit: 6 bits |
//! ```
//!
//! Invariant: as for `Block`: whoever has a run owns its blocks, and no other token for them exists. A program that
//! frees a block twice breaks it; where a bit is set that is to be set, that is found, at the price of a comparison.

use crate::block::{Block, NUMBERS_PER_PAGE};
#[cfg(not(loom))]
use crate::misuse::freed_twice;

/// Blocks of a word of a map. Few under loom, so that a page has two words there.
pub(super) const WORD_BLOCKS: u32 = if cfg!(loom) { 2 } else { 64 };
/// Words of a page's map.
pub(super) const WORDS: usize = NUMBERS_PER_PAGE / WORD_BLOCKS as usize;

#[cfg(loom)]
fn freed_twice() -> ! {
    panic!("a block came back twice");
}

/// The bits of word `word` that blocks have, on a page of `blocks`.
pub(super) fn bits_of(word: usize, blocks: u32) -> u64 {
    let here = blocks.saturating_sub(word as u32 * WORD_BLOCKS).min(WORD_BLOCKS);
    if here == 0 { 0 } else { u64::MAX >> (64 - here) }
}

/// Ownership of up to 64 neighbouring blocks. Not `Copy`, not `Clone`.
#[derive(Debug)]
#[must_use = "blocks that are dropped are lost until the pool goes"]
pub(super) struct Run {
    /// Counted through all pages.
    word: u32,
    bits: u64,
}

impl Run {
    /// Takes ownership of the blocks `bits` in word `word` of `page`.
    ///
    /// The caller has just taken them out of the map that held them, or off a fresh page.
    pub(super) fn claim(page: u32, word: usize, bits: u64) -> Run {
        Run { word: page * WORDS as u32 + word as u32, bits }
    }

    /// A run of one block.
    pub(super) fn one(block: Block) -> Run {
        Run { word: block.number() / WORD_BLOCKS, bits: 1 << (block.number() % WORD_BLOCKS) }
    }

    /// Ownership of nothing.
    pub(super) const NONE: Run = Run { word: 0, bits: 0 };

    /// Whether another run's blocks stand in the same word.
    pub(super) fn shares_word(&self, other: &Run) -> bool {
        self.word == other.word
    }

    /// Takes the blocks of a run of the same word in.
    pub(super) fn merge(&mut self, other: Run) {
        self.bits = other.added_to(self.bits);
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn holds(&self, number: u32) -> bool {
        number / WORD_BLOCKS == self.word && self.bits >> (number % WORD_BLOCKS) & 1 == 1
    }

    /// The page of the block with this number.
    #[cfg(all(test, not(loom)))]
    pub(super) fn page_of(number: u32) -> u32 {
        number / NUMBERS_PER_PAGE as u32
    }

    pub(super) fn page(&self) -> u32 {
        self.word / WORDS as u32
    }

    /// Which word of its page's map it stands in.
    pub(super) fn word(&self) -> usize {
        self.word as usize % WORDS
    }

    /// A word of a map with these blocks added, as its value; the caller gives them up by storing it.
    pub(super) fn added_to(&self, word: u64) -> u64 {
        if word & self.bits != 0 {
            freed_twice();
        }
        word | self.bits
    }

    pub(super) fn len(&self) -> u32 {
        self.bits.count_ones()
    }
}
