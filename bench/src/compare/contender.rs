//! The allocators that take part, and where they are found.
//!
//! Invariant: a contender is named for what really serves: a library for the file that is preloaded, which the child
//! checks (`verify.rs`); nothing that is missing is left out without a word.

use std::convert::Infallible;
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use stormglass_allocator::StrategyId;

use crate::library::{self, VARIABLE, loadable, named};

/// Name of our own library's contender.
pub const OURS: &str = "stormglass";
/// Names of the two contenders for which nothing is preloaded.
const GLIBC: &str = "glibc";
const LIMIT: &str = "limit";

/// What serves a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serving {
    /// The C library's own allocator: nothing is preloaded.
    Glibc,
    /// No allocator, but a bound for those that are.
    Limit,
    /// This library, preloaded.
    Library(PathBuf),
    /// Our own library, preloaded, with this design for the sizes of the mid pool.
    Design(PathBuf, StrategyId),
}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Serving::Glibc => f.write_str(GLIBC),
            Serving::Limit => f.write_str(LIMIT),
            Serving::Library(path) | Serving::Design(path, _) => path.display().fmt(f),
        }
    }
}

impl FromStr for Serving {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Serving, Infallible> {
        match text {
            GLIBC => Ok(Serving::Glibc),
            LIMIT => Ok(Serving::Limit),
            path => Ok(Serving::Library(path.into())),
        }
    }
}

/// One that takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contender {
    /// Its name in the report.
    pub name: String,
    /// What serves its runs.
    pub serving: Serving,
}

/// One that the user asked for by its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What to call it.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Named, String> {
        match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !path.is_empty() => {
                Ok(Named { name: name.to_owned(), path: path.into() })
            }
            _ => Err(format!("`{text}` is not NAME=PATH, such as mimalloc3=/usr/local/lib/libmimalloc.so.3")),
        }
    }
}

/// One that is known and not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Its name.
    pub name: String,
    /// How to get it, a sentence.
    pub hint: String,
}

/// A peer that Debian has.
struct Packaged {
    name: &'static str,
    file: &'static str,
    package: &'static str,
}

const PACKAGED: [Packaged; 4] = [
    Packaged { name: "jemalloc", file: "libjemalloc.so.2", package: "libjemalloc2" },
    Packaged { name: "tcmalloc", file: "libtcmalloc_minimal.so.4", package: "libtcmalloc-minimal4" },
    Packaged { name: "mimalloc", file: "libmimalloc.so.2", package: "libmimalloc2.0" },
    // The library whose `malloc` is that of libtbbmalloc.so.2.
    Packaged { name: "tbbmalloc", file: "libtbbmalloc_proxy.so.2", package: "libtbbmalloc2" },
];

/// Newer ones, which `bench/peers` builds from crates: their names, each that of its file.
const BUILT: [&str; 5] = ["jemalloc531", "google_tcmalloc", "mimalloc3", "snmalloc", "rpmalloc14"];
/// Where they are, from the folder that has the program's own: `target/release/stormglass`, `target/peers/release`.
const BUILT_FOLDER: &str = "peers/release";
/// What makes them.
const BUILD: &str =
    "`cargo build --release --manifest-path bench/peers/Cargo.toml --target-dir target/peers` makes it";

/// Where distributions put libraries: Debian by architecture, others not.
const FOLDERS: [&str; 5] =
    ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"];

/// Who is there and who is not.
#[derive(Clone, Debug, Default)]
pub struct Field {
    /// In the order of their turns.
    pub contenders: Vec<Contender>,
    /// Known, and not there.
    pub missing: Vec<Missing>,
}

impl Field {
    /// Looks around: ours, glibc, the packaged ones, the built ones, ours under each of `designs`, `further`, and the limit.
    ///
    /// # Errors
    /// A sentence on a library of `further`, or one that `STORMGLASS_LIBRARY` names, that is not there or cannot be preloaded; or on
    /// designs without our library.
    pub fn here(designs: &[StrategyId], further: &[Named]) -> Result<Field, String> {
        let program = env::current_exe().map_err(|e| format!("this program cannot find itself: {e}"))?;
        Field::find(named(), &program, &FOLDERS.map(Path::new), designs, further)
    }

    fn find(
        ours: Option<PathBuf>,
        program: &Path,
        folders: &[&Path],
        designs: &[StrategyId],
        further: &[Named],
    ) -> Result<Field, String> {
        let mut field = Field::default();
        let ours = library::find(ours.as_deref(), program)?;
        match &ours {
            Some(path) => field.add(OURS, Serving::Library(path.clone())),
            None => field.miss(
                OURS,
                format!("`cargo build --release -p stormglass-preload` makes it; or name it with {VARIABLE}"),
            ),
        }
        field.add(GLIBC, Serving::Glibc);
        for Packaged { name, file, package } in PACKAGED {
            match folders.iter().map(|folder| folder.join(file)).find(|path| path.is_file()) {
                Some(path) => field.add(name, Serving::Library(loadable(name, &path)?)),
                None => field.miss(name, format!("`apt install {package}` brings it")),
            }
        }
        let built = program.parent().and_then(Path::parent).unwrap_or(Path::new("/")).join(BUILT_FOLDER);
        for name in BUILT {
            let path = built.join(format!("lib{name}.so"));
            if path.is_file() {
                field.add(name, Serving::Library(loadable(name, &path)?));
            } else {
                field.miss(name, BUILD.to_owned());
            }
        }
        for design in designs {
            // Asked for, so that it must be there.
            let path = ours.clone().ok_or_else(|| field.named(OURS).err().unwrap_or_default())?;
            field.add(design.name(), Serving::Design(path, *design));
        }
        for Named { name, path } in further {
            if field.contenders.iter().any(|contender| contender.name == *name) || name == LIMIT {
                return Err(format!("--library {name}={} has a name that is taken", path.display()));
            }
            field.add(name, Serving::Library(loadable(&format!("--library {name}"), path)?));
        }
        field.add(LIMIT, Serving::Limit);
        Ok(field)
    }

    fn add(&mut self, name: &str, serving: Serving) {
        self.contenders.push(Contender { name: name.to_owned(), serving });
    }

    fn miss(&mut self, name: &str, hint: String) {
        self.missing.push(Missing { name: name.to_owned(), hint });
    }

    /// The contender of that name.
    ///
    /// # Errors
    /// A sentence that says how to get it, or which there are.
    pub fn named(&self, name: &str) -> Result<&Contender, String> {
        if let Some(found) = self.contenders.iter().find(|contender| contender.name == name) {
            return Ok(found);
        }
        if let Some(missing) = self.missing.iter().find(|missing| missing.name == name) {
            return Err(format!("{name} is not there: {}", missing.hint));
        }
        let known: Vec<_> = self.contenders.iter().map(|contender| contender.name.as_str()).collect();
        Err(format!(
            "there is no allocator `{name}`; here are {}; or bring one with --library",
            known.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder of files of these names, which is removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn of(test: &str, files: &[&str]) -> Folder {
            let path = env::temp_dir().join(format!("stormglass-{test}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder");
            for file in files {
                let file = path.join(file);
                fs::create_dir_all(file.parent().expect("below the folder")).expect("a folder");
                fs::write(file, "").expect("a file");
            }
            Folder(path)
        }

        fn find(&self, further: &[Named]) -> Result<Field, String> {
            Field::find(None, &self.0.join("bin/stormglass"), &[&self.0], &[], further)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn names(field: &Field) -> Vec<&str> {
        field.contenders.iter().map(|c| c.name.as_str()).collect()
    }

    #[test]
    fn what_is_there_takes_part_and_what_is_missing_is_told_with_its_package() {
        let folder = Folder::of("field", &["libjemalloc.so.2", "libtbbmalloc_proxy.so.2"]);
        let field = folder.find(&[]).expect("a field");
        assert_eq!(names(&field), ["glibc", "jemalloc", "tbbmalloc", "limit"]);
        let told: Vec<_> = field.missing.iter().map(|m| (m.name.as_str(), m.hint.as_str())).collect();
        assert_eq!(told[3..], BUILT.map(|name| (name, BUILD)));
        assert_eq!(
            told[..3],
            [
                (
                    "stormglass",
                    "`cargo build --release -p stormglass-preload` makes it; or name it with STORMGLASS_LIBRARY"
                ),
                ("tcmalloc", "`apt install libtcmalloc-minimal4` brings it"),
                ("mimalloc", "`apt install libmimalloc2.0` brings it"),
            ]
        );
        assert_eq!(
            field.named("mimalloc"),
            Err("mimalloc is not there: `apt install libmimalloc2.0` brings it".into())
        );
        let error = field.named("hoard").expect_err("nobody knows it");
        assert!(
            error.starts_with("there is no allocator `hoard`; here are glibc, jemalloc, tbbmalloc, limit;")
        );
    }

    #[test]
    fn ours_is_found_beside_the_program_and_comes_first() {
        let folder = Folder::of("ours", &["lib/libstormglass.so"]);
        let field = folder.find(&[]).expect("a field");
        assert_eq!(names(&field), ["stormglass", "glibc", "limit"]);
        assert_eq!(field.contenders[0].serving, Serving::Library(folder.0.join("lib/libstormglass.so")));
    }

    #[test]
    fn built_peers_lie_beside_the_folder_of_the_program() {
        let folder = Folder::of("built", &["peers/release/libsnmalloc.so", "peers/release/libother.so"]);
        assert_eq!(names(&folder.find(&[]).expect("a field")), ["glibc", "snmalloc", "limit"]);
    }

    #[test]
    fn a_design_is_an_allocator_of_its_name_and_takes_our_library() {
        let folder = Folder::of("designs", &["lib/libstormglass.so"]);
        let designs = [StrategyId::Page, StrategyId::Mutex];
        let find = |program: &Path| Field::find(None, program, &[], &designs, &[]);
        let field = find(&folder.0.join("bin/stormglass")).expect("a field");
        assert_eq!(names(&field), ["stormglass", "glibc", "page", "mutex", "limit"]);
        let library = folder.0.join("lib/libstormglass.so");
        assert_eq!(field.contenders[3].serving, Serving::Design(library, StrategyId::Mutex));
        let error = find(Path::new("/nowhere/bin/stormglass")).expect_err("no library");
        assert!(error.starts_with("stormglass is not there: "), "{error}");
    }

    #[test]
    fn a_library_that_is_not_there_is_a_sentence() {
        let folder = Folder::of("further", &["libx.so", "lib x.so"]);
        let named = |text: &str| -> Named { text.parse().expect("NAME=PATH") };
        let error = folder.find(&[named("x=/nowhere/libx.so")]).expect_err("not there");
        assert_eq!(error, "--library x names /nowhere/libx.so, and there is no such file");
        let path = |file: &str| Named { name: "x".into(), path: folder.0.join(file) };
        assert!(folder.find(&[path("lib x.so")]).expect_err("a space").contains("takes a space or a colon"));
        assert!(
            folder
                .find(&[path("libx.so"), path("libx.so")])
                .expect_err("twice")
                .ends_with("a name that is taken")
        );
        assert_eq!(names(&folder.find(&[path("libx.so")]).expect("a field")), ["glibc", "x", "limit"]);
        assert!("x".parse::<Named>().expect_err("no path").contains("is not NAME=PATH"));
        let ours =
            Field::find(Some("/nowhere.so".into()), Path::new("/x"), &[], &[], &[]).expect_err("not there");
        assert_eq!(ours, "STORMGLASS_LIBRARY names /nowhere.so, and there is no such file");
    }
}
