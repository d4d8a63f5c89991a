//! The build without counters: where it lies, and how it is made.
//!
//! Invariant: it is a build of the same profile as this one, or the difference would be the compiler's.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::library::{NAME, loadable};

/// Name of the program.
const PROGRAM: &str = "stormglass";
/// The target directory of the other build, in that of this one.
const TARGET: &str = "uncounted";

/// This program and our library, without counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncounted {
    /// The program, for the mid pool.
    pub program: PathBuf,
    /// The library, for the allocator of every size.
    pub library: PathBuf,
}

impl Uncounted {
    /// The build in the folder that the user names, else where [`command`] puts it.
    ///
    /// # Errors
    /// A sentence that says what is missing and which command makes it.
    pub fn find(named: Option<&Path>, program: &Path) -> Result<Uncounted, String> {
        let folder = named.map_or_else(|| place(program), Path::to_owned);
        let found = Uncounted { program: folder.join(PROGRAM), library: folder.join(NAME) };
        for file in [&found.program, &found.library] {
            if !file.is_file() {
                return Err(format!(
                    "the build without counters is not there ({}): `{}` makes it in the project's directory, and --uncounted names \
                     the folder that has it elsewhere",
                    file.display(),
                    command(program)
                ));
            }
        }
        Ok(Uncounted { library: loadable("--uncounted", &found.library)?, ..found })
    }

    /// A sentence, if it is older than the library that it is compared with: then it may be of another source.
    pub fn stale(&self, counted: &Path, program: &Path) -> Option<String> {
        let made = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
        (made(&self.library)? < made(counted)?).then(|| {
            format!(
                "the build without counters is older than {}, and the difference may be that of two sources: `{}` makes it anew",
                counted.display(),
                command(program)
            )
        })
    }
}

/// What makes the build without counters of a program.
pub fn command(program: &Path) -> String {
    let profile = match profile(program) {
        "debug" => String::new(),
        "release" => " --release".to_owned(),
        other => format!(" --profile {other}"),
    };
    format!("cargo build{profile} --features uncounted --target-dir target/{TARGET}")
}

/// `target/release/stormglass` has it in `target/uncounted/release`.
fn place(program: &Path) -> PathBuf {
    let target = program.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    target.join(TARGET).join(profile(program))
}

/// Cargo names the folder after the profile. A program that lies elsewhere was installed, which is a release.
fn profile(program: &Path) -> &str {
    let folder = program.parent().and_then(Path::file_name).and_then(OsStr::to_str);
    folder.filter(|name| !["bin", "sbin"].contains(name)).unwrap_or("release")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_in_a_target_directory_of_its_own() {
        let here = |program: &str| (place(Path::new(program)), command(Path::new(program)));
        assert_eq!(
            here("/p/target/release/stormglass"),
            (
                PathBuf::from("/p/target/uncounted/release"),
                "cargo build --release --features uncounted --target-dir target/uncounted".to_owned()
            )
        );
        let (debug, words) = here("/p/target/debug/stormglass");
        assert!(debug.ends_with("uncounted/debug") && words.starts_with("cargo build --features"), "{words}");
        assert!(here("/usr/bin/stormglass").1.contains("--release"));
    }

    #[test]
    fn what_is_missing_is_said_with_the_command() {
        let folder = std::env::temp_dir().join(format!("stormglass-uncounted-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let program = Path::new("/p/target/release/stormglass");
        std::fs::write(folder.join(PROGRAM), "").expect("a file");
        let error = Uncounted::find(Some(&folder), program).expect_err("no library");
        assert!(error.contains(NAME) && error.contains(&command(program)), "{error}");
        std::fs::write(folder.join(NAME), "").expect("a file");
        let found = Uncounted::find(Some(&folder), program).expect("both are there");
        assert_eq!(found.library, folder.join(NAME));
        assert_eq!(found.stale(&found.library, program), None);
        std::fs::remove_dir_all(&folder).expect("ours");
        assert!(
            Uncounted::find(None, program).expect_err("nowhere").contains("/p/target/uncounted/release/")
        );
    }
}
