//! `stormglass run` as whoever starts it meets it: streams, signals and exit codes are the program's.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

use common::private;

/// Builds the library beside the program, as `cargo build` does for users: the tests of a package build only its own.
fn program() -> &'static Path {
    static PROGRAM: LazyLock<&Path> = LazyLock::new(|| {
        let program = Path::new(env!("CARGO_BIN_EXE_stormglass"));
        let target = program.parent().expect("in a target directory");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "stormglass-preload", "--manifest-path"]);
        build.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"));
        build.arg("--target-dir").arg(target.parent().expect("in a target directory"));
        if target.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the library is not built");
        program
    });
    *PROGRAM
}

fn run(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg("run").args(args).env("STORMGLASS_DIR", directory).env_remove("STORMGLASS_LIBRARY");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().expect("kill is there").success());
}

/// Counts a signal for a second, and says how often it got it. A shell would not do: it takes two in a row for one.
const COUNTS: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static volatile sig_atomic_t n;
static void count(int signal) { (void)signal; n = n + 1; }
int main(int argc, char **argv) {
    (void)argc;
    signal(atoi(argv[1]), count);
    puts("ready");
    fflush(stdout);
    struct timespec left = {1, 0};
    while (nanosleep(&left, &left)) {}
    printf("got %d\n", (int)n);
    return 0;
}
"#;

/// A C program, compiled into a directory; `cc` is Rust's linker, so it is there.
fn compiled(place: &Path, source: &str, flags: &[&str]) -> PathBuf {
    let (file, binary) = (place.join("program.c"), place.join("program"));
    std::fs::write(&file, source).expect("written");
    let built =
        Command::new("cc").args(flags).arg(&file).arg("-o").arg(&binary).status().expect("cc is there");
    assert!(built.success());
    binary
}

fn wait_for(out: &mut impl BufRead, word: &str) -> String {
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        assert_ne!(out.read_line(&mut line).expect("text"), 0, "it ended before it said {word}");
    }
    line
}

#[test]
fn streams_arguments_and_exit_code_are_the_programs() {
    let place = private();
    let args = ["--no-page", "--", "sh", "-c", "cat; echo \"$1 $0\"; echo mine >&2; exit 7", "--check", "-x"];
    let mut child = run(place.path(), &args).stdin(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(b"from outside\n").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "from outside\n-x --check\n");
    assert!(
        said(&output).starts_with("mine\nstormglass: sh ended with exit code 7 after "),
        "{}",
        said(&output)
    );
    let left: Vec<_> = std::fs::read_dir(place.path()).expect("there").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn perf_is_handed_on_to_the_program() {
    let place = private();
    let output =
        run(place.path(), &["--no-page", "--perf", "--", "sh", "-c", "echo \"perf $STORMGLASS_PERF\""])
            .output()
            .expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "perf 1\n");
    assert!(said(&output).contains("only the slow paths are sampled"), "{}", said(&output));
}

#[test]
fn a_program_that_a_signal_ends_is_128_and_its_number() {
    let place = private();
    let output =
        run(place.path(), &["--no-page", "--", "sh", "-c", "kill -KILL $$"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(137), "{}", said(&output));
    assert!(said(&output).contains("sh was ended by signal 9"), "{}", said(&output));
}

#[test]
fn what_is_no_program_is_127_and_what_must_not_run_126() {
    let place = private();
    let file = place.path().join("no-program");
    std::fs::write(&file, "").expect("a file");
    for (name, code) in [("/nowhere/at/all", 127), (file.to_str().expect("text"), 126)] {
        let output = run(place.path(), &["--no-page", "--", name]).output().expect("it runs");
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(
            said(&output).starts_with(&format!("stormglass: {name} cannot be started: ")),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn a_mistyped_option_is_no_program() {
    let output = run(private().path(), &["--no-pag", "--", "/bin/true"]).output().expect("it starts");
    assert!(
        output.status.code() == Some(2) && said(&output).contains("no option `--no-pag`"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_signal_that_is_sent_to_it_arrives_once() {
    let place = private();
    let program = compiled(place.path(), COUNTS, &[]);
    for (name, number) in
        [("HUP", "1"), ("INT", "2"), ("QUIT", "3"), ("USR1", "10"), ("USR2", "12"), ("TERM", "15")]
    {
        let args = ["--no-page", "--", program.to_str().expect("text"), number];
        let mut child = run(place.path(), &args).spawn().expect("it starts");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        wait_for(&mut out, "ready");
        signal(&child, name);
        assert_eq!(wait_for(&mut out, "got").trim(), "got 1", "{name}");
        assert!(child.wait().expect("it ends").success());
    }
}

#[test]
fn what_the_terminal_sends_to_the_group_arrives_once() {
    let place = private();
    let counts = compiled(place.path(), COUNTS, &[]);
    let command = format!("exec {} run --no-page -- {} 2", program().display(), counts.display());
    // A terminal of its own, whose Ctrl-C is a byte that we write.
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("STORMGLASS_DIR", place.path())
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script (util-linux) is there");
    let mut out = BufReader::new(terminal.stdout.take().expect("piped"));
    wait_for(&mut out, "ready");
    let mut keys = terminal.stdin.take().expect("piped");
    keys.write_all(&[3]).expect("a key");
    // The terminal echoes the key.
    assert_eq!(wait_for(&mut out, "got").trim().trim_start_matches("^C"), "got 1");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("text");
    assert!(terminal.wait().expect("it ends").success(), "{rest}");
    assert!(rest.contains("program ended with exit code 0"), "{rest}");
}

#[test]
fn the_page_is_there_while_the_program_runs() {
    let place = private();
    let args = ["--listen", "127.0.0.1:0", "--", "sh", "-c", "read -r line; echo \"$line\""];
    let mut child = run(place.path(), &args).stdin(Stdio::piped()).spawn().expect("it starts");
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    let line = wait_for(&mut said, "watch it at");
    let address = line
        .trim()
        .strip_prefix("stormglass: watch it at http://")
        .expect("an address")
        .trim_end_matches('/');
    let mut stream = TcpStream::connect(address).expect("the page is there");
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    child.stdin.take().expect("piped").write_all(b"enough\n").expect("it reads");
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("text");
    assert!(child.wait().expect("it ends").success(), "{rest}");
}

#[test]
fn without_a_library_it_says_how_to_get_one() {
    let place = private();
    let output = run(place.path(), &["--no-page", "--", "true"])
        .env("STORMGLASS_LIBRARY", "/nowhere/libstormglass.so")
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        said(&output),
        "stormglass: STORMGLASS_LIBRARY names /nowhere/libstormglass.so, and there is no such file\n"
    );
    // Alone in a directory, as it would be copied.
    let copy = place.path().join("stormglass");
    std::fs::copy(program(), &copy).expect("copied");
    let output = Command::new(copy)
        .args(["run", "--", "true"])
        .env("STORMGLASS_DIR", place.path())
        .env_remove("STORMGLASS_LIBRARY")
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("`cargo build --release` makes it beside the program"),
        "{}",
        said(&output)
    );
}

#[test]
fn the_summary_tells_memory_allocations_and_the_worst_place() {
    let place = private();
    // A program whose counts are known: storm goes to one shard. Its runs are children of it.
    let own = program().to_str().expect("text");
    let bench = ["bench", "--workload", "storm", "--designs", "mutex", "--seconds", "0.3", "--rounds", "2"];
    let output =
        run(place.path(), &[&["--no-page", "--", own][..], &bench].concat()).output().expect("it runs");
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    let line = |start: &str| {
        let found = said.lines().find(|line| line.trim_start().starts_with(start));
        found.unwrap_or_else(|| panic!("no {start}: {said}")).to_owned()
    };
    assert!(line("memory ").contains(" live at the peak, "), "{said}");
    assert!(line("allocations ").contains("% of those up to 32 KiB from the thread's ring"), "{said}");
    let contention = line("contention ");
    // Whether threads meet within half a second is chance; what is said of it is not.
    assert!(contention.contains(" at its worst place, class ") || contention.contains("none: "), "{said}");
    assert!(line("counted ").contains(" processes, "), "{said}");
}

#[test]
fn a_program_that_cannot_be_preloaded_is_told() {
    let place = private();
    let binary = compiled(place.path(), "int main(void) { return 3; }\n", &["-static"]);
    let output =
        run(place.path(), &["--no-page", "--", binary.to_str().expect("text")]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(
        said(&output).contains("no counts appeared") && said(&output).contains("static"),
        "{}",
        said(&output)
    );
}

#[test]
fn an_unknown_design_lists_the_known() {
    let place = private();
    let output = run(place.path(), &["--strategy", "pages", "--", "true"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("there is no design `pages`; the designs are mutex,"),
        "{}",
        said(&output)
    );
}
