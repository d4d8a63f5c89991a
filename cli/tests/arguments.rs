//! The program as a user meets it: what is impossible is refused in one sentence, before anything runs.

mod common;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::private;

fn stormglass(directory: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stormglass"))
        .args(args)
        .env("STORMGLASS_DIR", directory)
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

/// Runs `args`, expects `code`, and returns what was said on standard error.
fn refused(args: &[&str], code: i32) -> String {
    let directory = private();
    let output = stormglass(directory.path(), args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(output.stdout.is_empty(), "{args:?} printed a result");
    assert!(!said.contains("panicked") && !said.contains("backtrace"), "{said}");
    said
}

#[test]
fn an_unknown_design_lists_the_known() {
    let said = refused(&["bench", "--designs", "mutex,lockfre"], 2);
    assert!(said.contains("there is no design `lockfre`; the designs are mutex, lockfree-walk"), "{said}");
}

#[test]
fn an_unknown_workload_lists_the_known() {
    let said = refused(&["bench", "--workload", "larsen"], 2);
    assert!(said.contains("there is no workload `larsen`; the workloads are storm, larson"), "{said}");
}

#[test]
fn values_out_of_range_name_their_option_and_its_limits() {
    for (args, sentence) in [
        (&["bench", "--threads", "0"][..], "stormglass: --threads 0 is out of range: it takes 1 to 64\n"),
        (&["watch", "--threads", "65"], "stormglass: --threads 65 is out of range: it takes 1 to 64\n"),
        (&["--rounds", "0"], "stormglass: --rounds 0 is out of range: it takes 1 to 1000\n"),
        (&["bench", "--seconds", "0"], "stormglass: --seconds 0 is out of range: it takes 0.01 to 3600\n"),
        (
            &["bench", "--max", "40000"],
            "stormglass: --max 40000 is out of range: it takes --min (2048) to 32768 bytes\n",
        ),
        (&["bench", "--min", "0"], "stormglass: --min 0 is out of range: it takes 2 to 32768 bytes\n"),
    ] {
        assert_eq!(refused(args, 2), sentence);
    }
}

#[test]
fn a_delay_that_cannot_be_injected_is_refused_before_anything_runs() {
    let said = refused(&["bench", "--inject", "class=8192,shard=3,delay=500"], 2);
    assert!(said.contains("the delay `500` has no unit of time: take ns, us or ms"), "{said}");
    let said = refused(&["watch", "--inject", "class=1000,delay=1us"], 2);
    assert!(
        said.contains("there is no class `1000`; the classes are 2048, 3072, 5120, 8192, 12288"),
        "{said}"
    );
    let said = refused(&["bench", "--inject", "class=8192,shard=2,delay=1us"], 2);
    assert!(said.contains("would never be felt: storm touches only class 8192 of shard 3"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn one_thread_is_no_storm() {
    let said = refused(&["bench", "--threads", "1"], 2);
    assert!(said.contains("--workload larson"), "{said}");
}

#[test]
fn a_port_in_use_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    for command in ["watch", "serve"] {
        let said = refused(&[command, "--listen", &address], 1);
        assert!(said.starts_with("stormglass: ") && said.contains("--listen"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn no_shared_memory_says_what_to_set() {
    let nowhere = private();
    let file = nowhere.path().join("file");
    std::fs::write(&file, "").expect("a file");
    for directory in [nowhere.path().join("missing/below"), file] {
        let output = stormglass(&directory, &["bench", "--seconds", "0.01"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("set STORMGLASS_DIR to a directory of your own on a tmpfs"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_host_of_another_machine_is_refused() {
    // 192.0.2.0/24 is reserved for documentation: no machine has it.
    let said = refused(&["serve", "--expose", "--listen", "192.0.2.1:7070"], 1);
    assert!(said.contains("not an address of this machine"), "{said}");
}

#[test]
fn other_machines_are_let_in_only_where_that_is_said() {
    for args in [&["serve", "--listen", "0.0.0.0:0"][..], &["watch", "--listen", "[::]:0", "--once"]] {
        let said = refused(args, 2);
        assert!(said.contains("say --expose") && said.contains("--token-file"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_secret_that_cannot_be_used_is_named_and_not_shown() {
    let place = private();
    let path = place.path().join("token");
    std::fs::write(&path, "hush").expect("written");
    let said =
        refused(&["serve", "--listen", "127.0.0.1:0", "--token-file", path.to_str().expect("text")], 2);
    assert!(said.contains("holds no token") && !said.contains("hush"), "{said}");
    let said = refused(&["serve", "--listen", "127.0.0.1:0", "--token-file", "/nowhere/token"], 2);
    assert!(said.contains("/nowhere/token cannot be read"), "{said}");
    let file = path.to_str().expect("text");
    let said = refused(&["serve", "--listen", "127.0.0.1:0", "--tls-cert", file, "--tls-key", file], 2);
    assert!(said.contains("cannot be used for TLS") && !said.contains("hush"), "{said}");
    let said = refused(&["serve", "--tls-cert", file], 2);
    assert!(said.contains("--tls-key"), "{said}");
}

#[test]
fn all_users_are_for_root() {
    let directory = private();
    // Root becomes nobody; whoever is nobody already stays so.
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--clear-groups", env!("CARGO_BIN_EXE_stormglass"), "serve"])
        .args(["--listen", "127.0.0.1:0", "--all-users"])
        .env("STORMGLASS_DIR", directory.path())
        .output();
    let Ok(output) = output else {
        println!("skipped: there is no setpriv");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if said.starts_with("setpriv:") {
        println!("skipped: only root can become another user, and that one must reach the program: {said}");
        return;
    }
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("only root can see the processes of all users"), "{said}");
}

#[test]
fn help_has_examples_and_hides_what_is_internal() {
    let directory = private();
    let output = stormglass(directory.path(), &["--help"]);
    let help = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success());
    for word in [
        "Examples:",
        "Designs:",
        "watch",
        "bench",
        "report",
        "serve",
        "--once",
        "STORMGLASS_DIR",
        "127.0.0.1:7070",
    ] {
        assert!(help.contains(word), "{word} is missing:\n{help}");
    }
    assert!(!help.contains("measure"), "{help}");
}
