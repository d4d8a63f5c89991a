//! Whole comparisons, as short as can be: the wiring works, whatever the numbers are.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::private;
use serde_json::Value;

const SHORT: [&str; 4] = ["--seconds", "0.02", "--rounds", "2"];

fn compare(directory: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stormglass"))
        .args([&["compare"], args].concat())
        .env("STORMGLASS_DIR", directory)
        .env_remove("STORMGLASS_LIBRARY")
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// Expects `code` and no result, and returns the last line that was said on standard error.
fn refused(args: &[&str], code: i32) -> String {
    let directory = private();
    let output = compare(directory.path(), args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(output.stdout.is_empty() && !said.contains("panicked"), "{said}");
    said.lines().last().expect("a line").to_owned()
}

#[test]
fn every_workload_is_compared_and_the_report_is_written() {
    let directory = private();
    let folder = directory.path().join("report");
    let args =
        ["--allocators", "glibc,limit", "--threads", "1,2", "--json", "-o", folder.to_str().expect("text")];
    let output = compare(directory.path(), &[&args[..], &SHORT[..]].concat());
    let printed = succeeded(&output);
    let report: Value = serde_json::from_str(&printed).expect("JSON and nothing else");
    assert_eq!(report["baseline"], "glibc");
    assert_eq!(report["problems"], Value::Array(vec![]));
    let tables = report["tables"].as_array().expect("tables");
    let mut names: Vec<_> = tables.iter().filter_map(|table| table["workload"].as_str()).collect();
    names.dedup();
    assert_eq!(names, ["larson", "larson-short", "xmalloc", "mstress", "churn", "large", "web", "startup"]);
    for table in tables {
        for row in table["rows"].as_array().expect("rows") {
            assert!(row["ops_per_second"].as_f64() > Some(0.0), "{table}");
            assert!(row["peak_bytes"].as_f64() > Some(1e6), "{table}");
            assert_eq!(row["ratio"].is_null(), row["allocator"] == "glibc");
            assert_eq!(row["runs"].as_array().map(Vec::len), Some(2));
        }
    }
    assert_eq!(fs::read_to_string(folder.join("compare.json")).expect("written"), printed);
    let page = fs::read_to_string(folder.join("compare.html")).expect("written");
    assert!(page.contains("<svg ") && page.contains("startup, 1 thread"));
    let text = fs::read_to_string(folder.join("compare.md")).expect("written");
    assert!(text.starts_with("# Allocators side by side"));
}

#[test]
fn a_library_that_is_installed_really_serves() {
    let directory = private();
    let output = compare(
        directory.path(),
        &[&["--workload", "churn,startup", "--threads", "1", "--json"], &SHORT[..]].concat(),
    );
    let report: Value = serde_json::from_str(&succeeded(&output)).expect("JSON");
    let took_part = report["allocators"].as_array().expect("a list");
    let missing = report["missing"].as_array().expect("a list");
    for (name, file) in [
        ("jemalloc", "libjemalloc.so.2"),
        ("tcmalloc", "libtcmalloc_minimal.so.4"),
        ("mimalloc", "libmimalloc.so.2"),
        ("tbbmalloc", "libtbbmalloc_proxy.so.2"),
    ] {
        let served_by = took_part.iter().find(|a| a["name"] == name).map(|a| a["served_by"].to_string());
        match served_by {
            Some(object) => assert!(object.contains(file), "{name} is served by {object}"),
            None => assert!(missing.iter().any(|m| m["name"] == name), "{name} is neither there nor missing"),
        }
    }
}

#[test]
fn a_library_that_does_not_load_is_no_silent_glibc() {
    let directory = private();
    let file = directory.path().join("libnothing.so");
    fs::write(&file, "no library").expect("a file");
    let library = format!("nothing={}", file.display());
    let said = refused(&["--library", &library, "--allocators", "nothing", "--workload", "churn"], 1);
    assert!(said.starts_with("stormglass: nothing: malloc is served by "), "{said}");
    assert!(said.contains("libnothing.so: the library was not loaded"), "{said}");
}

#[test]
fn what_cannot_be_compared_is_a_sentence() {
    for (args, sentence) in [
        (
            &["--library", "x=/nowhere/libx.so"][..],
            "--library x names /nowhere/libx.so, and there is no such file",
        ),
        (&["--allocators", "hoard"], "there is no allocator `hoard`; here are "),
        (&["--baseline", "hoard"], "--baseline hoard takes no part; those that do are "),
        (&["--workload", "churn", "--chunks", "0"], "--chunks 0 is out of range"),
        (&["--workload", "large", "--max", "5000000"], "--max 5000000 is out of range"),
    ] {
        let said = refused(args, 2);
        assert!(said.starts_with(&format!("stormglass: {sentence}")), "{said}");
    }
    assert!(refused(&["--library", "x"], 2).contains("--help"));
}

#[test]
fn an_allocator_that_is_not_there_is_told_with_the_way_to_it() {
    let directory = private();
    let output =
        compare(directory.path(), &[&["--workload", "churn", "--threads", "1"], &SHORT[..]].concat());
    let printed = succeeded(&output);
    let said = String::from_utf8_lossy(&output.stderr);
    for line in printed.lines().filter(|line| line.contains(" took no part: ")) {
        assert!(line.contains("apt install") || line.contains("cargo build"), "{line}");
    }
    assert!(said.contains("stormglass: about "), "{said}");
    assert!(printed.contains("churn, 1 thread, 2 x 0.02 s\n"), "{printed}");
}
