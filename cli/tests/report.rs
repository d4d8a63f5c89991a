//! Whole reports, as short as can be: the files are there and agree, whatever the numbers are.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::private;
use serde_json::Value;

const SHORT: [&str; 9] = [
    "--no-simulation",
    "--seconds",
    "0.05",
    "--rounds",
    "2",
    "--threads",
    "1,2",
    "--designs",
    "mutex,lockfree-walk",
];

fn command(segments: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stormglass"));
    command.arg("report").args(args).env("STORMGLASS_DIR", segments).current_dir(segments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(segments: &Path, args: &[&str]) -> Output {
    command(segments, args).output().expect("the program starts")
}

/// Runs, expects to be refused, and returns the sentence.
fn refused(segments: &Path, args: &[&str], code: i32) -> String {
    let output = run(segments, args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(output.stdout.is_empty() && !said.contains("panicked"), "{said}");
    said
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn a_report_is_three_files_and_is_written_again_as_it_was() {
    let directory = private();
    let first = directory.path().join("out");
    fs::create_dir(&first).expect("a directory");
    fs::write(first.join("report.html"), "an earlier report").expect("a file");
    let output = run(directory.path(), &[&SHORT[..], &["-o", "out"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.starts_with("stormglass: about ") && said.contains("12 runs of 2 designs"), "{said}");
    let told = String::from_utf8(output.stdout).expect("text");
    assert!(told.contains("cannot tell here: ") && told.contains("out/report.html"), "{told}");

    let json: Value = serde_json::from_str(&read(&first.join("report.json"))).expect("JSON");
    assert_eq!(json["format"], 1);
    assert_eq!(json["conditions"]["finished_runs"], 12);
    assert_eq!(json["conditions"]["interrupted"], false);
    assert_eq!(json["report"]["tables"].as_array().map(Vec::len), Some(3), "larson 1 and 2, storm 2");
    let round = &json["report"]["tables"][2]["rows"][1]["rounds"][1];
    assert!(round["ops_per_second"].as_f64() > Some(0.0), "{round}");
    assert!(round["measures"]["attempts_per_batch"].as_f64() > Some(0.0), "{round}");
    let claims = json["claims"].as_array().expect("claims");
    assert!(
        claims.iter().all(|c| c["verdict"] == "cannot tell here"),
        "two rounds decide nothing, nor does a busy machine"
    );
    assert!(claims.iter().any(|c| c["why"].as_str().is_some_and(|w| w.contains("a verdict takes"))));
    let page = read(&first.join("report.html"));
    assert!(page.ends_with("</html>\n") && !page.contains("an earlier report"));
    assert_eq!(fs::read_dir(&first).expect("a directory").count(), 3, "no draft is left");

    let output = run(directory.path(), &["--from", "out/report.json", "--output", "again"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let second = directory.path().join("again");
    assert_eq!(read(&second.join("report.html")), page);
    assert_eq!(read(&second.join("report.md")), read(&first.join("report.md")));
    assert!(!second.join("report.json").exists());
}

#[test]
fn an_interrupt_keeps_and_reports_what_was_finished() {
    let directory = private();
    let args = ["--quick", "--designs", "mutex,lockfree-walk", "--rounds", "100", "-o", "out"];
    let mut child = command(directory.path(), &args).spawn().expect("it starts");
    let mut progress = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.starts_with("[  4/") {
        line.clear();
        assert_ne!(progress.read_line(&mut line).expect("text"), 0, "it ended early");
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill is there").success());
    let mut rest = String::new();
    progress.read_to_string(&mut rest).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{rest}");
    let page = read(&directory.path().join("out/report.html"));
    assert!(page.contains("This report was interrupted: it holds the 3 of 800 planned runs"), "{page}");
    assert!(page.contains("stopped after 3 of 800 runs"));
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_is_measured() {
    let directory = private();
    fs::write(directory.path().join("file"), "").expect("a file");
    for place in ["file", "file/below"] {
        let said = refused(directory.path(), &["-o", place], 1);
        assert!(said.starts_with("stormglass: the report cannot be written to file"), "{said}");
        assert!(said.contains("--output") && said.lines().count() == 1, "{said}");
    }
    fs::create_dir_all(directory.path().join("out/report.md")).expect("directories");
    let said = refused(directory.path(), &["-o", "out"], 1);
    assert!(said.contains("report.md is a directory"), "{said}");
}

#[test]
fn what_is_impossible_is_refused() {
    let directory = private();
    for (args, code, sentence) in [
        (&["--threads", "0"][..], 2, "--threads 0 is out of range: it takes 1 to 64"),
        (&["--threads", "1,65"], 2, "--threads 65 is out of range"),
        (&["--rounds", "0"], 2, "--rounds 0 is out of range"),
        (&["--designs", "mutes"], 2, "there is no design `mutes`"),
        (&["--from", "a.json", "--quick"], 2, "cannot be used with"),
        (&["--from", "missing.json"], 1, "missing.json cannot be read"),
    ] {
        let said = refused(directory.path(), args, code);
        assert!(said.contains(sentence), "{said}");
    }
    assert!(
        !directory.path().join("stormglass-report").exists(),
        "nothing is made for a report that is none"
    );
    fs::write(directory.path().join("other.json"), "{\"format\": 9}").expect("a file");
    let said = refused(directory.path(), &["--from", "other.json"], 1);
    assert!(said.contains("other.json speaks report format 9, and this stormglass reads 1"), "{said}");
}

#[test]
fn a_simulation_is_called_one_and_its_lack_is_said() {
    let there =
        Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success());
    let directory = private();
    let args = ["--seconds", "0.05", "--rounds", "1", "--threads", "1,2", "--designs", "mutex", "-o", "out"];
    let output = run(directory.path(), &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = read(&directory.path().join("out/report.md"));
    let json: Value = serde_json::from_str(&read(&directory.path().join("out/report.json"))).expect("JSON");
    let why = json["simulation"]["not"].as_str().unwrap_or_default();
    if why.contains("too busy") {
        eprintln!("skipped: {why}");
    } else if there {
        let row = &json["simulation"]["run"]["rows"][0];
        assert_eq!(row["design"], "mutex", "{}", json["simulation"]);
        assert!(row["instructions"].as_f64() > Some(1.0), "{row}");
        assert!(text.contains("Simulated, not measured"), "{text}");
    } else {
        assert_eq!(json["simulation"]["not"], "valgrind is not installed");
        assert!(text.contains("Simulated caches: not available here"), "{text}");
    }
}
