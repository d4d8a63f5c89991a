//! The library, and how the loader is told of it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use stormglass_bench::library::{self, NAME, VARIABLE};

use crate::failure::Failure;

/// The library: what `STORMGLASS_LIBRARY` names, or what lies by this program.
///
/// # Errors
/// If it is not there, with where it was looked for and how to get it.
pub(crate) fn find() -> Result<PathBuf, Failure> {
    let program = env::current_exe()
        .map_err(|e| Failure::failed(format!("this program cannot find itself: {e}; set {VARIABLE}")))?;
    let found = library::find(library::named().as_deref(), &program).map_err(Failure::failed)?;
    found.ok_or_else(|| missing(&library::places(&program)))
}

fn missing(places: &[PathBuf]) -> Failure {
    let tried: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
    Failure::failed(format!(
        "there is no {NAME} (looked for {}): `cargo build --release` makes it beside the program; or name one with {VARIABLE}",
        tried.join(", ")
    ))
}

/// The value of `LD_PRELOAD`: ours first, because the first `malloc` is the one that counts, then what was there.
pub(crate) fn preload(library: &Path, before: Option<&OsStr>) -> OsString {
    let mut list = library.as_os_str().to_owned();
    if let Some(before) = before.filter(|before| !before.is_empty()) {
        list.push(":");
        list.push(before);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_preloaded_stays_behind_ours() {
        let list = |before: Option<&str>| preload(Path::new("/a.so"), before.map(OsStr::new));
        assert_eq!(list(None), "/a.so");
        assert_eq!(list(Some("")), "/a.so");
        assert_eq!(list(Some("/b.so /c.so")), "/a.so:/b.so /c.so");
    }
}
