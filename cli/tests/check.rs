//! `check`, `top` and `doctor` as a user meets them: exit codes, and what is said.

mod common;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use common::private;
use serde_json::Value;
use stormglass_telemetry::{Directory, Identity, Op, Writer};

fn stormglass(directory: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stormglass"))
        .args(args)
        .env("STORMGLASS_DIR", directory)
        .env_remove("GITHUB_ACTIONS")
        .env_remove("GITHUB_STEP_SUMMARY")
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A writer that storms in class 8192, shard 3, until it is dropped.
struct Storm {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Storm {
    fn over(directory: &Path) -> Storm {
        let directory = Directory::at(directory);
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let thread = thread::spawn(move || {
            let identity = Identity { strategy: "lockfree-single", workload: "storm", ..Identity::default() };
            let writer = Writer::create(&directory, &identity).expect("a segment");
            let slot = writer.claim().expect("a slot");
            let shard = slot.shard(3, 3);
            // Relaxed: only an end is told.
            while !ended.load(Ordering::Relaxed) {
                // As every thread that refills does: by the lines of its classes a reader sees that a slot does not stand still.
                slot.classes[3].ring_misses.add(1000);
                shard.refills.add(1000);
                shard.cas_attempts[Op::Pop as usize].add(27_000);
                shard.cas_failures[Op::Pop as usize].add(26_000);
                thread::sleep(Duration::from_millis(5));
            }
        });
        Storm { end, thread: Some(thread) }
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it ends");
        }
    }
}

#[test]
fn a_storm_that_is_live_fails_and_says_where() {
    let directory = private();
    let _storm = Storm::over(directory.path());
    let junit = directory.path().join("check.xml");
    let output = stormglass(
        directory.path(),
        &[
            "check",
            "--for",
            "2s",
            "--wait",
            "20s",
            "--junit",
            junit.to_str().expect("text"),
            "--github",
            "max(cas_failures_per_batch) < 0.5",
            "sum(cas_failures{shard!=\"3\"}) == 0",
            "walked_per_kept < 2",
        ],
    );
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "FAILED",
        "class 8192 shard 3",
        "ok       sum(cas_failures{shard!=\"3\"}) == 0",
        "NO DATA",
        "::error title=stormglass check%3A an assertion failed::max(cas_failures_per_batch) < 0.5: it is 26",
        "3 assertions: 1 hold, 1 fail, 1 without data; 1 process seen",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let xml = std::fs::read_to_string(junit).expect("written");
    assert!(xml.contains("failures=\"1\" errors=\"1\""), "{xml}");
}

#[test]
fn exit_codes_tell_a_mistake_from_a_broken_source() {
    let directory = private();
    let code = |args: &[&str]| {
        let output = stormglass(directory.path(), args);
        assert!(!said(&output).contains("panicked"), "{}", said(&output));
        output.status.code()
    };
    assert_eq!(code(&["check", "max(nothing) < 1"]), Some(2));
    assert_eq!(code(&["check"]), Some(2), "nothing is asserted");
    assert_eq!(code(&["check", "no verdict", "--", "bench", "--threads", "none"]), Some(2));
    assert_eq!(code(&["check", "no verdict", "--", "./there-is-no-such-program"]), Some(3));
    assert_eq!(code(&["check", "no verdict", "--recording", "/nowhere/storm.sgrec"]), Some(3));
    assert_eq!(code(&["check", "no verdict", "--url", "127.0.0.1:1", "--for", "1s"]), Some(3));
    assert_eq!(code(&["check", "no verdict", "--url", "ftp://127.0.0.1:1"]), Some(2));
    assert_eq!(code(&["check", "no verdict", "--for", "0s"]), Some(1), "nobody was seen");
    assert_eq!(code(&["check", "--list", "--json"]), Some(0));
}

#[test]
fn a_benchmark_that_is_run_is_judged_alone_and_prints_no_second_result() {
    let directory = private();
    let _storm = Storm::over(directory.path());
    let bench = ["bench", "--workload", "larson", "--designs", "mutex", "--rounds", "1", "--seconds", "0.2"];
    let args =
        [&["check", "--json", "sum(cas_failures{op=\"pop\"}) == 0", "ring_hit_ratio > 1%", "--"][..], &bench]
            .concat();
    let output = stormglass(directory.path(), &args);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert_eq!(json["holds"], true);
    assert!(json["assertions"][1]["place"]["process"].as_str().is_some_and(|name| name.contains("mutex")));
    assert!(String::from_utf8_lossy(&output.stderr).contains("larson"), "the benchmark's own table is there");
}

#[test]
fn every_assertion_in_the_guide_and_in_the_workflow_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let directory = private();
    let mut assertions = Vec::new();
    for file in ["docs/CI.md", ".github/workflows/contention.yml", "e2e/check", "README.md"] {
        let text = std::fs::read_to_string(root.join(file)).expect("it is there");
        // In quotes whatever follows `check`; in the guide also the lines of its list, up to the remark.
        let text = text.replace("\\\n", " ");
        for line in
            text.lines().filter(|line| line.contains("stormglass check ") || line.starts_with("exits "))
        {
            let wrong = line.starts_with("exits 2");
            // In a table the command stands between backticks, and prose has apostrophes.
            let line = if line.starts_with('|') { line.split('`').nth(1).unwrap_or_default() } else { line };
            let quoted =
                line.split('\'').skip(1).step_by(2).filter(|part| !part.contains("class=8192,shard=3,delay"));
            assertions.extend(quoted.filter(|_| !wrong).map(str::to_owned));
        }
        if let Some((_, list)) = text.split_once("## What one can assert\n\n```\n") {
            let list = list.split("```").next().unwrap_or_default();
            assertions
                .extend(list.lines().map(|line| line.split("   ").next().unwrap_or_default().to_owned()));
        }
    }
    assert!(assertions.len() > 20, "{assertions:?}");
    let mut args = vec!["check", "--recording", "/nowhere"];
    args.extend(assertions.iter().map(String::as_str));
    let output = stormglass(directory.path(), &args);
    assert_eq!(
        output.status.code(),
        Some(3),
        "they are understood, and there is no such recording: {}",
        said(&output)
    );
}

#[test]
fn top_without_a_terminal_says_what_to_take_and_prints_one_picture() {
    let directory = private();
    let output = stormglass(directory.path(), &["top"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("stormglass top --once"), "{}", said(&output));

    let _storm = Storm::over(directory.path());
    let seen = (0..50).any(|_| {
        thread::sleep(Duration::from_millis(100));
        Directory::at(directory.path()).scan().is_ok_and(|paths| !paths.is_empty())
    });
    assert!(seen, "the writer has its segment");
    let output = stormglass(directory.path(), &["top", "--once"]);
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("lockfree-single") && text.contains("hottest: class 8192 shard 3"), "{text}");
    assert!(!text.contains('\u{1b}'), "no escapes");
    let output = stormglass(directory.path(), &["top", "--once", "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["processes"][0]["strategy"], "lockfree-single");
}

#[test]
fn doctor_tells_what_works_by_its_exit_code() {
    let directory = private();
    let output = stormglass(directory.path(), &["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let list = json["findings"].as_array().expect("a list");
    let levels: Vec<&str> = list.iter().filter_map(|finding| finding["level"].as_str()).collect();
    assert!(levels.len() == list.len() && !levels.contains(&"broken"), "{levels:?}");

    let output = stormglass(&directory.path().join("missing/below"), &["doctor"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = said(&output);
    assert!(text.contains("BROKEN   shared memory") && text.contains("STORMGLASS_DIR"), "{text}");
}

#[test]
fn completions_and_pages_are_of_what_is_visible() {
    let directory = private();
    for shell in ["bash", "zsh", "fish"] {
        let output = stormglass(directory.path(), &["completions", shell]);
        let script = said(&output);
        assert!(
            output.status.success() && script.contains("doctor") && !script.contains("measure"),
            "{shell}"
        );
    }
    let pages = directory.path().join("man");
    let output = stormglass(directory.path(), &["man", pages.to_str().expect("text")]);
    assert!(output.status.success(), "{}", said(&output));
    let check = std::fs::read_to_string(pages.join("stormglass-check.1")).expect("a page");
    assert!(check.contains("no verdict") && check.contains("Exit codes"), "{check}");
    assert!(!pages.join("stormglass-measure.1").exists());
}

#[test]
fn a_variable_stands_for_an_option_and_what_is_typed_wins() {
    let directory = private();
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_stormglass"))
            .args(args)
            .env("STORMGLASS_DIR", directory.path())
            .env("STORMGLASS_THREADS", "65")
            .env("STORMGLASS_LISTEN", "127.0.0.1:0")
            .output()
            .expect("the program starts");
        said(&output)
    };
    assert!(run(&["bench", "--workload", "larson"]).contains("--threads 65 is out of range"));
    assert!(
        run(&["bench", "--workload", "larson", "--threads", "0"]).contains("--threads 0 is out of range")
    );
    let said = run(&["run", "--no-page", "--", "true"]);
    assert!(!said.contains("cannot be used with"), "{said}");
}

/// What `bench --cost` leaves, of a process that counting costs a tenth of its speed.
const COSTLY: &str = r#"{"version": "0.1.0", "command": "stormglass bench --cost", "machine": "Z80", "measured": 1,
    "subjects": [{"allocator": "pool", "strategy": "lockfree-single", "workload": "storm 4T", "scraped": null,
        "counted": {"median": 0.85, "low": 0.8, "high": 0.9, "coverage": 0.99, "pairs": 8}}]}"#;

#[test]
fn what_counting_costs_is_known_to_a_look_at_this_users_processes() {
    let directory = private();
    let _storm = Storm::over(directory.path());
    let no_cost = ["check", "--for", "3s", "no watching_cost"];
    let output = stormglass(directory.path(), &no_cost);
    assert!(said(&output).contains("was not measured here"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(1), "what is not known does not hold");
    Directory::at(directory.path()).keep_cost(COSTLY).expect("kept");
    let output = stormglass(directory.path(), &no_cost);
    assert!(output.status.code() == Some(1) && said(&output).contains("FAILED"), "{}", said(&output));
}

#[test]
fn a_verdict_on_a_class_that_nobody_has_is_not_known() {
    let directory = private();
    let _storm = Storm::over(directory.path());
    let output = stormglass(directory.path(), &["check", "--for", "1s", "no retry_storm{class=\"8129\"}"]);
    assert!(
        output.status.code() == Some(1) && said(&output).contains("no class is \"8129\""),
        "{}",
        said(&output)
    );
}

#[test]
fn a_look_that_broke_is_told_in_every_form() {
    let directory = private();
    let junit = directory.path().join("check.xml");
    let path = junit.to_str().expect("text");
    let args = [
        "check",
        "--junit",
        path,
        "--json",
        "--github",
        "no verdict",
        "--",
        "/bin/sh",
        "-c",
        "exit 7 #secret",
    ];
    let output = stormglass(directory.path(), &args);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["assertions"][0]["result"], "not_available");
    let xml = std::fs::read_to_string(&junit).expect("written");
    // Where the library is not built yet, it is that which broke.
    let why = ["exit status: 7", "there is no libstormglass.so"];
    assert!(xml.contains("<error") && why.iter().any(|why| xml.contains(why)), "{xml}");
    assert!(said(&output).contains("::error") || said(&output).contains("::warning"), "{}", said(&output));
    assert!(!xml.contains("secret") && !json.to_string().contains("secret"), "its arguments are its own");
}
