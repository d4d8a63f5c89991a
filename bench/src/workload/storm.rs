//! `storm`: threads that refill from and spill to one shard as fast as they can.
//!
//! Every thread has the same home shard, and takes many more blocks than its ring keeps before it gives them all back,
//! so that nearly every block goes through that shard's list: refills on the way up, spills on the way down. How many it
//! takes changes from turn to turn; with a fixed number the threads fall into step, one spilling while the other refills,
//! and whole runs pass in a calm that is an accident. No block's memory is touched: what is measured is the shared list
//! and nothing else. This is the worst case that the paper argues about, not a typical program.
//!
//! Invariant: between `start` and `stop` every allocation is counted, and at the end every thread still holds one full
//! set of blocks, all distinct, which the main thread frees.

use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use stormglass_allocator::{Class, Pool};

use super::answer::{Held, distinct};
use super::{Meter, OwnLine, Trouble, Workload};
use crate::random::Random;
use crate::shape::Shape;

/// The shard that all threads share.
const SHARD: usize = 3;
/// Size of every block: class 8192.
const BYTES: usize = 8192;
/// Blocks that a thread takes in a turn, on average: many times what its ring keeps.
const HOLD: usize = 1024;
/// Fewer threads are no storm.
const LEAST_THREADS: usize = 2;

const WAIT: u8 = 0;
const GO: u8 = 1;
const STOP: u8 = 2;

pub(super) struct Storm;

impl Workload for Storm {
    fn name(&self) -> &'static str {
        "storm"
    }

    fn about(&self) -> &'static str {
        "threads that refill from and spill to one shard as fast as they can"
    }

    fn shape(&self) -> Shape {
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        // One thread is no storm; beyond some cores the default would measure the scheduler.
        let threads = cores.clamp(LEAST_THREADS, 16);
        Shape { threads, seconds: 0.8, min: BYTES, max: BYTES, chunks: HOLD, rounds: 0, seed: 42 }
    }

    fn home(&self) -> Option<usize> {
        Some(SHARD)
    }

    fn touches(&self, _shape: &Shape, class: Class, shard: usize) -> bool {
        class.bytes() == BYTES && shard == SHARD
    }

    fn check(&self, shape: &Shape) -> Result<(), String> {
        // All its blocks have one size, whatever was wished for others.
        Shape { min: BYTES, max: BYTES, ..*shape }.check()?;
        if shape.threads < LEAST_THREADS {
            return Err(format!(
                "--threads {} is no storm: it takes at least {LEAST_THREADS}; to run without it, take --workload larson",
                shape.threads
            ));
        }
        Ok(())
    }

    fn run(&self, pool: &Pool, shape: &Shape, meter: &mut dyn Meter) -> Result<u64, Trouble> {
        let phase = OwnLine(AtomicU8::new(WAIT));
        let results: Vec<Result<Share, Trouble>> = thread::scope(|scope| {
            let mut threads = Vec::with_capacity(shape.threads);
            for number in 0..shape.threads {
                let random = Random::new(shape.seed, number as u64);
                let work = || storm(pool, shape.chunks, random, &phase.0);
                match thread::Builder::new().spawn_scoped(scope, work) {
                    Ok(thread) => threads.push(thread),
                    Err(error) => {
                        // Relaxed: see `storm`. The threads that wait must end, or the scope waits for ever.
                        phase.0.store(STOP, Ordering::Relaxed);
                        return vec![Err(Trouble::Thread(error))];
                    }
                }
            }
            meter.start();
            phase.0.store(GO, Ordering::Relaxed);
            thread::sleep(Duration::from_secs_f64(shape.seconds));
            phase.0.store(STOP, Ordering::Relaxed);
            let results =
                threads.into_iter().map(|t| t.join().unwrap_or(Err(Trouble::Panic))).collect::<Vec<_>>();
            meter.stop();
            results
        });
        let shares = results.into_iter().collect::<Result<Vec<Share>, Trouble>>()?;
        distinct(shares.iter().flat_map(|s| &s.held))?;
        let operations = shares.iter().map(|s| s.allocations).sum();
        give_back(pool, shares)?;
        Ok(operations)
    }
}

/// What one thread did.
struct Share {
    allocations: u64,
    held: Vec<Held>,
}

fn storm(pool: &Pool, chunks: usize, mut random: Random, phase: &AtomicU8) -> Result<Share, Trouble> {
    let mut heap = pool.heap().map_err(Trouble::Heap)?;
    let mut held = Vec::with_capacity(2 * chunks);
    let mut allocations = 0;
    // Relaxed, here and below: the phase publishes no memory; a thread may see it a little late.
    while phase.load(Ordering::Relaxed) == WAIT {
        thread::yield_now();
    }
    loop {
        // At least one, and `chunks` on average.
        let count = chunks.div_ceil(2) + random.below(chunks as u32) as usize;
        for _ in 0..count {
            let address = heap.alloc(BYTES).ok_or(Trouble::Memory { size: BYTES })?;
            held.push(Held { address, size: BYTES });
        }
        allocations += count as u64;
        if phase.load(Ordering::Relaxed) == STOP {
            return Ok(Share { allocations, held });
        }
        for block in held.drain(..) {
            // SAFETY: the block is from this pool, `held` was its only handle, and nobody has its memory.
            unsafe { heap.free(block.address) };
        }
    }
}

fn give_back(pool: &Pool, shares: Vec<Share>) -> Result<(), Trouble> {
    let mut heap = pool.heap().map_err(Trouble::Heap)?;
    for block in shares.into_iter().flat_map(|s| s.held) {
        // SAFETY: as in `storm`; the threads have handed their blocks over.
        unsafe { heap.free(block.address) };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_is_no_storm_and_sizes_are_not_its_concern() {
        let shape = Storm.shape();
        let error = Storm.check(&Shape { threads: 1, ..shape }).expect_err("no storm");
        assert_eq!(
            error,
            "--threads 1 is no storm: it takes at least 2; to run without it, take --workload larson"
        );
        assert_eq!(Storm.check(&Shape { min: 20_000, ..shape }), Ok(()));
        assert!(Storm.check(&Shape { chunks: 0, ..shape }).is_err());
    }
}
