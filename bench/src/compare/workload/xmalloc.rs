//! `xmalloc`: threads that only allocate and threads that only free, after the test of Lever and Boreham (2000) in the form
//! in which Kuszmaul's SuperMalloc (2015) uses it. Blocks go one way, in batches, so every free is of another thread's block.
//!
//! ```text
//! producer --- batches of marked blocks, at most DEPTH waiting --> consumer, which checks and frees
//! ```
//!
//! The batches themselves are vectors that go the same way; where a library is preloaded, it serves them too, one for each
//! [`BATCH`] blocks. The queue is bounded, or a producer that is faster would only show how much memory there is. The original
//! waits with locks and condition variables too.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use super::crew::{Bell, crew};
use super::{SHAPE, Workload, sizes};
use crate::compare::memory::{Block, Memory};
use crate::random::{Random, split_mix};
use crate::shape::Shape;
use crate::workload::{Meter, Trouble};

const BATCH: usize = 256;
const DEPTH: usize = 8;

pub(super) struct Xmalloc;

impl Workload for Xmalloc {
    fn name(&self) -> &'static str {
        "xmalloc"
    }

    fn about(&self) -> &'static str {
        "every second thread allocates, the others free what it allocated"
    }

    fn shape(&self) -> Shape {
        Shape { threads: 2, max: 2 << 10, ..SHAPE }
    }

    fn threads(&self) -> &'static [usize] {
        &[2, 4]
    }

    fn one_way(&self) -> bool {
        true
    }

    fn run(&self, memory: &Memory, shape: &Shape, meter: &mut dyn Meter) -> Result<u64, Trouble> {
        let shape = &Shape { threads: shape.threads / 2 * 2, ..*shape };
        let roles = Mutex::new(roles(shape));
        let prepare = |number: usize| {
            let mut roles = roles.lock().unwrap_or_else(PoisonError::into_inner);
            roles[number].take().ok_or(Trouble::Panic)
        };
        let crew = crew(shape, meter, prepare, |role, bell| match role {
            Role::Producer { random, number, to } => produce(memory, shape, random, *number, to, bell),
            Role::Consumer { number, from } => consume(memory, *number, from),
        })?;
        Ok(crew.iter().map(|(_, counted)| counted).sum())
    }
}

enum Role {
    Producer { random: Random, number: u64, to: Option<SyncSender<Batch>> },
    Consumer { number: u64, from: Receiver<Batch> },
}

struct Batch {
    serial: u64,
    blocks: Vec<Block>,
}

/// A producer and its consumer for each two threads.
fn roles(shape: &Shape) -> Vec<Option<Role>> {
    let mut roles = Vec::new();
    for number in 0..shape.threads as u64 / 2 {
        let (to, from) = sync_channel(DEPTH);
        let random = Random::new(shape.seed, number);
        roles.push(Some(Role::Producer { random, number, to: Some(to) }));
        roles.push(Some(Role::Consumer { number, from }));
    }
    roles
}

/// What is written into the blocks of a batch.
fn mark(number: u64, serial: u64) -> u64 {
    split_mix(&mut (number << 48 | serial))
}

/// Allocates until the bell rings or nobody takes the blocks; returns how many were taken.
fn produce(
    memory: &Memory,
    shape: &Shape,
    random: &mut Random,
    number: u64,
    to: &mut Option<SyncSender<Batch>>,
    bell: &Bell,
) -> Result<u64, Trouble> {
    // Dropped at the end, which tells the consumer.
    let Some(to) = to.take() else { return Ok(0) };
    let mut serial = 0;
    while !bell.rang() {
        let mark = mark(number, serial);
        let mut blocks = Vec::with_capacity(BATCH);
        for at in 0..BATCH as u64 {
            let mut block = memory.alloc(sizes::power_law(random, shape.min, shape.max))?;
            block.mark(mark ^ at);
            blocks.push(block);
        }
        if to.send(Batch { serial, blocks }).is_err() {
            // The consumer has failed, and says why.
            break;
        }
        serial += 1;
    }
    Ok(serial * BATCH as u64)
}

/// Frees until the producer ends.
fn consume(memory: &Memory, number: u64, from: &Receiver<Batch>) -> Result<u64, Trouble> {
    for batch in from {
        let mark = mark(number, batch.serial);
        for (at, block) in (0..).zip(batch.blocks) {
            block.check(mark ^ at)?;
            memory.free(block);
        }
    }
    Ok(0)
}
