//! `bench --cost`, with a script in place of the build without counters: the wiring works, whatever the numbers are.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::private;
use serde_json::Value;
use stormglass_telemetry::Directory;
use stormglass_telemetry::cost::Cost;

const PROGRAM: &str = env!("CARGO_BIN_EXE_stormglass");
const SHORT: [&str; 8] = ["--threads", "2", "--seconds", "0.3", "--rounds", "2", "--designs", "mutex"];

fn cost(directory: &Path, args: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(["bench"])
        .args(args)
        .env("STORMGLASS_DIR", directory)
        // Never run: the mid pool alone is measured.
        .env("STORMGLASS_LIBRARY", directory.join("uncounted/libstormglass.so"))
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

/// A folder with what looks like a build without counters.
fn uncounted(directory: &Path) -> PathBuf {
    let folder = directory.join("uncounted");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("libstormglass.so"), "").expect("a file");
    folder
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_arms_are_paired_and_the_result_is_kept_for_the_page() {
    let directory = private();
    let folder = uncounted(directory.path());
    let script = r#"#!/bin/sh
echo '{"ops":100,"seconds":1.0,"ops_per_second":100.0,"counted":null,"warning":null}'
"#;
    let program = folder.join("stormglass");
    fs::write(&program, script).expect("a script");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
    let named = ["--cost=pool", "--json", "--uncounted", folder.to_str().expect("text")];
    let output = cost(directory.path(), &[&named[..], &SHORT[..]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    let row = &report["rows"][0];
    assert_eq!((row["strategy"].as_str(), row["workload"].as_str()), (Some("mutex"), Some("larson 2T")));
    assert_eq!((row["counted"]["pairs"].as_u64(), row["ops_per_second"].as_f64()), (Some(2), Some(100.0)));
    assert_eq!(row["runs"][1][0].as_f64(), Some(100.0));
    // On a machine that is too busy to scrape, that is what is said.
    let scraped = row["scraped"]["pairs"].as_u64() == Some(2);
    assert!(scraped || report["problems"].to_string().contains("the sidecar told of the run"), "{report}");
    let kept = Directory::at(directory.path()).kept_cost().expect("readable").expect("kept");
    let kept: Cost = serde_json::from_str(&kept).expect("a measurement");
    assert_eq!(kept.subjects[0].counted.expect("measured").pairs, 2);
}

#[test]
fn a_build_that_counts_is_no_build_without_counters() {
    let directory = private();
    let folder = uncounted(directory.path());
    symlink(PROGRAM, folder.join("stormglass")).expect("a link");
    let named = ["--cost=pool", "--uncounted", folder.to_str().expect("text")];
    let output = cost(directory.path(), &[&named[..], &SHORT[..]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("it counted, though its build should be without counters"));
    assert!(said(&output).ends_with("no pair of runs finished; the reasons stand above\n"));
    assert_eq!(Directory::at(directory.path()).kept_cost().expect("readable"), None, "nothing to be kept");
}

#[test]
fn what_cannot_be_is_a_sentence() {
    let directory = private();
    let refused = |args: &[&str]| {
        let output = cost(directory.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", said(&output));
        assert!(output.stdout.is_empty() && !said(&output).contains("panicked"));
        said(&output)
    };
    let missing = refused(&["--cost", "--uncounted", "/nowhere"]);
    assert!(
        missing.contains("(/nowhere/stormglass)")
            && missing.contains("--features uncounted --target-dir target/uncounted"),
        "{missing}"
    );
    assert!(refused(&["--cost=both"]).contains("general, pool or all"));
    assert!(refused(&["--cost", "--rounds", "0"]).contains("--rounds 0 is out of range"));
    assert!(refused(&["--cost=general", "--designs", "mutex"]).contains("--cost=pool"));
    assert!(refused(&["--cost", "--full"]).contains("cannot be used with"));
    assert!(refused(&["--quick"]).contains("--cost"));
}
