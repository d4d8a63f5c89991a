//! A process that counts a storm which nobody has: the same one on any machine, however busy, to look at the past with.
//! Nothing of it is true; it is no part of the program.
//!
//! `tempest DESIGN SECONDS [CALM]` writes a segment for that design in `STORMGLASS_DIR`. With `lockfree-single` it fails CASes on
//! class 8192, shard 3 after CALM seconds (3), for most of the rest; another design counts quiet work.

use std::time::{Duration, Instant};

use stormglass_telemetry::{Directory, Identity, Op, Writer};

/// Time between two steps.
const STEP: Duration = Duration::from_millis(10);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let design = words.next().ok_or("which design?")?;
    let length = Duration::from_secs(words.next().ok_or("for how many seconds?")?.parse()?);
    let calm = Duration::from_secs(words.next().map_or(Ok(3), |word| word.parse())?);
    let identity = Identity { strategy: &design, workload: "tempest", ..Identity::default() };
    let writer = Writer::create(&Directory::from_env(), &identity)?;
    let slot = writer.claim()?;
    slot.shard(3, 3).page_mapped_bytes.add(24 << 20);
    let begun = Instant::now();
    let mut steps = 0_u32;
    while begun.elapsed() < length {
        // By the clock and not by the number of steps, so that a busy machine changes no rate.
        let due = (begun.elapsed().as_millis() / STEP.as_millis()) as u32;
        while steps < due {
            let storms = design == "lockfree-single" && STEP * steps > calm && steps / 100 % 12 != 11;
            let (class, shard) = (&slot.classes[3], slot.shard(3, 3));
            class.ring_hits.add(31_000);
            class.ring_misses.add(1000);
            class.ring_refilled_blocks.add(32_000);
            // All that is taken is given back.
            class.ring_returns.add(31_000);
            class.ring_spills.add(1000);
            class.ring_spilled_blocks.add(32_000);
            shard.refills.add(1000);
            shard.refilled_blocks.add(32_000);
            shard.slow_path.add(3_000_000);
            if design == "mutex" {
                shard.lock_acquisitions.add(1000);
                shard.lock_contended.add(1);
                shard.lock_wait.record(2000);
            } else {
                shard.cas_attempts[Op::Pop as usize].add(32_000);
                shard.walk_blocks_kept.add(32_000);
                (0..if storms { 300 } else { 1 })
                    .for_each(|_| shard.cas_retries.record(u64::from(storms) * 60));
                if storms {
                    shard.cas_attempts[Op::Pop as usize].add(26_000);
                    shard.cas_failures[Op::Pop as usize].add(26_000);
                    shard.walk_blocks_wasted.add(26_000);
                }
            }
            steps += 1;
        }
        std::thread::sleep(STEP);
    }
    Ok(())
}
