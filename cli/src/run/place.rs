//! A directory for the segments of one run: so that its summary and its page are of this program and its children alone.
//!
//! Invariant: a run holds a lock on its directory while it lasts, so that what a run left behind that was killed is told
//! from what is in use, and the next run removes it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use stormglass_telemetry::Directory;

use crate::failure::Failure;
use crate::shared_memory;

const PREFIX: &str = "run-";

/// The directory; gone when the value is.
pub(crate) struct Place {
    directory: Directory,
    _lock: File,
}

impl Place {
    /// Makes one among this user's segments.
    ///
    /// # Errors
    /// If there is no shared memory for segments.
    pub(crate) fn make() -> Result<Place, Failure> {
        shared_memory::check()?;
        let all = Directory::from_env();
        sweep(all.path());
        let path = all.path().join(format!("{PREFIX}{}", std::process::id()));
        let made = fs::DirBuilder::new().mode(0o700).create(&path).and_then(|()| {
            let lock = File::open(&path)?;
            lock.try_lock().map_err(io::Error::from)?;
            Ok(lock)
        });
        let lock = made
            .map_err(|e| Failure::failed(format!("{} cannot be made for this run: {e}", path.display())))?;
        Ok(Place { directory: Directory::at(path), _lock: lock })
    }

    /// Where the segments lie.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Those that still run have their segments mapped; what cannot be removed the next run finds.
        let _ = fs::remove_dir_all(self.directory.path());
    }
}

/// Removes what killed runs have left.
fn sweep(all: &Path) {
    let Ok(entries) = fs::read_dir(all) else { return };
    for entry in entries.flatten() {
        let is_run = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_run && is_directory && is_left(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether nobody holds it. What cannot be told is not ours to remove.
fn is_left(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_holds_is_swept() {
        let all = tempfile::tempdir().expect("a directory");
        let [held, left, other] = ["run-1", "run-2", "other"].map(|name| all.path().join(name));
        for path in [&held, &left, &other] {
            fs::create_dir(path).expect("made");
        }
        fs::write(left.join("1-0.seg"), "").expect("a file");
        let lock = File::open(&held).expect("ours");
        lock.lock().expect("free");
        sweep(all.path());
        assert!(held.exists() && other.exists() && !left.exists());
    }
}
