//! What no answer may hold: command lines, environments, addresses of memory.
#![cfg(target_os = "linux")]

mod common;

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{PATIENCE, Running};
use stormglass_telemetry::{Directory, Identity, Writer};

const ROLE: &str = "STORMGLASS_TEST_SECRETIVE";
const ARGUMENT: &str = "argument-that-nobody-may-see";
const VARIABLE: &str = "variable-that-nobody-may-see";

/// Played in the child: a process with secrets, and a segment.
#[test]
#[ignore = "a role, played in a child process"]
fn secretive() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let identity = Identity { strategy: "mutex", workload: "secret", ..Identity::default() };
    let writer = Writer::create(&Directory::from_env(), &identity).expect("a segment");
    let slot = writer.claim().expect("a slot");
    loop {
        slot.shard(3, 3).refills.add(1);
        slot.classes[3].ring_misses.add(1);
        slot.heartbeat.set(stormglass_telemetry::clock::monotonic());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn no_answer_holds_a_secret_of_a_process() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = Directory::at(place.path().join("segments"));
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["secretive", "--exact", "--ignored", "--skip", ARGUMENT])
        .env(ROLE, VARIABLE)
        .env("STORMGLASS_DIR", directory.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("a child");
    let running = Running::of(&directory);
    let begun = Instant::now();
    while !running.scrape().contains(r#"workload="secret""#) {
        assert!(begun.elapsed() < PATIENCE, "it is not shown");
        std::thread::sleep(Duration::from_millis(20));
    }
    let of = |file: &str| std::fs::read(format!("/proc/{}/{file}", child.id())).expect("readable");
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has(&of("cmdline"), ARGUMENT) && has(&of("environ"), VARIABLE), "the secrets are there");
    let maps = String::from_utf8(of("maps")).expect("text");
    let addresses: Vec<String> = maps
        .lines()
        .filter_map(|line| line.split_once('-'))
        .map(|(start, _)| start.to_owned())
        .flat_map(|hex| [u64::from_str_radix(&hex, 16).expect("hexadecimal").to_string(), hex])
        .filter(|address| address.len() > 8)
        .collect();
    assert!(addresses.len() > 10);

    let mut answers: Vec<Vec<u8>> =
        ["/metrics", "/api/snapshot", "/api/history", "/"].map(|path| running.ask(path, "")).into();
    for accept in [
        "application/openmetrics-text",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    ] {
        answers.push(running.ask("/metrics", &format!("Accept: {accept}\r\n")));
    }
    let mut stream = running.connect();
    std::io::Write::write_all(&mut stream, b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("sent");
    let mut frames = vec![0; 8 << 10];
    stream.read_exact(&mut frames).expect("frames");
    answers.push(frames);
    child.kill().expect("killed");
    child.wait().expect("reaped");
    for answer in answers {
        let text = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{text}");
        for secret in addresses.iter().map(String::as_str).chain([ARGUMENT, VARIABLE, ROLE, "/proc/"]) {
            assert!(!has(&answer, secret), "{secret} is in\n{text}");
        }
        let path = directory.path().to_str().expect("text");
        assert!(!has(&answer, path), "nor is the directory's name anybody's concern\n{text}");
    }
}
