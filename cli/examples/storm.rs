//! Invented weather, for tests of what shows it: a process that counts as a storm does in class 8192, shard 3, or with the
//! argument `calm` as a calm load does, at the same rate on every machine, until it is killed. No block is ever allocated; it is
//! no part of the program.
//!
//! `cargo run -p stormglass --example storm`, and beside it `stormglass top`.

use std::thread;
use std::time::{Duration, Instant};

use stormglass_telemetry::{Directory, Identity, Op, Writer, clock};

/// Index of class 8192, and the shard.
const PLACE: (usize, usize) = (3, 3);
/// Batches a second.
const BATCHES: f64 = 20_000.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let calm = std::env::args().nth(1).is_some_and(|word| word == "calm");
    let (strategy, failed) = if calm { ("mutex", 0) } else { ("lockfree-single", 26) };
    let identity = Identity { strategy, workload: "invented", ..Identity::default() };
    let writer = Writer::create(&Directory::from_env(), &identity)?;
    let slot = writer.claim()?;
    let (class, shard) = (&slot.classes[PLACE.0], slot.shard(PLACE.0, PLACE.1));
    let (start, mut counted) = (Instant::now(), 0);
    loop {
        let batches = (start.elapsed().as_secs_f64() * BATCHES) as u64 - counted;
        counted += batches;
        class.ring_hits.add(batches * 31);
        class.ring_misses.add(batches);
        class.ring_returns.add(batches * 32);
        class.ring_refilled_blocks.add(batches);
        shard.refills.add(batches);
        shard.refilled_blocks.add(batches * 32);
        shard.slow_path.add(batches * 900);
        if calm {
            shard.lock_acquisitions.add(batches);
        } else {
            shard.cas_attempts[Op::Pop as usize].add(batches * (32 + failed));
            shard.cas_failures[Op::Pop as usize].add(batches * failed);
            (0..batches).for_each(|_| shard.cas_retries.record(1));
        }
        slot.heartbeat.set(clock::monotonic());
        thread::sleep(Duration::from_millis(20));
    }
}
