//! Invented weather, to look at the page with: a dozen designs, of which one at a time lives and storms, a report of
//! results that nobody measured, and a program on an allocator of every size, whose load rises and falls. Nothing of it is
//! true; it is no part of the program.
//!
//! `cargo run -p stormglass-dashboard --example weather -- 127.0.0.1:7171` serves until it is killed. `WEATHER=storm` leaves
//! the program out, `WEATHER=general` the designs and their report; `WEATHER=gale` has nothing but one storm that lasts, for the
//! verdicts, and then calm.

use std::time::Duration;

use serde_json::{Value, json};
use stormglass_dashboard::{Config, Sidecar};
use stormglass_telemetry::{Directory, Identity, Op, Writer};

/// Name, phase, and how badly it fares: failed CASes for each batch, locks that wait.
const DESIGNS: [(&str, &str, u64, u64); 12] = [
    ("mutex", "Phase 6.25", 0, 31),
    ("lockfree-walk", "Phase 7.1", 2, 0),
    ("lockfree-single", "Phase 7.1.1", 26, 0),
    ("walk-once", "option A1", 2, 0),
    ("small-batch", "option A1", 3, 0),
    ("relaxed", "option A2", 1, 0),
    ("hybrid", "option A3", 1, 12),
    ("targeted", "option C", 0, 22),
    ("class-lock", "option B2", 0, 60),
    ("global-lock", "option B2", 1, 75),
    ("page", "option B1, MF2", 0, 0),
    ("depot", "not in the paper", 1, 0),
];
/// The one that is delayed, and by what.
const INJECTED: (&str, &str) = ("small-batch", "class=8192,shard=3,delay=500ns");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7171".to_owned()).parse()?;
    // With an argument more, the whole report is of a delayed benchmark.
    let injected = std::env::args().nth(2);
    let place = tempfile::tempdir()?;
    let directory = Directory::at(place.path().join("segments"));
    let config = Config { listen, keep_dead: Duration::from_hours(1), ..Config::of(directory.clone()) };
    let sidecar = Sidecar::bind(config).await?;
    let weather = std::env::var("WEATHER").unwrap_or_default();
    if weather == "gale" {
        let directory = directory.clone();
        std::thread::spawn(move || gale(&directory));
    }
    if !["storm", "gale"].contains(&weather.as_str()) {
        let directory = directory.clone();
        std::thread::spawn(move || climate(&directory));
    }
    if !["general", "gale"].contains(&weather.as_str()) {
        sidecar.results().publish(report(injected.as_deref()));
        std::thread::spawn(move || {
            for turn in 0.. {
                blow(&directory, DESIGNS[turn % DESIGNS.len()], "storm 2T");
            }
        });
    }
    println!("http://{}/", sidecar.address());
    sidecar.serve(std::future::pending()).await?;
    Ok(())
}

/// One design's run of most of a second.
fn blow(directory: &Directory, (strategy, _, failed, waits): (&str, &str, u64, u64), workload: &str) {
    let injected = if strategy == INJECTED.0 { INJECTED.1 } else { "" };
    let writer = Writer::create(directory, &Identity { strategy, workload, injected, ..Identity::default() })
        .expect("a segment");
    let slot = writer.claim().expect("a slot");
    for tick in 0..80_u64 {
        for (class, shard, share) in [(3, 3, 100), (3, 2, 7), (1, 5, 3), (6, 0, 2)] {
            let (class_counters, c) = (&slot.classes[class], slot.shard(class, shard));
            let batches = 20 * share;
            class_counters.ring_hits.add(batches * 31);
            class_counters.ring_misses.add(batches);
            class_counters.ring_returns.add(batches * 32);
            c.refills.add(batches);
            c.refilled_blocks.add(batches * 32);
            c.slow_path.add(batches * 900);
            if waits == 0 || strategy == "global-lock" || strategy == "hybrid" {
                c.cas_attempts[Op::BatchPop as usize].add(batches * (1 + failed));
                c.cas_failures[Op::BatchPop as usize].add(batches * failed);
                c.walk_blocks_kept.add(batches * 32);
                c.walk_blocks_wasted.add(batches * failed * 9);
                for depth in 0..batches / 10 {
                    c.cas_retries.record((depth * tick) % (2 * failed + 1));
                }
            }
            if waits > 0 {
                c.lock_acquisitions.add(batches);
                c.lock_contended.add(batches * waits / 100);
                c.lock_wait.record(batches * waits * 40);
            }
        }
        slot.heartbeat.set(stormglass_telemetry::clock::monotonic());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Single pops that fail on one shard for half a minute, and a calm that lasts.
fn gale(directory: &Directory) {
    let identity =
        Identity { strategy: "lockfree-single", workload: "storm 2T", injected: "", ..Identity::default() };
    let writer = Writer::create(directory, &identity).expect("a segment");
    let slot = writer.claim().expect("a slot");
    for tick in 0_u64.. {
        let (class_counters, c) = (&slot.classes[3], slot.shard(3, 3));
        let (batches, failed) = (8000, if tick < 3000 { 26 } else { 0 });
        class_counters.ring_hits.add(batches * 31);
        class_counters.ring_misses.add(batches);
        class_counters.ring_returns.add(batches * 32);
        c.refills.add(batches);
        c.refilled_blocks.add(batches * 32);
        c.cas_attempts[Op::Pop as usize].add(batches * (32 + failed));
        c.cas_failures[Op::Pop as usize].add(batches * failed);
        c.walk_blocks_kept.add(batches * 32);
        c.walk_blocks_wasted.add(batches * failed);
        for depth in 0..batches / 10 {
            c.cas_retries.record(depth % (failed + 1));
        }
        slot.heartbeat.set(stormglass_telemetry::clock::monotonic());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Forty sizes: 16-byte steps to 128, then four a doubling to 32 KiB.
fn sizes() -> [u32; 40] {
    core::array::from_fn(|class| match class as u32 {
        small @ 0..8 => 16 * (small + 1),
        class => ((class - 8) % 4 + 5) << ((class - 8) / 4 + 5),
    })
}

/// A program of every size: a load that rises and falls over some 40 s, with large blocks, and purges in its troughs.
fn climate(directory: &Directory) {
    let sizes = sizes();
    let identity = Identity { strategy: "page", ..Identity::default() };
    let writer = Writer::<40, 1>::create_general(directory, &identity, &sizes).expect("a segment");
    let slot = writer.claim().expect("a slot");
    let mut live = [0_u64; 40];
    for class in &slot.classes[..37] {
        // What lies in the rings throughout.
        class.ring_refilled_blocks.add(32);
    }
    let (mut mapped, mut spans, mut holds) = (0_u64, 0_u64, Vec::new());
    for tick in 0_u64.. {
        let load = 0.55 - 0.45 * (tick as f64 / 640.0 * core::f64::consts::TAU).cos();
        for (class, &size) in sizes.iter().enumerate().filter(|(class, _)| class % 9 != 4 && *class < 37) {
            let (c, s) = (&slot.classes[class], slot.shard(class, 0));
            let wanted = (load * 6e6 / f64::from(size).powf(1.1) / (1.0 + (class % 5) as f64)) as u64;
            let churn = wanted / 3 + 1;
            c.ring_hits.add(churn + wanted.saturating_sub(live[class]));
            c.ring_returns.add(churn + live[class].saturating_sub(wanted));
            c.ring_refilled_blocks.add(wanted.saturating_sub(live[class]));
            c.ring_spilled_blocks.add(live[class].saturating_sub(wanted));
            live[class] = wanted;
            c.ring_misses.add(churn / 40);
            c.ring_bypasses.add(churn / 40);
            s.refills.add(churn / 40 + 1);
            s.cas_attempts[Op::RemotePush as usize].add(churn / 20 + 1);
            s.cas_failures[Op::RemotePush as usize].add(if class % 7 == 3 { churn / 900 } else { 0 });
        }
        let held: u64 = live.iter().zip(sizes).map(|(&blocks, size)| blocks * u64::from(size)).sum();
        let page = slot.shard(20, 0);
        if held * 9 / 8 > mapped {
            page.page_mapped_bytes.add(held * 9 / 8 - mapped);
            mapped = held * 9 / 8;
        } else if tick % 40 == 0 && mapped > held * 5 / 4 {
            page.page_purged_bytes.add(mapped - held * 5 / 4);
            mapped = held * 5 / 4;
            slot.totals.purges.add(1);
        }
        let t = &slot.totals;
        if tick % 3 == 0 && (holds.len() as f64) < load * 40.0 {
            let bytes = (1 + tick % 7) * (256 << 10);
            holds.push(bytes);
            t.large_allocations.add(1);
            t.large_allocated_bytes.add(bytes);
            let fresh = holds.iter().sum::<u64>().saturating_sub(spans);
            t.large_mapped_bytes.add(fresh);
            t.large_reuses.add(u64::from(fresh == 0));
            spans += fresh;
            t.large_grown_in_place.add(u64::from(tick % 5 == 0));
            t.large_moved.add(u64::from(tick % 24 == 0));
        } else if (holds.len() as f64) > load * 40.0 + 1.0
            && let Some(bytes) = holds.pop()
        {
            t.large_frees.add(1);
            t.large_freed_bytes.add(bytes);
        }
        slot.heartbeat.set(stormglass_telemetry::clock::monotonic());
        std::thread::sleep(Duration::from_millis(60));
    }
}

fn report(injected: Option<&str>) -> Value {
    let row = |&(design, paper, failed, waits): &(&str, &str, u64, u64)| {
        let speed = 60.0 / (1.0 + failed as f64 / 4.0 + waits as f64 / 60.0);
        let ratio = speed / (60.0 / (1.0 + 31.0 / 60.0));
        json!({
            "design": design,
            "paper": paper,
            "runs": [speed * 1e6, speed * 1e6],
            "median_ops_per_second": speed * 1e6,
            "ratio": (design != "mutex").then(
                || json!({"median": ratio, "low": ratio * 0.9, "high": ratio * 1.1, "coverage": 0.9375, "pairs": 5})
            ),
            "measures": {
                "failures_per_batch": failed,
                "walked_per_kept": if waits == 0 { json!(1.0 + failed as f64 * 0.3) } else { Value::Null },
                "lock_wait_ratio": waits as f64 / 100.0,
            },
            "sentence": format!("{design} failed {failed}.0 CASes for each batch of 32, and waited for {waits}% of its locks: invented."),
        })
    };
    let table = |workload: &str, threads: u64| {
        let rows: Vec<Value> = DESIGNS.iter().map(row).collect();
        json!({"workload": workload, "threads": threads, "seconds": 0.8, "baseline": "mutex", "rows": rows})
    };
    let mut report = json!({
        "machine": {"cpu": "Invented", "cores": 2, "memory_bytes": 8_u64 << 30, "kernel": "6.1"},
        "command": "none",
        "version": "0.1.0",
        "progress": {"done": 17, "of": 60, "current": "storm, hybrid, 2 threads"},
        "tables": [table("storm", 2), table("larson", 4)],
    });
    if let Some(injected) = injected {
        report["injected"] = json!(injected);
    }
    report
}
