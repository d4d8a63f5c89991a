//! Whole benchmarks, as short as can be: the wiring works, whatever the numbers are.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::private;
use serde_json::Value;
use stormglass_telemetry::{Directory, Liveness, Segment};

const SHORT: [&str; 6] = ["--seconds", "0.05", "--rounds", "2", "--threads", "2"];

fn command(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stormglass"));
    command.args(args).env("STORMGLASS_DIR", directory).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill is there").success());
}

/// As a terminal does at Ctrl-C: to the whole process group.
fn interrupt_group(child: &Child) {
    let group = format!("-{}", child.id());
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().expect("kill is there").success());
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the sidecar listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_report_has_every_workload_and_design_with_their_counters() {
    let directory = private();
    let output =
        command(directory.path(), &[&["bench", "--json"], &SHORT[..]].concat()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert!(report["progress"].is_null());
    assert_eq!(report["problems"], Value::Null, "nothing went wrong");
    let tables = report["tables"].as_array().expect("tables");
    assert_eq!(
        tables.iter().map(|t| t["workload"].as_str()).collect::<Vec<_>>(),
        [Some("storm"), Some("larson")]
    );
    for table in tables {
        let rows = table["rows"].as_array().expect("rows");
        assert!(rows.len() >= 3);
        for row in rows {
            assert_eq!(row["runs"].as_array().map(Vec::len), Some(2));
            assert!(row["median_ops_per_second"].as_f64() > Some(0.0));
            let measures = &row["measures"];
            assert!(measures["ring_hit_ratio"].as_f64() > Some(0.0), "{measures}");
            assert!(measures["allocations_per_second"].as_f64() > Some(0.0), "{measures}");
            assert_eq!(row["ratio"].is_null(), row["design"] == "mutex");
        }
    }
}

#[test]
fn an_injected_delay_is_marked_in_both_reports() {
    let directory = private();
    let inject = "class=8192,shard=3,delay=2us";
    let args =
        [&["bench", "--workload", "storm", "--designs", "mutex", "--inject", inject], &SHORT[..]].concat();
    let text = command(directory.path(), &args).output().expect("it runs");
    assert!(text.status.success(), "{}", String::from_utf8_lossy(&text.stderr));
    let printed = String::from_utf8_lossy(&text.stdout);
    assert!(printed.contains(&format!("\nDELAY INJECTED: {inject}; ")), "{printed}");
    let json = command(directory.path(), &[&args[..], &["--json"]].concat()).output().expect("it runs");
    let report: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(report["injected"], inject);
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let directory = private();
    let mut child = command(directory.path(), &[&["bench", "--workload", "storm"], &SHORT[..]].concat())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    assert!(child.wait().expect("it ends").success(), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn an_interrupt_keeps_the_finished_runs() {
    let directory = private();
    let args = ["bench", "--workload", "storm", "--seconds", "0.3", "--rounds", "100", "--json"];
    let mut child = command(directory.path(), &args).spawn().expect("it starts");
    let mut progress = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.starts_with("[  3/") {
        line.clear();
        assert_ne!(progress.read_line(&mut line).expect("text"), 0, "it ended early");
    }
    interrupt(&child);
    let start = Instant::now();
    let output = child.wait_with_output().expect("it ends");
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(output.status.code(), Some(130));
    let report: Value = serde_json::from_slice(&output.stdout).expect("the report of what was finished");
    let rows = report["tables"][0]["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 2, "{report}");
    assert!(report["problems"][0].as_str().expect("a sentence").starts_with("stopped after "));
}

#[test]
fn an_interrupt_from_the_terminal_blames_no_run() {
    let directory = private();
    let args = ["bench", "--workload", "storm", "--seconds", "0.3", "--rounds", "100", "--json"];
    let mut child = command(directory.path(), &args).process_group(0).spawn().expect("it starts");
    let mut progress = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.starts_with("[  3/") {
        line.clear();
        assert_ne!(progress.read_line(&mut line).expect("text"), 0, "it ended early");
    }
    // The third run is being measured, or is just starting.
    std::thread::sleep(Duration::from_millis(150));
    interrupt_group(&child);
    let output = child.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&output.stdout).expect("the report of what was finished");
    let problems = report["problems"].as_array().expect("one problem");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].as_str().expect("a sentence").starts_with("stopped after "), "{problems:?}");
}

#[test]
fn a_run_ends_with_the_program_that_was_killed() {
    let directory = private();
    let args = ["bench", "--workload", "storm", "--seconds", "60"];
    let mut child = command(directory.path(), &args).spawn().expect("it starts");
    let deadline = Instant::now() + Duration::from_secs(20);
    let run = loop {
        let paths = Directory::at(directory.path()).scan().expect("a directory");
        let run =
            paths.iter().find_map(|path| Segment::open(path).ok().filter(|s| s.process().pid != child.id()));
        match run {
            Some(run) => break run,
            None => assert!(Instant::now() < deadline, "no run has begun"),
        }
    };
    assert_eq!(run.liveness(), Liveness::Live);
    child.kill().expect("SIGKILL");
    child.wait().expect("it ends");
    while run.liveness() == Liveness::Live {
        assert!(Instant::now() < deadline, "the run goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn watch_shows_its_report_on_the_page_and_ends_on_an_interrupt() {
    let directory = private();
    let args = [&["watch", "--listen", "127.0.0.1:0", "--workload", "storm"], &SHORT[..]].concat();
    let mut child = command(directory.path(), &args).spawn().expect("it starts");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("text");
    let address =
        line.trim().strip_prefix("stormglass: watch it at http://").expect("the address comes first");
    let address = address.trim_end_matches('/').to_owned();
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200"));
    // The table is printed when the benchmark is over.
    while !line.contains("lockfree-single") {
        line.clear();
        assert_ne!(out.read_line(&mut line).expect("text"), 0, "it ended early");
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let frame = get(&address, "/api/snapshot");
        if frame.contains("\"sentence\"") && frame.contains("\"progress\":null") {
            break;
        }
        assert!(Instant::now() < deadline, "the report is not on the page: {frame}");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(child.try_wait().expect("a child").is_none(), "it stays to be looked at");
    interrupt(&child);
    assert!(child.wait().expect("it ends").success());
}
