//! What can go wrong with a segment, in sentences for the operator: what happened, to what, what to do.

use core::fmt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Why a segment could not be made.
#[derive(Debug)]
pub enum WriteError {
    /// This build has no counters.
    Uncounted,
    /// The directory for segments cannot be used.
    Directory {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The file system has no room for the segment.
    Full {
        /// The segment.
        path: PathBuf,
        /// Bytes that it needs.
        bytes: u64,
    },
    /// A system call failed.
    System {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        errno: Errno,
    },
}

impl WriteError {
    pub(crate) fn system(what: &'static str, path: &Path, errno: Errno) -> WriteError {
        WriteError::System { what, path: path.to_owned(), errno }
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Uncounted => f.write_str(
                "it counts nothing: it was built with the feature `uncounted`, which is for `stormglass bench --cost` alone",
            ),
            WriteError::Directory { path, reason } => write!(
                f,
                "cannot keep counters in {}: {reason}; set STORMGLASS_DIR to a directory of your own on a tmpfs",
                path.display()
            ),
            WriteError::Full { path, bytes } => write!(
                f,
                "no room for {} ({} KiB): free space on that file system, or set STORMGLASS_DIR to another tmpfs",
                path.display(),
                bytes.div_ceil(1024)
            ),
            WriteError::System { what, path, errno } => {
                write!(
                    f,
                    "cannot {what} {}: {errno}; set STORMGLASS_DIR to a directory of your own on a tmpfs",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for WriteError {}

/// Why a segment could not be read.
#[derive(Debug)]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a segment.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    /// A system call failed.
    System(&'static str, Errno),
    /// It is not a regular file of this user, or its directory is not to be trusted.
    NotOurs(&'static str),
    /// It does not start as a segment does.
    NotASegment,
    /// It was written on a machine of the other byte order.
    ByteOrder,
    /// It speaks a format that this reader does not know.
    Format(u32),
    /// It is still being made.
    Starting,
    /// It is shorter than it says.
    Truncated {
        /// Bytes that it has.
        has: u64,
        /// Bytes that it needs.
        needs: u64,
    },
    /// A field says something that cannot be.
    Malformed(&'static str),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.problem {
            Problem::System(what, errno) => write!(f, "cannot {what}: {errno}"),
            Problem::NotOurs(why) => write!(f, "refused: {why}"),
            Problem::NotASegment => write!(f, "not a stormglass segment; remove it if it is yours"),
            Problem::ByteOrder => {
                write!(f, "segment has the other byte order: it comes from another kind of machine")
            }
            Problem::Format(format) => write!(
                f,
                "segment speaks format {format}, this reader knows {}: update stormglass, or restart the process",
                crate::layout::FORMAT
            ),
            Problem::Starting => {
                write!(f, "segment is not ready yet: its process is starting, or died while it was")
            }
            Problem::Truncated { has, needs } => {
                write!(f, "segment is truncated: it has {has} bytes and says that it needs {needs}")
            }
            Problem::Malformed(what) => write!(f, "segment is damaged or hostile: {what}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Why a thread got no counters: not even private memory could be had.
#[derive(Debug)]
pub struct ClaimError(pub(crate) Errno);

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no memory for a thread's counters ({}): free memory or start fewer threads", self.0)
    }
}

impl std::error::Error for ClaimError {}
