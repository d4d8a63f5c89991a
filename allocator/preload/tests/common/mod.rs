//! What the tests of the library share: it, built; C programs, compiled; and both run together.
//!
//! Cargo does not build a `cdylib` for the tests of its package, because they cannot link it; so they ask it to.

#![allow(dead_code)] // Each test binary uses a part.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

/// The directory of this package.
pub(crate) const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// The library, as the profile of these tests has it.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
        let tests = std::env::current_exe().expect("a test has a file");
        // target/PROFILE/deps/TEST
        let target = tests.ancestors().nth(2).expect("in a target directory");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "stormglass-preload", "--manifest-path"]);
        build.arg(Path::new(PACKAGE).join("Cargo.toml"));
        build.arg("--target-dir").arg(target.parent().expect("in a target directory"));
        if target.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the library is not built");
        target.join("libstormglass.so")
    });
    &LIBRARY
}

/// A C program of `tests/c` or `examples`, compiled; gone with the directory.
pub(crate) struct Program {
    place: tempfile::TempDir,
    binary: PathBuf,
}

impl Program {
    /// Compiles with `cc`, which Rust needs as its linker, so that it is there.
    pub(crate) fn c(source: &str) -> Program {
        Program::compile("cc", source, &["-std=gnu11"], &[])
    }

    /// Compiles a program that is linked against the library: it calls what no other library has.
    pub(crate) fn c_linked(source: &str) -> Program {
        Program::compile("cc", source, &["-std=gnu11"], &[library()])
    }

    /// Compiles with the flags and the libraries that a test needs besides.
    pub(crate) fn compile(compiler: &str, source: &str, flags: &[&str], libraries: &[&Path]) -> Program {
        let place = tempfile::tempdir().expect("a directory");
        let binary = place.path().join("program");
        let output = Command::new(compiler)
            // Without builtins: the compiler may drop a malloc whose block is not used.
            .args(["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fno-builtin", "-pthread"])
            .arg("-I")
            .arg(Path::new(PACKAGE).join("include"))
            .arg("-o")
            .arg(&binary)
            .args(flags)
            .arg(Path::new(PACKAGE).join(source))
            .args(libraries)
            .output()
            .expect("a compiler");
        assert!(output.status.success(), "{source}: {}", String::from_utf8_lossy(&output.stderr));
        Program { place, binary }
    }

    /// The program under the library, with segments of its own.
    pub(crate) fn under(&self) -> Command {
        let mut command = under(&self.binary);
        // A process that aborts leaves its segment behind: not among the user's.
        command.env("STORMGLASS_DIR", self.place.path().join("segments"));
        command.stdin(Stdio::null());
        command
    }

    /// Its file.
    pub(crate) fn path(&self) -> &Path {
        &self.binary
    }

    /// The program under nothing.
    pub(crate) fn alone(&self) -> Command {
        Command::new(&self.binary)
    }
}

/// A program under the library.
pub(crate) fn under(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("LD_PRELOAD", library());
    command
}

/// Runs it, and expects success and nothing on standard error; returns what it printed.
pub(crate) fn succeeds(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let said = said(&output);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    assert_eq!(said, "", "{command:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What was said on standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
