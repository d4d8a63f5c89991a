//! `--perf` as a user has it: what is counted is in `/metrics`, what is not says why, and nothing of it is 0.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::private;
use serde_json::Value;

/// Ends with the test, whatever that finds.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stormglass"));
    command.args(args).env("STORMGLASS_DIR", directory).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn body(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the sidecar listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split_once("\r\n\r\n").expect("a head and a body").1.to_owned()
}

/// The address that a sidecar prints.
fn address(sidecar: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(sidecar.stdout.take().expect("piped")).read_line(&mut line).expect("text");
    let address = line.trim().strip_prefix("stormglass: watch it at http://").expect("the address");
    address.trim_end_matches('/').to_owned()
}

/// The value of a series of an event; none if there is no such series.
fn series(metrics: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let wanted: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let line = metrics.lines().find(|line| {
        line.starts_with(&format!("{name}{{")) && wanted.iter().all(|label| line.contains(label))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_sidecar_counts_a_process_that_it_did_not_start() {
    let directory = private();
    let args = ["serve", "--perf", "--listen", "127.0.0.1:0"];
    let mut sidecar = Running(command(directory.path(), &args).spawn().expect("it starts"));
    let address = address(&mut sidecar.0);
    let args = [
        "measure",
        "--workload",
        "storm",
        "--design",
        "mutex",
        "--threads",
        "2",
        "--seconds",
        "60",
        "--min",
        "8192",
        "--max",
        "8192",
        "--chunks",
        "256",
        "--life",
        "0",
        "--seed",
        "1",
    ];
    let _run = Running(command(directory.path(), &args).spawn().expect("it starts"));
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let metrics = body(&address, "/metrics");
        let state =
            |state| series(&metrics, "stormglass_perf_state", &[("event", "task_clock"), ("state", state)]);
        if state("forbidden").is_some() || state("unsupported").is_some() {
            eprintln!("skipped: this kernel counts nothing for this user");
            return;
        }
        let total = series(&metrics, "stormglass_perf_events_total", &[("event", "task_clock")]);
        if total.is_some_and(|nanoseconds| nanoseconds > 0.0) {
            assert_eq!(state("counting"), Some(1.0));
            // An event has a number or a state that says why not, and never both.
            for event in ["cycles", "cache_misses", "context_switches", "remote_cache_fills"] {
                let total = series(&metrics, "stormglass_perf_events_total", &[("event", event)]);
                let of =
                    |state| series(&metrics, "stormglass_perf_state", &[("event", event), ("state", state)]);
                let absent = ["unsupported", "forbidden", "failed"].into_iter().find_map(of);
                assert_eq!(total.is_some(), absent.is_none(), "{event}:\n{metrics}");
            }
            break;
        }
        assert!(Instant::now() < deadline, "nothing is counted:\n{metrics}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let frame: Value = serde_json::from_str(&body(&address, "/api/snapshot")).expect("JSON");
    let events = frame["processes"][0]["perf"]["events"].as_array().expect("the page has them too");
    assert_eq!(events.len(), 11);
    let silent = events.iter().find(|event| event["total"].is_null() && event["message"] == "");
    assert!(silent.is_none(), "{silent:?}");

    let counted = series(&body(&address, "/metrics"), "stormglass_perf_events_total", &[("event", "cycles")]);
    let check =
        ["check", "--url", &address, "--for", "1s", "--json", "rate(perf_events{event=\"task_clock\"}) > 0"];
    let (code, results) =
        judged(directory.path(), &[&check[..], &["perf_events{event=\"cycles\"} >= 0"]].concat());
    match counted {
        Some(_) => assert_eq!((code, results), (Some(0), vec!["holds".to_owned(), "holds".to_owned()])),
        None => assert_eq!((code, results), (Some(3), vec!["holds".to_owned(), "not_available".to_owned()])),
    }
}

/// How a check ends, and what it says of each assertion.
fn judged(directory: &Path, args: &[&str]) -> (Option<i32>, Vec<String>) {
    let output = command(directory, args).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let checked: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    let assertions = checked["assertions"].as_array().expect("a list");
    let results = assertions.iter().map(|one| one["result"].as_str().expect("a word").to_owned());
    (output.status.code(), results.collect())
}

#[test]
fn a_check_turns_the_counters_on_and_without_any_it_is_broken_not_failed() {
    let directory = private();
    let bench =
        ["--", "bench", "--workload", "storm", "--designs", "mutex", "--seconds", "0.3", "--rounds", "1"];
    let one = "max(cycles_per_slow_path) >= 0";
    let (code, results) =
        judged(directory.path(), &[&["check", "--json", "--least", "1", one][..], &bench].concat());
    match results[0].as_str() {
        "not_available" => assert_eq!(code, Some(3)),
        other => assert_eq!((code, other), (Some(0), "holds")),
    }
    // What does not hold is known, whatever else is not.
    let two = ["check", "--json", "--least", "1", one, "refills < 0"];
    assert_eq!(judged(directory.path(), &[&two[..], &bench].concat()).0, Some(1));
}

#[test]
fn a_check_counts_events_of_the_processes_that_it_looks_at_itself() {
    let directory = private();
    let bench =
        ["--", "bench", "--workload", "storm", "--designs", "mutex", "--seconds", "0.5", "--rounds", "1"];
    let words = ["check", "--json", "perf_events{event=\"task_clock\"} > 1000", "refills > 0"];
    let (code, results) = judged(directory.path(), &[&words[..], &bench].concat());
    match results[0].as_str() {
        // Where this kernel counts nothing for this user.
        "not_available" => assert_eq!((code, results[1].as_str()), (Some(3), "holds")),
        other => assert_eq!((code, other, results[1].as_str()), (Some(0), "holds", "holds")),
    }
}

#[test]
fn who_does_not_ask_is_told_nothing() {
    let directory = private();
    let args = ["serve", "--listen", "127.0.0.1:0"];
    let mut sidecar = Running(command(directory.path(), &args).spawn().expect("it starts"));
    let address = address(&mut sidecar.0);
    assert!(!body(&address, "/metrics").contains("stormglass_perf_"));
}

#[test]
fn a_benchmark_counts_inside_or_says_why_not() {
    let directory = private();
    let args = [
        "bench",
        "--perf",
        "--workload",
        "storm",
        "--designs",
        "mutex",
        "--seconds",
        "0.1",
        "--rounds",
        "1",
        "--json",
    ];
    let output = command(directory.path(), &args).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let measures = &report["tables"][0]["rows"][0]["measures"];
    assert!(measures["slow_path_nanoseconds_per_batch"].as_f64() > Some(0.0), "{measures}");
    let counted = ["cycles_per_slow_path", "instructions_per_slow_path", "cache_misses_per_slow_path"]
        .iter()
        .any(|figure| measures[figure].is_number());
    let why = said.contains("slow paths are not counted by the processor's counters: ");
    assert_ne!(counted, why, "{said}{measures}");
}
