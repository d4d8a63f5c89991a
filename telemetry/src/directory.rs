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

use crate::error::{Problem, ReadError, WriteError};
use crate::reader::Segment;
use crate::snapshot::Liveness;

/// File name extension of segments.
const EXTENSION: &str = "seg";
/// How long a segment may take to become ready before its process counts as dead.
const START: Duration = Duration::from_mins(1);

/// The directory of a user's segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    path: PathBuf,
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
        Directory { path: path.into() }
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
        if meta.uid() != rustix::process::geteuid().as_raw() {
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
        let dead = paths.iter().filter(|path| match Segment::open(path) {
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

/// Time since a file's last change; zero where the clock has been set back since.
fn unchanged_for(meta: &Metadata) -> Duration {
    let changed = meta.modified().unwrap_or_else(|_| SystemTime::now());
    SystemTime::now().duration_since(changed).unwrap_or_default()
}
