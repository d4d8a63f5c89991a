//! Where the library is, and how the loader is told of it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

const NAME: &str = "libstormglass.so";
const VARIABLE: &str = "STORMGLASS_LIBRARY";

/// The library: what `STORMGLASS_LIBRARY` names, or what lies beside this program (where cargo puts it) or in `../lib`
/// (where packages do).
///
/// # Errors
/// If it is not there, with where it was looked for and how to get it.
pub(crate) fn find() -> Result<PathBuf, Failure> {
    if let Some(named) = env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        let path = PathBuf::from(named);
        let absolute = std::path::absolute(&path).ok().filter(|path| path.is_file());
        let missing = || format!("{VARIABLE} names {}, and there is no such file", path.display());
        return loadable(absolute.ok_or_else(|| Failure::failed(missing()))?);
    }
    let program = env::current_exe()
        .map_err(|e| Failure::failed(format!("this program cannot find itself: {e}; set {VARIABLE}")))?;
    let places = places(&program);
    let found = places.iter().find(|path| path.is_file()).cloned().ok_or_else(|| missing(&places))?;
    loadable(found)
}

fn places(program: &Path) -> Vec<PathBuf> {
    let folder = program.parent().unwrap_or(Path::new("/"));
    let mut places = vec![folder.join(NAME)];
    places.extend(folder.parent().map(|above| above.join("lib").join(NAME)));
    places
}

fn missing(places: &[PathBuf]) -> Failure {
    let tried: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
    Failure::failed(format!(
        "there is no {NAME} (looked for {}): `cargo build --release` makes it beside the program; or name one with {VARIABLE}",
        tried.join(" and ")
    ))
}

/// The loader splits its list at spaces and colons, and knows no quotes.
fn loadable(path: PathBuf) -> Result<PathBuf, Failure> {
    if path.as_os_str().as_bytes().iter().any(|byte| b" :\t\n".contains(byte)) {
        return Err(Failure::failed(format!(
            "{} cannot be preloaded, because the loader takes a space or a colon in a path for its end: copy or link the \
             library to a path without, and name that with {VARIABLE}",
            path.display()
        )));
    }
    Ok(path)
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
    fn it_is_looked_for_beside_the_program_and_in_lib() {
        let places = places(Path::new("/opt/stormglass/bin/stormglass"));
        assert_eq!(
            places,
            [
                Path::new("/opt/stormglass/bin/libstormglass.so"),
                Path::new("/opt/stormglass/lib/libstormglass.so")
            ]
        );
    }

    #[test]
    fn what_was_preloaded_stays_behind_ours() {
        let list = |before: Option<&str>| preload(Path::new("/a.so"), before.map(OsStr::new));
        assert_eq!(list(None), "/a.so");
        assert_eq!(list(Some("")), "/a.so");
        assert_eq!(list(Some("/b.so /c.so")), "/a.so:/b.so /c.so");
    }

    #[test]
    fn a_path_that_the_loader_would_split_is_refused() {
        assert!(loadable(PathBuf::from("/my programs/libstormglass.so")).is_err());
        assert!(loadable(PathBuf::from("/my:programs/libstormglass.so")).is_err());
        assert!(loadable(PathBuf::from("/my_programs/libstormglass.so")).is_ok());
    }
}
