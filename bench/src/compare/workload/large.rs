//! `large`: blocks of 32 KiB - 4 MiB, half of them grown to their size by `realloc` in steps of a half, as buffers and vectors
//! are. A word is written into every page, so memory that the kernel must bring first costs what it costs a program.

use super::crew::{Bell, crew};
use super::{SHAPE, Workload, sizes};
use crate::compare::memory::{Block, Memory};
use crate::random::Random;
use crate::shape::Shape;
use crate::workload::{Meter, Trouble};

pub(super) struct Large;

impl Workload for Large {
    fn name(&self) -> &'static str {
        "large"
    }

    fn about(&self) -> &'static str {
        "32 KiB - 4 MiB, half of it grown by realloc, every page written"
    }

    fn shape(&self) -> Shape {
        Shape { chunks: 16, min: 32 << 10, max: 4 << 20, ..SHAPE }
    }

    fn threads(&self) -> &'static [usize] {
        &[1, 2]
    }

    fn largest(&self) -> usize {
        4 << 20
    }

    fn run(&self, memory: &Memory, shape: &Shape, meter: &mut dyn Meter) -> Result<u64, Trouble> {
        let prepare = |number: usize| {
            let mut set = Set { random: Random::new(shape.seed, number as u64), blocks: vec![], counted: 0 };
            for at in 0..shape.chunks as u64 {
                let block = set.block(memory, shape, at)?;
                set.blocks.push(block);
            }
            Ok(set)
        };
        let crew = crew(shape, meter, prepare, |set, bell| set.work(memory, shape, bell))?;
        let operations = crew.iter().map(|(_, counted)| counted).sum();
        for (set, _) in crew {
            for (at, block) in (0..).zip(set.blocks) {
                block.check(at)?;
                memory.free(block);
            }
        }
        Ok(operations)
    }
}

/// A thread's blocks; a block's mark is its place.
struct Set {
    random: Random,
    blocks: Vec<Block>,
    counted: u64,
}

impl Set {
    /// Returns the calls that allocated or grew a block.
    fn work(&mut self, memory: &Memory, shape: &Shape, bell: &Bell) -> Result<u64, Trouble> {
        self.counted = 0;
        while !bell.rang() {
            let at = self.random.below(self.blocks.len() as u32) as usize;
            let new = self.block(memory, shape, at as u64)?;
            let old = std::mem::replace(&mut self.blocks[at], new);
            old.check(at as u64)?;
            memory.free(old);
        }
        Ok(self.counted)
    }

    fn block(&mut self, memory: &Memory, shape: &Shape, mark: u64) -> Result<Block, Trouble> {
        let size = sizes::even(&mut self.random, shape.min, shape.max);
        let first = if self.random.below(2) == 0 { size } else { (size / 8).max(shape.min) };
        let mut block = memory.alloc(first)?;
        block.fill(0, mark);
        self.counted += 1;
        while block.size() < size {
            let before = block.size();
            block = memory.resize(block, (before + before / 2).min(size))?;
            if block.begins() != mark || block.ends(before) != mark {
                return Err(block.overwritten());
            }
            block.fill(before, mark);
            self.counted += 1;
        }
        Ok(block)
    }
}
