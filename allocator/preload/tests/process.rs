//! Programs with threads, forks and libraries; before main and after it; at the end of memory. Each scene with the
//! check and without.

mod common;

use common::{Program, succeeds};

fn scene(name: &str) {
    let program = Program::c("tests/c/process.c");
    for check in ["0", "1"] {
        let told = succeeds(program.under().arg(name).env("STORMGLASS_CHECK", check));
        assert_eq!(told, "all of it\n", "{name}, check {check}");
    }
}

#[test]
fn threads_that_come_and_go_leave_nothing() {
    scene("threads");
}

#[test]
fn a_child_of_a_fork_is_whole() {
    scene("forks");
}

#[test]
fn libraries_come_and_go() {
    scene("libraries");
}

#[test]
fn descriptors_are_the_programs_alone() {
    scene("descriptors");
    // Without standard input from the start.
    let program = Program::c("tests/c/process.c");
    let mut shell = common::under("sh");
    shell.args(["-c", "exec \"$0\" descriptors <&-"]).arg(program.path());
    assert_eq!(succeeds(&mut shell), "all of it\n");
}

#[test]
fn signals_come_at_any_time() {
    scene("interrupted");
}

#[test]
fn a_limit_of_the_system_or_of_the_user_is_an_answer() {
    let program = Program::c("tests/c/process.c");
    let ours = program.under().arg("no-memory").env("STORMGLASS_LIMIT", "200M").output().expect("it starts");
    assert!(ours.status.success(), "{}", common::said(&ours));
    // In KiB, by the shell; the program and its libraries are in it.
    let mut shell = common::under("sh");
    shell.args(["-c", "ulimit -v 1000000; exec \"$0\" no-memory"]).arg(program.path());
    assert_eq!(succeeds(&mut shell), "all of it\n");
}
