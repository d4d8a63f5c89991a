//! A writer storms in a real segment, and the sidecar says so: in `/metrics`, in the snapshot, and to whoever holds its verdicts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use stormglass_dashboard::{Config, Sidecar, Verdicts};
use stormglass_telemetry::diagnosis::Verdict;
use stormglass_telemetry::{Directory, Identity, Op, Writer};

/// A machine may be busy; how soon a verdict comes is tested where time is a number.
const PATIENCE: Duration = Duration::from_mins(1);

fn body(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the sidecar listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split_once("\r\n\r\n").expect("a head and a body").1.to_owned()
}

fn eventually(what: &str, mut happens: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happens() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Counts a storm of single pops until it is told to stop; then the process is gone.
fn storm(directory: &Directory, over: &AtomicBool) {
    let identity = Identity { strategy: "any-design", workload: "storm", ..Identity::default() };
    let writer = Writer::create(directory, &identity).expect("a segment");
    let slot = writer.claim().expect("a slot");
    let shard = slot.shard(3, 5);
    // Relaxed: it publishes nothing.
    while !over.load(Ordering::Relaxed) {
        // As every thread that refills does, most of whose allocations hit.
        slot.classes[3].ring_hits.add(300_000);
        slot.classes[3].ring_misses.add(10_000);
        shard.refills.add(10_000);
        shard.cas_attempts[Op::Pop as usize].add(580_000);
        shard.cas_failures[Op::Pop as usize].add(260_000);
        thread::sleep(Duration::from_millis(10));
    }
}

fn serve(directory: &Directory) -> (SocketAddr, Verdicts) {
    let config = Config { keep_dead: Duration::from_hours(1), ..Config::of(directory.clone()) };
    let (started, sidecar) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let sidecar = Sidecar::bind(config).await.expect("it listens");
            started.send((sidecar.address(), sidecar.verdicts())).expect("the test waits");
            sidecar.serve(std::future::pending()).await
        })
    });
    sidecar.recv().expect("it starts")
}

#[test]
fn a_storm_is_told_everywhere_and_is_over_with_its_process() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let directory = Directory::at(place.path().join("segments"));
    let (address, verdicts) = serve(&directory);
    let over = Arc::new(AtomicBool::new(false));
    let storming = thread::spawn({
        let (directory, over) = (directory.clone(), Arc::clone(&over));
        move || storm(&directory, &over)
    });
    let active = |on: u8| {
        let labels = r#"class="8192",shard="5",verdict="retry_storm""#;
        body(address, "/metrics").lines().any(|line| {
            line.starts_with("stormglass_verdict_active{") && line.ends_with(&format!("{labels}}} {on}"))
        })
    };
    eventually("/metrics has the verdict", || active(1));
    let frame: Value = serde_json::from_str(&body(address, "/api/snapshot")).expect("a frame");
    let found = &frame["processes"][0]["verdicts"];
    let verdict = found.as_array().expect("a list").iter().find(|v| v["verdict"] == "retry_storm");
    let verdict = verdict.unwrap_or_else(|| panic!("the page gets it: {found}"));
    assert_eq!((&verdict["class"], &verdict["shard"]), (&"8192".into(), &"5".into()));
    assert!(verdict["evidence"].as_str().is_some_and(|e| e.starts_with("26 failed CASes for each batch")));
    assert!(verdict["advice"].is_string() && verdict["since"].is_u64(), "{verdict}");

    over.store(true, Ordering::Relaxed);
    storming.join().expect("it ends");
    eventually("/metrics has the verdict as over", || active(0));
    let told = verdicts.told();
    assert!(told.iter().all(|t| t.on == 0 && t.raised >= 1), "{told:?}");
    let told: Vec<_> = told.iter().map(|t| t.finding.verdict).collect();
    assert_eq!(told, [Verdict::RetryStorm, Verdict::CasMultiplication]);
}
