//! Where our own library lies, and which libraries the loader can be told of.
//!
//! Invariant: whoever preloads, finds it by this: `run`, `compare`, `check` and `doctor` speak of the same file.

use std::env;
use std::path::{Path, PathBuf};

/// File name of our library.
pub const NAME: &str = "libstormglass.so";
/// The variable that says where it is.
pub const VARIABLE: &str = "STORMGLASS_LIBRARY";

/// What [`VARIABLE`] names.
pub fn named() -> Option<PathBuf> {
    env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Our library: what `named` says, or what lies by this program; `None` if nothing does.
///
/// # Errors
/// A sentence on one that was named and is not there, or that cannot be preloaded.
pub fn find(named: Option<&Path>, program: &Path) -> Result<Option<PathBuf>, String> {
    if let Some(path) = named {
        return loadable(VARIABLE, path).map(Some);
    }
    let found = places(program).into_iter().find(|path| path.is_file());
    found.map(|path| loadable(NAME, &path)).transpose()
}

/// Where our library lies by a program: beside it, where cargo puts it; in `../lib`, where packages do; in `../release`, for a
/// program of another profile.
pub fn places(program: &Path) -> Vec<PathBuf> {
    let folder = program.parent().unwrap_or(Path::new("/"));
    let mut places = vec![folder.join(NAME)];
    if let Some(above) = folder.parent() {
        places.extend([above.join("lib").join(NAME), above.join("release").join(NAME)]);
    }
    places
}

/// A library's path, as the loader can be told of it: absolute, and of one word, because the loader splits its list at
/// spaces and colons and knows no quotes.
///
/// # Errors
/// A sentence that says who named it and what is wrong.
pub fn loadable(who: &str, path: &Path) -> Result<PathBuf, String> {
    let shown = path.display();
    let Some(absolute) = std::path::absolute(path).ok().filter(|path| path.is_file()) else {
        return Err(format!("{who} names {shown}, and there is no such file"));
    };
    if absolute.as_os_str().as_encoded_bytes().iter().any(|byte| b" :\t\n".contains(byte)) {
        return Err(format!(
            "{who} names {shown}, and the loader takes a space or a colon in a path for its end: copy or link the library to a \
             path without"
        ));
    }
    Ok(absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_for_beside_the_program_and_where_packages_put_it() {
        let places = places(Path::new("/opt/stormglass/bin/stormglass"));
        let wanted =
            ["bin", "lib", "release"].map(|folder| format!("/opt/stormglass/{folder}/libstormglass.so"));
        assert_eq!(places, wanted.map(PathBuf::from));
    }

    #[test]
    fn a_path_that_the_loader_would_split_is_refused() {
        let folder = env::temp_dir().join(format!("stormglass-library-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        for (name, fits) in [("my library.so", false), ("my:library.so", false), ("my_library.so", true)] {
            std::fs::write(folder.join(name), "").expect("a file");
            assert_eq!(loadable("it", &folder.join(name)).is_ok(), fits, "{name}");
        }
        std::fs::remove_dir_all(&folder).expect("ours");
        let gone = loadable("it", &folder.join("my_library.so")).expect_err("not there");
        assert!(gone.starts_with("it names ") && gone.ends_with("and there is no such file"), "{gone}");
    }
}
