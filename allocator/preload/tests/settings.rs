//! What the environment says: designs, and places where no segment can be made.

mod common;

use common::{Program, said, succeeds};
use stormglass_allocator::StrategyId;

#[test]
fn every_design_keeps_the_contract_of_every_function() {
    let program = Program::c_linked("tests/c/standard.c");
    for design in StrategyId::ALL {
        let told = succeeds(program.under().env("STORMGLASS_STRATEGY", design.name()));
        assert_eq!(told, "all of it\n", "{design}");
    }
}

#[test]
fn every_design_survives_forks() {
    let program = Program::c("tests/c/process.c");
    for design in [StrategyId::Mutex, StrategyId::LockfreeWalk, StrategyId::Depot] {
        let told = succeeds(program.under().arg("forks").env("STORMGLASS_STRATEGY", design.name()));
        assert_eq!(told, "all of it\n", "{design}");
    }
}

#[test]
fn an_unknown_design_is_said_in_one_line_and_the_program_runs() {
    let program = Program::c("examples/watch.c");
    let output = program.under().env("STORMGLASS_STRATEGY", "pages").output().expect("it starts");
    assert!(output.status.success(), "{}", said(&output));
    let said = said(&output);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("stormglass: ") && said.contains("=pages "), "{said}");
    for design in StrategyId::ALL {
        assert!(said.contains(design.name()), "{design}: {said}");
    }
}

#[test]
fn where_no_segment_can_be_made_the_program_runs_without_a_word() {
    let program = Program::c_linked("tests/c/standard.c");
    for place in ["/nowhere/at/all", "/proc", "/dev/null", ""] {
        assert_eq!(succeeds(program.under().env("STORMGLASS_DIR", place)), "all of it\n", "{place}");
    }
    let example = Program::c("examples/watch.c");
    let told = succeeds(example.under().env("STORMGLASS_DIR", "/nowhere/at/all"));
    assert!(told.contains("\nsegment: none\n") && told.contains("\"segment\":null"), "{told}");
}

#[test]
fn a_program_without_environment_runs() {
    let program = Program::c_linked("tests/c/standard.c");
    // The loader must still be told; nothing else is.
    let mut command = program.under();
    command.env_clear().env("LD_PRELOAD", common::library());
    assert_eq!(succeeds(&mut command), "all of it\n");
}

#[test]
fn a_program_finds_its_own_segment() {
    let example = Program::c("examples/watch.c");
    let mut command = example.under();
    command.env("STORMGLASS_KEEP", "1");
    let told = succeeds(&mut command);
    let path = told.lines().find_map(|line| line.strip_prefix("segment: ")).expect("a line");
    assert!(std::path::Path::new(path).is_file(), "{told}");
    assert!(told.contains(&format!("\"segment\":\"{path}\"")), "{told}");
    // Without, a normal end leaves nothing.
    let told = succeeds(&mut example.under());
    let path = told.lines().find_map(|line| line.strip_prefix("segment: ")).expect("a line");
    assert!(
        std::path::Path::new(path).extension().is_some_and(|e| e == "seg")
            && !std::path::Path::new(path).exists(),
        "{told}"
    );
}
