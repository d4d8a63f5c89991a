//! Each function of C and C++ keeps its contract, in programs that were not linked for it.

mod common;

use std::os::unix::process::ExitStatusExt as _;

use common::{Program, said, succeeds};

#[test]
fn every_function_keeps_its_contract() {
    assert_eq!(succeeds(&mut Program::c_linked("tests/c/standard.c").under()), "all of it\n");
}

#[test]
fn operators_work_without_a_cxx_library_and_abort_where_they_cannot_throw() {
    let program = Program::c_linked("tests/c/operators.c");
    assert_eq!(succeeds(&mut program.under()), "all of it\n");
    let output = program.under().arg("throw").output().expect("it starts");
    assert_eq!(output.status.signal(), Some(6), "{}", said(&output));
    assert_eq!(
        said(&output),
        format!(
            "stormglass: operator new: no memory for {} bytes, and no C++ library to throw std::bad_alloc\n",
            1_u64 << 63
        )
    );
}

#[test]
fn the_example_of_the_header_runs_with_and_without_the_library() {
    let program = Program::c("examples/watch.c");
    assert_eq!(succeeds(&mut program.alone()), "not under stormglass\n");
    let told = succeeds(&mut program.under());
    assert!(told.starts_with("stormglass, interface 1\nsegment: "), "{told}");
    assert!(told.contains("\"live_bytes\":"), "{told}");
}

#[test]
#[ignore = "takes a C++ compiler: e2e/programs installs one and runs it"]
fn cxx_programs_allocate_throw_and_use_their_new_handler() {
    for flags in [&["-std=c++17"][..], &["-std=c++17", "-static-libstdc++"]] {
        let program = Program::compile("c++", "tests/c/operators.cpp", flags, &[]);
        assert_eq!(succeeds(&mut program.under()), "all of it\n", "{flags:?}");
    }
}

#[test]
#[ignore = "takes a C++ compiler: e2e/programs installs one and runs it"]
fn the_header_is_cxx_too() {
    let program = Program::compile("c++", "examples/watch.c", &["-x", "c++", "-std=c++17"], &[]);
    assert!(succeeds(&mut program.under()).starts_with("stormglass, interface 1\n"));
}
