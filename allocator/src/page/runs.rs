//! A batch by the words of the maps that its blocks stand in, so that each word is touched once.
//!
//! Blocks that come out of a ring are of few pages, mostly of those that were touched last: so the words are looked for from the
//! newest back, and that finds them at once.
//!
//! Invariant: as for [`Run`]: what stands here is owned, and no other token for it exists.

use super::run::Run;
use crate::batch::{BATCH, Batch};

/// At most [`BATCH`] runs, each of another word.
pub(super) struct Runs {
    runs: [Run; BATCH],
    len: usize,
}

impl Runs {
    /// Sorts a batch out.
    pub(super) fn of(mut batch: Batch) -> Runs {
        let mut runs = Runs { runs: [const { Run::NONE }; BATCH], len: 0 };
        while let Some(block) = batch.pop() {
            let block = Run::one(block);
            let of_its_word = runs.runs[..runs.len].iter_mut().rev().find(|run| run.shares_word(&block));
            if let Some(run) = of_its_word {
                run.merge(block);
            } else {
                runs.runs[runs.len] = block;
                runs.len += 1;
            }
        }
        runs
    }

    pub(super) fn pop(&mut self) -> Option<Run> {
        self.len = self.len.checked_sub(1)?;
        Some(core::mem::replace(&mut self.runs[self.len], Run::NONE))
    }

    /// Whether there are more of a page.
    pub(super) fn has(&self, page: u32) -> bool {
        self.runs[..self.len].iter().any(|run| run.page() == page)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::block::Block;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_hold_what_the_batch_held_word_by_word(numbers in prop::collection::btree_set(0..4096_u32, 0..=BATCH)) {
            let mut batch = Batch::new();
            for &number in &numbers {
                batch.push(Block::claim(number));
            }
            let mut runs = Runs::of(batch);
            let (mut words, mut held) = (BTreeSet::new(), 0);
            while let Some(run) = runs.pop() {
                held += run.len();
                prop_assert!(words.insert((run.page(), run.word())), "a word came twice");
                let others = words.iter().filter(|word| word.0 == run.page()).count();
                let of_page = numbers.iter().filter(|&&n| Run::page_of(n) == run.page()).map(|n| n / 64).collect::<BTreeSet<_>>();
                prop_assert_eq!(runs.has(run.page()), of_page.len() > others);
                for &number in numbers.iter().filter(|&&n| n / 64 == run.page() * 8 + run.word() as u32) {
                    // It is there: to add it again would end the process; so it is looked for by its value.
                    prop_assert!(run.holds(number));
                }
            }
            prop_assert_eq!(held as usize, numbers.len());
        }
    }
}
