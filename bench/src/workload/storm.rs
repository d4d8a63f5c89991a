//! `storm`: threads that refill from and spill to one shard as fast as they can.
//!
//! Every thread has the same home shard, and holds more blocks than its ring does, so that ever more batches go
//! through that shard's list: refills on the way up, spills on the way down. No block's memory is touched; what is
//! measured is the shared list and nothing else. This is the worst case that the paper argues about, not a typical
//! program.
//!
//! Invariant: between `start` and `stop` every allocation is counted, and at the end every thread still holds one full
//! set of blocks, all distinct, which the main thread frees.

use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use stormglass_allocator::Pool;

use super::answer::{Held, distinct};
use super::{Meter, OwnLine, Trouble, Workload};
use crate::shape::Shape;

/// The shard that all threads share.
const SHARD: usize = 3;
/// Size of every block: class 8192.
const BYTES: usize = 8192;
/// Blocks that a thread takes before it gives them all back: several times what its ring keeps, so that three in four
/// come through the shared list.
const HOLD: usize = 256;

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
        let threads = cores.clamp(2, 16);
        Shape { threads, seconds: 0.8, min: BYTES, max: BYTES, chunks: HOLD, rounds: 0, seed: 0 }
    }

    fn home(&self) -> Option<usize> {
        Some(SHARD)
    }

    fn run(&self, pool: &Pool, shape: &Shape, meter: &mut dyn Meter) -> Result<u64, Trouble> {
        let phase = OwnLine(AtomicU8::new(WAIT));
        let results: Vec<Result<Share, Trouble>> = thread::scope(|scope| {
            let mut threads = Vec::with_capacity(shape.threads);
            for _ in 0..shape.threads {
                match thread::Builder::new().spawn_scoped(scope, || storm(pool, shape.chunks, &phase.0)) {
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

fn storm(pool: &Pool, count: usize, phase: &AtomicU8) -> Result<Share, Trouble> {
    let mut heap = pool.heap().map_err(Trouble::Heap)?;
    let mut held = Vec::with_capacity(count);
    let mut allocations = 0;
    // Relaxed, here and below: the phase publishes no memory; a thread may see it a little late.
    while phase.load(Ordering::Relaxed) == WAIT {
        thread::yield_now();
    }
    loop {
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
