//! Invented weather, to look at the page with: a dozen designs, of which one at a time lives and storms, and a report of
//! results that nobody measured. Nothing of it is true; it is no part of the program.
//!
//! `cargo run -p stormglass-dashboard --example weather -- 127.0.0.1:7171` serves until it is killed.

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
    let config = Config {
        listen,
        directory: directory.clone(),
        allowed_hosts: Vec::new(),
        keep_dead: Duration::from_hours(1),
    };
    let sidecar = Sidecar::bind(config).await?;
    sidecar.results().publish(report(injected.as_deref()));
    std::thread::spawn(move || {
        for turn in 0.. {
            blow(&directory, DESIGNS[turn % DESIGNS.len()], "storm 2T");
        }
    });
    println!("http://{}/", sidecar.address());
    sidecar.serve(std::future::pending()).await?;
    Ok(())
}

/// One design's run of most of a second.
fn blow(directory: &Directory, (strategy, _, failed, waits): (&str, &str, u64, u64), workload: &str) {
    let injected = if strategy == INJECTED.0 { INJECTED.1 } else { "" };
    let writer = Writer::create(directory, &Identity { strategy, workload, injected }).expect("a segment");
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
