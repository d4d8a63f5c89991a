//! `stormglass synthesize`: segments of processes that are not there, for measuring and testing what reads them.
//!
//! All segments belong to this one process, each with threads that never ran: every thread has counted in its home shard of
//! each class, as one that has warmed up has. Invariant: what is written goes through the writer that an allocator uses, so a
//! reader cannot tell the difference.

use std::process::ExitCode;
use std::time::Duration;

use stormglass_telemetry::{Directory, Identity, Op, Slot, SlotCounters, Writer, clock, schema};

use crate::args::SynthesizeArgs;
use crate::failure::Failure;
use crate::interrupt::{Interrupt, runtime};
use crate::output;

/// Time between two turns of the threads that go on counting.
const TURN: Duration = Duration::from_millis(20);
/// Designs that the processes claim to run, in turn.
const STRATEGIES: [&str; 3] = ["mutex", "lockfree-single", "page"];

/// Makes the segments, says so, and counts on until an interrupt.
///
/// # Errors
/// If a segment cannot be made.
pub(crate) fn synthesize(args: &SynthesizeArgs) -> Result<ExitCode, Failure> {
    let directory = Directory::from_env();
    for number in 0..args.dead {
        rename(args, number)?;
        bury(&directory, number)?;
    }
    let writers = (0..args.processes)
        .map(|number| {
            rename(args, number)?;
            Writer::create(&directory, &identity(number)).map_err(Failure::failed)
        })
        .collect::<Result<Vec<Writer>, Failure>>()?;
    let mut threads = Vec::with_capacity(args.processes * args.threads);
    for writer in &writers {
        for number in 0..args.threads {
            let slot: Slot<'_> = writer.claim().map_err(Failure::failed)?;
            warm(&slot, number % schema::SHARDS);
            threads.push((number, slot));
        }
    }
    output::print(&format!(
        "{} segments of {} threads, {} of the dead: in {}\n",
        writers.len(),
        args.threads,
        args.dead,
        directory.path().display()
    ))?;
    runtime()?.block_on(async {
        let mut interrupt = Interrupt::listen()?;
        let mut turns = tokio::time::interval(TURN);
        loop {
            tokio::select! {
                () = interrupt.next() => return Ok(ExitCode::SUCCESS),
                _ = turns.tick() => {
                    for (number, slot) in threads.iter().filter(|(number, _)| *number < args.active) {
                        work(slot, number % schema::SHARDS);
                    }
                }
            }
        }
    })
}

/// The kernel's name of this process is the command name of the segments that are made under it.
fn rename(args: &SynthesizeArgs, number: usize) -> Result<(), Failure> {
    if args.commands == 0 {
        return Ok(());
    }
    let name = format!("synthetic-{}", number % args.commands);
    std::fs::write("/proc/self/comm", name)
        .map_err(|error| Failure::failed(format!("/proc/self/comm cannot be written ({error})")))
}

fn identity(number: usize) -> Identity<'static> {
    Identity { strategy: STRATEGIES[number % STRATEGIES.len()], workload: "synthetic", ..Identity::default() }
}

/// The segment of a process that has ended: a small one, so that ten thousand of them fit.
fn bury(directory: &Directory, number: usize) -> Result<(), Failure> {
    let writer: Writer<1, 1> =
        Writer::create_general(directory, &identity(number), &[16]).map_err(Failure::failed)?;
    let slot = writer.claim().map_err(Failure::failed)?;
    slot.classes[0].ring_hits.add(1);
    slot.shard(0, 0).refills.add(1);
    Ok(())
}

/// What a thread has counted that uses every class.
fn warm(slot: &SlotCounters, home: usize) {
    for class in 0..schema::CLASSES {
        slot.classes[class].ring_misses.add(1);
        slot.classes[class].ring_refilled_blocks.add(32);
        slot.shard(class, home).page_mapped_bytes.add(schema::PAGE_BYTES as u64);
        slot.shard(class, home).cas_retries.record(u64::from(class as u32));
        slot.shard(class, home).lock_wait.record(100 << class);
        slot.shard(class, home).lock_hold.record(100 << class);
    }
    work(slot, home);
}

/// One slow path of a thread.
fn work(slot: &SlotCounters, home: usize) {
    let class = &slot.classes[3];
    class.ring_hits.add(31);
    class.ring_returns.add(31);
    class.ring_misses.add(1);
    class.ring_refilled_blocks.add(32);
    let shard = slot.shard(3, home);
    shard.cas_attempts[Op::BatchPop as usize].add(3);
    shard.cas_failures[Op::BatchPop as usize].add(2);
    shard.walk_blocks_kept.add(32);
    shard.walk_blocks_wasted.add(64);
    shard.refills.add(1);
    shard.refilled_blocks.add(32);
    shard.slow_path.add(500);
    slot.heartbeat.set(clock::monotonic());
}
