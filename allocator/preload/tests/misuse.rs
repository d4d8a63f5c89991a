//! Each kind of misuse ends the process that commits it, and only that, with one line that says what was done to which
//! address: always under `STORMGLASS_CHECK=1`, and without it where it costs nothing.

mod common;

use std::os::unix::process::ExitStatusExt as _;
use std::process::Output;

use common::{Program, said};

const ABORT: i32 = 6;

fn misuse(program: &Program, kind: &str, size: usize, check: bool) -> Output {
    let mut command = program.under();
    command.args([kind, &size.to_string()]);
    command.env_remove("STORMGLASS_CHECK");
    if check {
        command.env("STORMGLASS_CHECK", "1");
    }
    command.output().expect("it starts")
}

/// The address that the program said last: the one that it misused.
fn address(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).lines().last().expect("an address").to_owned()
}

/// Small, mid, and large.
const SIZES: [usize; 4] = [100, 3000, 30_000, 300_000];

#[test]
fn with_the_check_every_kind_is_found_and_named() {
    let program = Program::c("tests/c/misuse.c");
    for size in SIZES {
        for (kind, words) in [
            ("double-free", "was freed twice"),
            ("double-free-by-another", "was freed twice"),
            ("double-free-late", "was freed twice"),
            ("foreign", "which is no block"),
            ("foreign-low", "which is no block"),
            ("foreign-high", "which is no block"),
            ("foreign-realloc", "realloc of"),
            ("interior", "lies 8 bytes inside the block"),
            ("interior-aligned", "lies 16 bytes inside the block"),
            ("overrun-one", &format!("was written past its {size} bytes: byte {size} has changed")),
            ("overrun-realloc", &format!("byte {} has changed", size + 3)),
            ("write-after-free", &format!("was written after its free: byte {} has changed", size / 2)),
            ("write-after-free-many", "was written after its free: byte 0 has changed"),
            ("realloc-after-free", "which was freed"),
            ("size-after-free", "malloc_usable_size of"),
        ] {
            // Of a large block the allocator knows the start alone.
            let words =
                if kind.starts_with("interior") && size > 32 << 10 { "which is no block" } else { words };
            let output = misuse(&program, kind, size, true);
            let said = said(&output);
            assert_eq!(output.status.signal(), Some(ABORT), "{kind} {size}: {} {said}", output.status);
            assert!(said.starts_with("stormglass: ") && said.contains(words), "{kind} {size}: {said}");
            assert!(said.contains(&address(&output)), "{kind} {size}: {said}");
            assert!(said.contains("thread "), "{kind} {size}: {said}");
            assert!(
                said.contains("(class ") && said.contains("page ") || said.contains("which is no block"),
                "{kind} {size}: {said}"
            );
            assert_eq!(said.lines().count(), 1, "{kind} {size}: {said}");
        }
    }
}

#[test]
fn an_overrun_that_leaves_nothing_of_the_seal_is_found() {
    let program = Program::c("tests/c/misuse.c");
    for size in [16, 100] {
        let output = misuse(&program, "overrun-far", size, true);
        assert_eq!(output.status.signal(), Some(ABORT), "{size}: {}", said(&output));
        assert!(said(&output).contains(&address(&output)), "{}", said(&output));
    }
}

#[test]
fn without_the_check_what_costs_nothing_is_found() {
    let program = Program::c("tests/c/misuse.c");
    for size in SIZES {
        for kind in ["double-free", "foreign", "foreign-low", "foreign-high", "foreign-realloc", "interior"] {
            let output = misuse(&program, kind, size, false);
            let said = said(&output);
            assert_eq!(output.status.signal(), Some(ABORT), "{kind} {size}: {} {said}", output.status);
            assert!(said.starts_with("stormglass: "), "{kind} {size}: {said}");
            assert!(kind == "double-free" || said.contains(&address(&output)), "{kind} {size}: {said}");
            assert_eq!(said.lines().count(), 1, "{kind} {size}: {said}");
        }
    }
}

#[test]
fn a_program_without_fault_is_left_alone() {
    let program = Program::c("tests/c/misuse.c");
    for check in [false, true] {
        for size in SIZES {
            let output = misuse(&program, "none", size, check);
            assert!(output.status.success(), "{size} {check}: {}", said(&output));
            assert_eq!(said(&output), "", "{size} {check}");
        }
    }
}

#[test]
fn every_function_keeps_its_contract_under_the_check() {
    let program = Program::c_linked("tests/c/standard.c");
    assert_eq!(common::succeeds(program.under().env("STORMGLASS_CHECK", "1")), "all of it\n");
}
