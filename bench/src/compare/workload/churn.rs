//! `churn`: blocks of every size up to 32 KiB, small ones far more often, replaced at random in a working set that stays as
//! large as it is: a program in its steady state. One block in 16 is asked for as zeros, one in 64 on a cache line of its own.

use super::crew::{Bell, crew};
use super::{SHAPE, Workload, sizes};
use crate::compare::memory::{Block, Memory};
use crate::random::Random;
use crate::shape::Shape;
use crate::workload::{Meter, Trouble};

pub(super) struct Churn;

impl Workload for Churn {
    fn name(&self) -> &'static str {
        "churn"
    }

    fn about(&self) -> &'static str {
        "random sizes of 16 B - 32 KiB, small ones more often, replaced at random"
    }

    fn shape(&self) -> Shape {
        Shape { chunks: 10_000, ..SHAPE }
    }

    fn threads(&self) -> &'static [usize] {
        &[1, 2, 4]
    }

    fn run(&self, memory: &Memory, shape: &Shape, meter: &mut dyn Meter) -> Result<u64, Trouble> {
        let prepare = |number| Set::new(memory, shape, number);
        let crew = crew(shape, meter, prepare, |set, bell| set.churn(memory, shape, bell))?;
        let operations = crew.iter().map(|(_, counted)| counted).sum();
        for (set, _) in crew {
            set.end(memory)?;
        }
        Ok(operations)
    }
}

/// A thread's working set; a block's mark is its place in it.
struct Set {
    random: Random,
    blocks: Vec<Block>,
}

impl Set {
    fn new(memory: &Memory, shape: &Shape, number: usize) -> Result<Set, Trouble> {
        let mut set =
            Set { random: Random::new(shape.seed, number as u64), blocks: Vec::with_capacity(shape.chunks) };
        for at in 0..shape.chunks as u64 {
            let block = allocate(memory, shape, &mut set.random, at)?;
            set.blocks.push(block);
        }
        Ok(set)
    }

    fn churn(&mut self, memory: &Memory, shape: &Shape, bell: &Bell) -> Result<u64, Trouble> {
        let mut counted = 0;
        while !bell.rang() {
            let at = self.random.below(self.blocks.len() as u32) as usize;
            // The new block comes first, so that its handle can take the old one's place; the order makes no difference to a set
            // of thousands.
            let new = allocate(memory, shape, &mut self.random, at as u64)?;
            let old = std::mem::replace(&mut self.blocks[at], new);
            old.check(at as u64)?;
            memory.free(old);
            counted += 1;
        }
        Ok(counted)
    }

    fn end(self, memory: &Memory) -> Result<(), Trouble> {
        for (at, block) in (0..).zip(self.blocks) {
            block.check(at)?;
            memory.free(block);
        }
        Ok(())
    }
}

#[inline]
fn allocate(memory: &Memory, shape: &Shape, random: &mut Random, mark: u64) -> Result<Block, Trouble> {
    let size = sizes::power_law(random, shape.min, shape.max);
    let mut block = match random.below(64) {
        0 => memory.aligned(64, size)?,
        1..=4 => memory.zeroed(size)?,
        _ => memory.alloc(size)?,
    };
    block.mark(mark);
    Ok(block)
}
