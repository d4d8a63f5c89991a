//! `stormglass record` and `replay` as a user meets them: two processes, a kill, a full disk, and files that are none.

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::private;
use serde_json::Value;
use stormglass_dashboard::recording::{End, Moment, Reader};
use stormglass_telemetry::{Directory, Identity, Metric, Select, Writer};

fn command(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stormglass"));
    command.args(args).env("STORMGLASS_DIR", directory).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn stormglass(directory: &Path, args: &[&str]) -> Output {
    command(directory, args).output().expect("the program starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A workload that stays for a while, in a process of its own.
fn measured(directory: &Path, design: &str, seconds: &str) -> Child {
    let args = [
        &["measure", "--workload", "larson", "--design", design, "--threads", "2", "--seconds", seconds][..],
        &["--min", "2048", "--max", "32768", "--chunks", "100", "--life", "100", "--seed", "1"],
    ]
    .concat();
    command(directory, &args).spawn().expect("the program starts")
}

/// Everything that can be read, and how it ends.
fn read(path: &Path) -> (Vec<Moment>, Option<End>) {
    let mut reader = Reader::new(BufReader::new(File::open(path).expect("a file"))).expect("a recording");
    let moments = reader.by_ref().collect::<Result<_, _>>().expect("no damage");
    (moments, reader.end())
}

/// Waits for something, for as long as a loaded machine may take.
fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_mins(1), "{what} within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn segments(directory: &Path) -> usize {
    Directory::at(directory).scan().map_or(0, |paths| paths.len())
}

#[test]
fn two_processes_are_recorded_and_summed_up() {
    let (place, files) = (private(), private());
    let mut children =
        [measured(place.path(), "mutex", "60"), measured(place.path(), "lockfree-single", "60")];
    wait("two segments", || segments(place.path()) == 2);
    let file = files.path().join("two.sgrec");
    let path = file.to_str().expect("a name");
    let output = stormglass(
        place.path(),
        &["record", "-o", path, "--for", "2s", "--every", "100", "--note", "two designs"],
    );
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("moments of 2 processes"), "{}", said(&output));
    for child in &mut children {
        child.kill().and_then(|()| child.wait()).expect("ours");
    }
    let (moments, end) = read(&file);
    assert_eq!(end, Some(End::Whole));
    let hits = |moment: &Moment| -> u64 {
        moment.snapshots.iter().filter_map(|s| s.counts.sum(Metric::RingHits, Select::ALL)).sum()
    };
    assert!(moments.len() >= 2 && hits(&moments[moments.len() - 1]) > hits(&moments[0]));

    let output = stormglass(place.path(), &["replay", "--summary", "--json", path]);
    let summary: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert_eq!(summary["note"], "two designs");
    assert_eq!(summary["whole"], true);
    let mut designs: Vec<&str> = summary["processes"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|process| process["strategy"].as_str())
        .collect();
    designs.sort_unstable();
    assert_eq!(designs, ["lockfree-single", "mutex"]);
    let output = stormglass(place.path(), &["replay", "--summary", path]);
    let table = String::from_utf8(output.stdout).expect("text");
    assert!(table.contains("two designs") && table.contains("lockfree-single"), "{table}");

    let output = stormglass(place.path(), &["record", "-o", path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("is there already: name another file, or say --force"),
        "{}",
        said(&output)
    );
    assert_eq!(read(&file).0.len(), moments.len(), "it was not touched");
}

#[test]
fn a_recorder_that_is_killed_leaves_what_it_had_seen() {
    let (place, files) = (private(), private());
    let directory = Directory::at(place.path());
    let writer = Writer::create(&directory, &Identity { strategy: "mutex", ..Identity::default() });
    let writer = writer.expect("a segment");
    let slot = writer.claim().expect("a slot");
    for round in 0..3 {
        let file = files.path().join(format!("{round}.sgrec"));
        let path = file.to_str().expect("a name");
        let mut recorder =
            command(place.path(), &["record", "-o", path, "--every", "20"]).spawn().expect("it starts");
        let size = || std::fs::metadata(&file).map_or(0, |meta| meta.len());
        wait("some moments", || {
            slot.classes[2].ring_hits.add(1);
            size() > 6000
        });
        recorder.kill().and_then(|()| recorder.wait()).expect("ours");
        let (moments, end) = read(&file);
        assert_eq!(end, Some(End::Cut));
        assert!(!moments.is_empty());
        let output = stormglass(place.path(), &["replay", "--summary", path]);
        assert!(String::from_utf8_lossy(&output.stdout).contains("without a last word"), "{}", said(&output));
    }
}

#[test]
fn a_process_that_ends_ends_its_recording_and_one_that_is_not_there_leaves_no_file() {
    let (place, files) = (private(), private());
    let mut child = measured(place.path(), "mutex", "2");
    wait("a segment", || segments(place.path()) == 1);
    let file = files.path().join("one.sgrec");
    let pid = child.id().to_string();
    let output = stormglass(
        place.path(),
        &["record", "-o", file.to_str().expect("a name"), "--pid", &pid, "--every", "50"],
    );
    child.wait().expect("ours");
    assert!(output.status.success(), "{}", said(&output));
    let (moments, end) = read(&file);
    assert_eq!(end, Some(End::Whole));
    assert!(moments.iter().all(|moment| moment.snapshots.iter().all(|s| s.process.pid == child.id())));

    let missing = files.path().join("none.sgrec");
    let output =
        stormglass(place.path(), &["record", "-o", missing.to_str().expect("a name"), "--pid", "4194304"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("process 4194304 has no counters that this user can read"),
        "{}",
        said(&output)
    );
    assert!(!missing.exists());
}

#[test]
fn a_full_disk_is_said_and_what_was_written_is_whole() {
    let place = private();
    let directory = Directory::at(place.path());
    let writer = Writer::create(&directory, &Identity { strategy: "mutex", ..Identity::default() });
    let writer = writer.expect("a segment");
    let slot = writer.claim().expect("a slot");
    let disk = private();
    // A file system of 32 KiB, which is gone with the shell that made it.
    let script = r#"mount -t tmpfs -o size=32k tmpfs "$1" || exit 77
        "$2" record -o "$1/full.sgrec" --every 20 2>"$1.said"; code=$?
        "$2" replay --summary --json "$1/full.sgrec" && exit $code"#;
    let mut shell = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(disk.path())
        .arg(env!("CARGO_BIN_EXE_stormglass"))
        .env("STORMGLASS_DIR", place.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("unshare is there");
    let mut state = 1_u64;
    wait("a full disk", || {
        // Values that no compression foresees fill it soon.
        for shard in 0..8 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let counters = slot.shard(3, shard);
            counters.refills.add(state >> 40);
            counters.cas_attempts[0].add(state >> 45);
            counters.lock_spins.add(state >> 36);
        }
        shell.try_wait().expect("ours").is_some()
    });
    let output = shell.wait_with_output().expect("ours");
    if matches!(output.status.code(), Some(1 | 77)) && output.stdout.is_empty() {
        eprintln!("SKIPPED: this user may not mount a file system, so no disk was filled");
        return;
    }
    let said_path = format!("{}.said", disk.path().display());
    let said = std::fs::read_to_string(&said_path).expect("what the recorder said");
    std::fs::remove_file(&said_path).expect("ours");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("is full") && said.contains("whole up to there"), "{said}");
    let summary: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert!(summary["moments"].as_u64() > Some(1) && summary["damage"].is_null(), "{summary}");
}

#[test]
fn a_sidecar_that_is_not_there_costs_no_file() {
    let (place, files) = (private(), private());
    let record = |name: &str, more: &[&str]| {
        let path = files.path().join(name);
        let words = ["record", "-o", path.to_str().expect("a name"), "--url", "127.0.0.1:1"];
        stormglass(place.path(), &[&words, more].concat())
    };
    let there = || {
        let entries = std::fs::read_dir(files.path()).expect("ours");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("ours").file_name()).collect();
        names.sort();
        names
    };
    std::fs::write(files.path().join("old"), "what was before").expect("written");
    std::os::unix::fs::symlink("/dev/null", files.path().join("device")).expect("made");
    for name in ["old", "device", "new"] {
        let output = record(name, &["--last", "1m", "--force"]);
        assert!(said(&output).contains("does not answer"), "{name}: {}", said(&output));
        assert_eq!(there(), ["device", "old"], "{name}");
    }
    assert_eq!(std::fs::read(files.path().join("old")).expect("there"), b"what was before");
    assert!(said(&record("old", &["--last", "1m"])).contains("is there already"));
    assert!(said(&record("new", &["--last", "1m", "--for", "1m"])).contains("cannot be used with"));
}

#[test]
fn what_is_no_recording_is_refused_in_a_sentence() {
    let place = private();
    for (words, part) in [
        (&["replay", "/nonexistent"][..], "it cannot be read"),
        (&["replay", "/proc/self/exe"], "it is no recording of stormglass"),
        (&["replay", "--summary", "/dev/null"], "it ends before its first moment"),
    ] {
        let output = stormglass(place.path(), words);
        assert_eq!(output.status.code(), Some(1));
        let said = said(&output);
        assert!(
            said.starts_with("stormglass: ") && said.contains(part) && said.lines().count() == 1,
            "{said}"
        );
    }
}

#[test]
fn a_recording_is_served_as_its_processes_were() {
    let (place, files) = (private(), private());
    let mut child = measured(place.path(), "lockfree-walk", "60");
    wait("a segment", || segments(place.path()) == 1);
    let file = files.path().join("served.sgrec");
    let path = file.to_str().expect("a name");
    let output = stormglass(place.path(), &["record", "-o", path, "--for", "1s", "--every", "100"]);
    child.kill().and_then(|()| child.wait()).expect("ours");
    assert!(output.status.success(), "{}", said(&output));

    let mut replay = command(place.path(), &["replay", path, "--listen", "127.0.0.1:0", "--speed", "4"])
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    BufReader::new(replay.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let address = line.trim().trim_end_matches('/').rsplit('/').next().expect("an address").to_owned();
    let get = |path: &str| -> Value {
        let mut stream = TcpStream::connect(&address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
            .expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
    };
    let reach = get("/api/past/reach");
    assert_eq!(
        (reach["recording"]["name"].as_str(), reach["recording"]["speed"].as_f64()),
        (Some("served.sgrec"), Some(4.0))
    );
    let (from, to) = (reach["from"].as_u64().expect("a time"), reach["to"].as_u64().expect("a time"));
    let frame = get(&format!("/api/past?from={from}&to={to}"));
    assert_eq!(frame["time"], to);
    assert_eq!(frame["processes"][0]["strategy"], "lockfree-walk");
    assert!(frame["processes"][0]["rates"]["allocations_per_second"].as_f64() > Some(0.0));
    assert_eq!(get("/api/snapshot")["processes"][0]["strategy"], "lockfree-walk", "as live");
    let lines = get(&format!("/api/history?from={from}&to={to}"));
    assert_eq!(lines["points"].as_object().map(serde_json::Map::len), Some(1));
    replay.kill().and_then(|()| replay.wait()).expect("ours");
}
