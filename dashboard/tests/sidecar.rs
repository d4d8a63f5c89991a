//! The whole way: a writer counts into a real segment, the sidecar serves it, a client asks over TCP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use stormglass_dashboard::{Config, ServeError, Sidecar};
use stormglass_telemetry::{Directory, Identity, Op, Writer};

fn config(directory: &Directory) -> Config {
    Config { keep_dead: Duration::from_hours(1), ..Config::of(directory.clone()) }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Sends a request and returns the connection, at the start of the answer.
fn ask(address: SocketAddr, path: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).expect("the sidecar listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("a request");
    BufReader::new(stream)
}

/// The body of an answer that ends with the connection.
fn body(address: SocketAddr, path: &str) -> String {
    let mut answer = String::new();
    ask(address, path).read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_owned()
}

/// The next frame of a stream.
fn frame(stream: &mut impl BufRead) -> Value {
    let mut line = String::new();
    loop {
        line.clear();
        assert!(stream.read_line(&mut line).expect("the stream goes on") > 0, "the stream ended");
        if let Some(json) = line.strip_prefix("data: ") {
            return serde_json::from_str(json).expect("a frame");
        }
    }
}

#[test]
fn what_a_writer_counts_is_served_until_the_shutdown() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let directory = Directory::at(place.path().join("segments"));
    let identity = Identity { strategy: "lockfree-single", workload: "storm", ..Identity::default() };
    let writer = Writer::create(&directory, &identity).expect("a segment");
    let slot = writer.claim().expect("a slot");
    slot.shard(3, 5).cas_attempts[Op::Pop as usize].add(300);
    slot.shard(3, 5).cas_failures[Op::Pop as usize].add(260);

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (started, address) = std::sync::mpsc::channel();
    let server = std::thread::spawn({
        let config = config(&directory);
        move || {
            runtime().block_on(async {
                let sidecar = Sidecar::bind(config).await?;
                sidecar.results().publish(serde_json::json!({"version": "0.1.0"}));
                started.send(sidecar.address()).expect("the test waits");
                sidecar
                    .serve(async {
                        let _ = stopped.await;
                    })
                    .await
            })
        }
    });
    let address = address.recv().expect("the sidecar starts");

    assert_eq!(body(address, "/healthz"), "ok\n");
    let metrics = body(address, "/metrics");
    let line = metrics
        .lines()
        .find(|l| l.starts_with("stormglass_cas_failures_total{") && l.contains("op=\"pop\""))
        .expect("the counter is there");
    assert!(line.contains("class=\"8192\",shard=\"5\"") && line.ends_with(" 260"), "{line}");

    let mut stream = ask(address, "/api/stream");
    let first = frame(&mut stream);
    assert_eq!(first["results"]["version"], "0.1.0");
    assert_eq!(first["processes"][0]["strategy"], "lockfree-single");
    assert_eq!(first["processes"][0]["live"], true);
    let begun = Instant::now();
    slot.shard(0, 1).cas_failures[Op::Push as usize].add(1000);
    while frame(&mut stream)["processes"][0]["grid"]["cas_failures_per_second"][0][1].as_f64() == Some(0.0) {
        assert!(begun.elapsed() < Duration::from_secs(5), "a change reaches an open page");
    }
    let history: Value = serde_json::from_str(&body(address, "/api/history")).expect("JSON");
    assert_eq!(history["points"].as_object().map(serde_json::Map::len), Some(1));

    // An open stream must not keep the program from ending.
    let begun = Instant::now();
    stop.send(()).expect("the sidecar runs");
    server.join().expect("no panic").expect("no error");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the stream ends");
}

#[test]
fn a_program_of_every_size_is_shown_by_its_own_classes() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let directory = Directory::at(place.path().join("segments"));
    let identity = Identity { strategy: "page", ..Identity::default() };
    let writer = Writer::<3, 2>::create_general(&directory, &identity, &[16, 48, 1000]).expect("a segment");
    let slot = writer.claim().expect("a slot");
    slot.classes[1].ring_misses.add(4);
    slot.shard(1, 1).page_mapped_bytes.add(8192);
    slot.totals.large_allocations.add(1);
    slot.totals.large_allocated_bytes.add(100_000);

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (started, address) = std::sync::mpsc::channel();
    let config = config(&directory);
    let server = std::thread::spawn(move || {
        runtime().block_on(async {
            let sidecar = Sidecar::bind(config).await?;
            started.send(sidecar.address()).expect("the test waits");
            sidecar.serve(async { drop(stopped.await) }).await
        })
    });
    let address = address.recv().expect("the sidecar starts");
    let metrics = body(address, "/metrics");
    let value = |name: &str, labels: &str| {
        let series =
            metrics.lines().find(|line| line.starts_with(&format!("{name}{{")) && line.contains(labels));
        series.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
    };
    assert_eq!(value("stormglass_ring_misses_total", r#"class="48""#), Some(4));
    assert_eq!(value("stormglass_large_allocations_total", ""), Some(1));
    assert_eq!(value("stormglass_live_bytes", ""), Some(4 * 48 + 100_000));
    assert_eq!(value("stormglass_mapped_bytes", ""), Some(8192));
    assert!(value("stormglass_resident_bytes", "").is_some_and(|bytes| bytes > 1 << 20), "this process");

    let snapshot: Value = serde_json::from_str(&body(address, "/api/snapshot")).expect("JSON");
    let process = &snapshot["processes"][0];
    assert_eq!(process["classes"], serde_json::json!(["16", "48", "1000"]));
    assert_eq!(process["grid"]["cas_failures_per_second"][1].as_array().map(Vec::len), Some(2));
    assert_eq!(process["general"]["live_bytes_by_class"], serde_json::json!([null, 192, null]));
    assert_eq!(process["general"]["large"]["live_bytes"], 100_000);
    stop.send(()).expect("the sidecar runs");
    server.join().expect("no panic").expect("no error");
}

#[test]
fn a_port_that_is_taken_is_said_with_what_to_do() {
    let directory = Directory::at("/nonexistent");
    runtime().block_on(async {
        let first = Sidecar::bind(config(&directory)).await.expect("a free port");
        let taken = Config { listen: first.address(), ..config(&directory) };
        let Err(error @ ServeError::Listen { .. }) = Sidecar::bind(taken).await else {
            panic!("the port is taken");
        };
        assert_eq!(
            error.to_string(),
            format!(
                "{} is taken by another program: choose another with --listen 127.0.0.1:0",
                first.address()
            )
        );
    });
}
