//! Where segments lie, and who may be trusted there.
//!
//! Invariant: a directory that is used belongs to this user and nobody else may enter it, so that no other user can put
//! a file or a link in a writer's or a reader's way.

use std::fs::{DirBuilder, Metadata, symlink_metadata};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Uid;

use crate::error::{Problem, ReadError, WriteError};
use crate::liveness;
use crate::reader::Segment;
use crate::snapshot::Liveness;

/// File name extension of segments.
const EXTENSION: &str = "seg";
/// How long a segment may take to become ready before its process counts as dead.
const START: Duration = Duration::from_mins(1);

/// What the directories of all users are called, before the user's number.
const SHARED: (&str, &str) = ("/dev/shm", "stormglass-");

/// The directory of a user's segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    path: PathBuf,
    owner: Uid,
}

/// What a directory looked like: another one after a file has come, gone or been renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    changed: (i64, i64),
}

impl Directory {
    /// `STORMGLASS_DIR`, else `/dev/shm/stormglass-UID` of the effective user.
    #[must_use]
    pub fn from_env() -> Directory {
        match std::env::var_os("STORMGLASS_DIR").filter(|dir| !dir.is_empty()) {
            Some(dir) => Directory::at(dir),
            None => Directory::at(format!("/dev/shm/stormglass-{}", rustix::process::geteuid().as_raw())),
        }
    }

    /// Any directory.
    pub fn at(path: impl Into<PathBuf>) -> Directory {
        Directory { path: path.into(), owner: rustix::process::geteuid() }
    }

    /// The default directories of all users of the machine, each of which is trusted with its own user's files and nothing
    /// else. Only root can read them.
    pub fn of_all_users() -> Vec<Directory> {
        Directory::of_users_in(Path::new(SHARED.0))
    }

    fn of_users_in(shared: &Path) -> Vec<Directory> {
        let of = |entry: std::fs::DirEntry| {
            let number = entry.file_name().to_str()?.strip_prefix(SHARED.1)?.parse::<u32>().ok()?;
            // The greatest number is no user.
            let owner = (number != u32::MAX).then(|| Uid::from_raw(number))?;
            Some(Directory { path: entry.path(), owner })
        };
        let mut all: Vec<Directory> =
            std::fs::read_dir(shared).into_iter().flatten().flatten().filter_map(of).collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    }

    /// Opens a segment of this directory: a file of its user.
    ///
    /// # Errors
    /// If it is not one that this reader understands; the error says what and why.
    pub fn open(&self, path: &Path) -> Result<Segment, ReadError> {
        Segment::open_of(path, self.owner)
    }

    /// What the directory looks like now; none if it is not there or not to be trusted.
    pub fn stamp(&self) -> Option<Stamp> {
        self.check().ok()?;
        let meta = symlink_metadata(&self.path).ok()?;
        Some(Stamp { inode: meta.ino(), changed: (meta.mtime(), meta.mtime_nsec()) })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory if it is missing, and checks that it is ours alone.
    pub(crate) fn prepare(&self) -> Result<(), WriteError> {
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(WriteError::Directory {
                    path: self.path.clone(),
                    reason: format!("it cannot be made ({error})"),
                });
            }
        }
        self.check()
            .map_err(|reason| WriteError::Directory { path: self.path.clone(), reason: reason.to_owned() })
    }

    fn check(&self) -> Result<(), &'static str> {
        let Ok(meta) = symlink_metadata(&self.path) else { return Err("it cannot be looked at") };
        if !meta.is_dir() {
            return Err("it is not a directory");
        }
        if meta.uid() != self.owner.as_raw() {
            return Err("it belongs to another user");
        }
        if meta.mode() & 0o077 != 0 {
            return Err("other users may enter it (chmod 700 mends that)");
        }
        Ok(())
    }

    /// The segments, in the order of their names. A directory that is not there has none.
    ///
    /// # Errors
    /// If the directory is not this user's alone, or cannot be listed.
    pub fn scan(&self) -> Result<Vec<PathBuf>, ReadError> {
        let error = |problem| ReadError { path: self.path.clone(), problem };
        let unlisted = |e: std::io::Error| {
            error(Problem::System("list the directory", Errno::from_io_error(&e).unwrap_or(Errno::IO)))
        };
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(unlisted(e)),
        };
        self.check().map_err(|why| error(Problem::NotOurs(why)))?;
        // A list that ends early is none: what is missing from it would pass for gone.
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()).map_err(unlisted))
            .collect::<Result<Vec<PathBuf>, _>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
        paths.sort();
        Ok(paths)
    }

    /// The right to remove segments, until it is dropped; none if somebody else has it, or there is nothing to remove.
    pub fn reaper(&self) -> Option<Reaper> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = rustix::fs::open(&self.path, flags, Mode::empty()).ok()?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(Reaper { directory: self.clone(), _lock: lock })
    }

    pub(crate) fn segment_path(&self, pid: u32, sequence: u32) -> PathBuf {
        self.path.join(format!("{pid}-{sequence}.{EXTENSION}"))
    }
}

/// The right to remove the segments of a directory. The first process that asks has it, so that what a sidecar keeps for two
/// hours is not removed by a benchmark that would keep it for ten minutes.
#[derive(Debug)]
pub struct Reaper {
    directory: Directory,
    /// An exclusive lock on the directory itself.
    _lock: OwnedFd,
}

impl Reaper {
    /// Removes the segments whose process died at least `dead_for` ago. Returns how many.
    ///
    /// A process that was killed counts as dead from the first look at it afterwards, one that never said it was ready from
    /// a minute after its file's last change.
    pub fn reap(&self, dead_for: Duration) -> usize {
        let paths = self.directory.scan().unwrap_or_default();
        let due =
            paths.iter().filter(|path| symlink_metadata(path).is_ok_and(|meta| is_due(&meta, dead_for)));
        let dead = due.filter(|path| match self.directory.open(path) {
            Ok(segment) => {
                segment.liveness() == Liveness::Dead && segment.dead_for().is_some_and(|age| age >= dead_for)
            }
            Err(ReadError { problem: Problem::Starting, .. }) => {
                symlink_metadata(path).is_ok_and(|meta| unchanged_for(&meta) >= dead_for.max(START))
            }
            // What cannot be read is not ours to remove.
            Err(_) => false,
        });
        dead.filter(|path| std::fs::remove_file(path).is_ok()).count()
    }
}

/// Whether it is worth opening. Of one whose death is noted, the time of its last change says how long it has been dead, and ten
/// thousand of those are looked at in little time.
fn is_due(meta: &Metadata, dead_for: Duration) -> bool {
    let noted = meta.mode() & 0o777 == liveness::NOTED.as_raw_mode();
    !noted || unchanged_for(meta) >= dead_for
}

/// Time since a file's last change; zero where the clock has been set back since.
fn unchanged_for(meta: &Metadata) -> Duration {
    let changed = meta.modified().unwrap_or_else(|_| SystemTime::now());
    SystemTime::now().duration_since(changed).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directories_of_users_are_those_with_a_number() {
        let place = tempfile::tempdir().expect("a directory");
        for name in [
            "stormglass-0",
            "stormglass-1000",
            "stormglass-",
            "stormglass-x",
            "stormglass-e2e.1",
            "stormglass-4294967295",
            "other-1",
        ] {
            std::fs::create_dir(place.path().join(name)).expect("made");
        }
        let owners: Vec<u32> =
            Directory::of_users_in(place.path()).iter().map(|directory| directory.owner.as_raw()).collect();
        assert_eq!(owners, [0, 1000]);
        assert!(Directory::of_users_in(Path::new("/nowhere")).is_empty());
    }

    #[test]
    fn a_directory_of_another_user_is_refused_whatever_it_is_called() {
        let place = tempfile::tempdir().expect("a directory");
        let mine = rustix::process::geteuid().as_raw();
        let path = place.path().join(format!("stormglass-{}", mine + 1));
        DirBuilder::new().mode(0o700).create(&path).expect("made");
        let theirs = Directory::of_users_in(place.path()).remove(0);
        let refused = theirs.scan().expect_err("it is this user's, and says that it is another's");
        assert!(matches!(refused.problem, Problem::NotOurs(_)), "{refused}");
        assert_eq!(theirs.stamp(), None);
        // Nor is a file of this user one of theirs.
        let writer = crate::Writer::<7, 8>::create_general(
            &Directory::at(&path),
            &crate::Identity::default(),
            &[1, 2, 3, 4, 5, 6, 7],
        )
        .expect("a segment");
        let refused = theirs.open(writer.path().expect("a path")).expect_err("refused");
        assert!(matches!(refused.problem, Problem::NotOurs(_)), "{refused}");
    }
}
