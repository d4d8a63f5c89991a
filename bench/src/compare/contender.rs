//! The allocators that take part, and where they are found.
//!
//! Invariant: a contender is named for what really serves: a library for the file that is preloaded, which the child
//! checks (`verify.rs`); nothing that is missing is left out without a word.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::peers::{self, Peer};
use crate::library::{self, VARIABLE, loadable, named};

/// Name of our own library's contender.
pub const OURS: &str = "stormglass";
/// Names of the two contenders for which nothing is preloaded.
const GLIBC: &str = "glibc";
const LIMIT: &str = "limit";
/// Before the name of a linked peer.
const LINKED: &str = "linked:";

/// What serves a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serving {
    /// The C library's own allocator: nothing is preloaded.
    Glibc,
    /// No allocator, but a bound for those that are.
    Limit,
    /// This library, preloaded.
    Library(PathBuf),
    /// An allocator that is linked into this program, where that was built with the feature `peers`.
    Linked(&'static Peer),
}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Serving::Glibc => f.write_str(GLIBC),
            Serving::Limit => f.write_str(LIMIT),
            Serving::Library(path) => path.display().fmt(f),
            Serving::Linked(peer) => write!(f, "{LINKED}{}", peer.name),
        }
    }
}

impl FromStr for Serving {
    type Err = String;

    fn from_str(text: &str) -> Result<Serving, String> {
        match (text, text.strip_prefix(LINKED)) {
            (GLIBC, _) => Ok(Serving::Glibc),
            (LIMIT, _) => Ok(Serving::Limit),
            (_, Some(name)) => {
                let peer = peers::ALL.iter().find(|peer| peer.name == name);
                peer.map(Serving::Linked).ok_or_else(|| format!("{name} is not linked into this program"))
            }
            (path, None) => Ok(Serving::Library(path.into())),
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
    /// Looks around: ours, glibc, the packaged ones, the linked ones, `further`, and the limit.
    ///
    /// # Errors
    /// A sentence on a library of `further`, or one that `STORMGLASS_LIBRARY` names, that is not there or cannot be preloaded.
    pub fn here(further: &[Named]) -> Result<Field, String> {
        let program = env::current_exe().map_err(|e| format!("this program cannot find itself: {e}"))?;
        Field::find(named(), &program, &FOLDERS.map(Path::new), further)
    }

    fn find(
        ours: Option<PathBuf>,
        program: &Path,
        folders: &[&Path],
        further: &[Named],
    ) -> Result<Field, String> {
        let mut field = Field::default();
        match library::find(ours.as_deref(), program)? {
            Some(path) => field.add(OURS, Serving::Library(path)),
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
        for peer in peers::ALL {
            field.add(peer.name, Serving::Linked(peer));
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
                fs::write(path.join(file), "").expect("a file");
            }
            Folder(path)
        }

        fn find(&self, further: &[Named]) -> Result<Field, String> {
            Field::find(None, &self.0.join("stormglass"), &[&self.0], further)
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
        assert_eq!(
            told,
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
        let folder = Folder::of("ours", &["libstormglass.so"]);
        let field = folder.find(&[]).expect("a field");
        assert_eq!(names(&field), ["stormglass", "glibc", "limit"]);
        assert_eq!(field.contenders[0].serving, Serving::Library(folder.0.join("libstormglass.so")));
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
        let ours = Field::find(Some("/nowhere.so".into()), Path::new("/x"), &[], &[]).expect_err("not there");
        assert_eq!(ours, "STORMGLASS_LIBRARY names /nowhere.so, and there is no such file");
    }
}
