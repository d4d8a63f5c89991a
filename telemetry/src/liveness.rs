//! Whether the process behind a segment still lives.
//!
//! Invariant: a live writer holds an exclusive `flock` on its segment, from before the segment is ready until the last descriptor
//! and the last mapping of the opened file are gone: the kernel lets go of such a lock with the open file, which a mapping
//! keeps as a descriptor does. A forked child inherits the lock without being the writer; therefore pid and start time must agree too,
//! where this process can see them, that is in the same pid namespace. Death is final, so what cannot be found out never
//! counts as one: then the lock is believed.
//!
//! When it died is kept by the file: from its death on nobody may write it, and its last change is the change to that. A
//! writer that ends notes its own death, the first reader that wants to know notes that of one that was killed. No count
//! tells as much: a process that lives from its rings has its last slow path long before its end.

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, Mode, Timespec, Timestamps, UTIME_NOW, fchmod, flock, fstat, futimens};
use rustix::io::Errno;

use crate::snapshot::Liveness;

/// Mode of a file whose process's death is noted.
pub(crate) const NOTED: Mode = Mode::RUSR;

/// What `/proc` says of a pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Its process started at this time.
    Started(u64),
    /// There is no such process.
    Nobody,
    /// It does not say.
    Unknown,
}

/// Start time of a process in clock ticks since boot: field 22 of its `stat` (proc(5)).
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    match look_up(pid) {
        Found::Started(ticks) => Some(ticks),
        Found::Nobody | Found::Unknown => None,
    }
}

fn look_up(pid: u32) -> Found {
    let stat = match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        // ESRCH: it ended between the opening and the reading.
        Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::NOENT | Errno::SRCH)) => {
            return Found::Nobody;
        }
        // No descriptor or no memory left for a look: that says nothing of the process.
        Err(_) => return Found::Unknown,
    };
    // The command name may hold spaces and parentheses; the last one closes it, and field 3 follows.
    let field = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(22 - 3));
    field.and_then(|field| field.parse().ok()).map_or(Found::Unknown, Found::Started)
}

/// The pid namespace of this process; 0 where it cannot be told.
pub(crate) fn pid_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino())
}

/// Probes the lock of a segment that is ready. Its process is also looked up, if `process`, its pid and start time, is given:
/// where it can be seen, that is in the same pid namespace.
pub(crate) fn probe(file: impl AsFd, process: Option<(u32, u64)>) -> Liveness {
    let file = file.as_fd();
    if flock(file, FlockOperation::NonBlockingLockShared).is_ok() {
        // Nobody holds it. Unlocking cannot fail on a lock that is held.
        let _ = flock(file, FlockOperation::Unlock);
        return Liveness::Dead;
    }
    let Some((pid, writer_start)) = process else { return Liveness::Live };
    match look_up(pid) {
        Found::Nobody => Liveness::Dead,
        Found::Started(other) if other != writer_start => Liveness::Dead,
        Found::Started(_) | Found::Unknown => Liveness::Live,
    }
}

/// Notes that the process behind a segment is dead, unless that is noted already. Says whether it is.
pub(crate) fn note_death(file: impl AsFd) -> bool {
    let file = file.as_fd();
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    fstat(file).is_ok_and(|stat| {
        Mode::from_raw_mode(stat.st_mode) == NOTED
            // In this order: one that is interrupted in between does it again.
            || futimens(file, &Timestamps { last_access: now, last_modification: now }).is_ok()
                && fchmod(file, NOTED).is_ok()
    })
}

/// How long the process behind a segment has been dead, as far as is known; none if that cannot be noted.
pub(crate) fn dead_for(file: impl AsFd) -> Option<Duration> {
    let file = file.as_fd();
    if !note_death(file) {
        return None;
    }
    let stat = fstat(file).ok()?;
    let died = Duration::new(stat.st_mtime.try_into().ok()?, stat.st_mtime_nsec.try_into().ok()?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    // Zero where the clock has been set back since.
    Some(now.saturating_sub(died))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_start_time() {
        assert!(start_time(std::process::id()).is_some_and(|ticks| ticks > 0));
    }

    #[test]
    fn a_lock_that_is_held_is_believed_unless_its_process_is_known_to_be_gone() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let other = file.reopen().expect("opened");
        flock(&other, FlockOperation::NonBlockingLockExclusive).expect("locked");
        let pid = std::process::id();
        let start = start_time(pid).expect("ours");
        let of = |process| probe(&file, process);
        assert_eq!(of(Some((pid, start))), Liveness::Live);
        assert_eq!(of(Some((pid, start + 1))), Liveness::Dead, "the pid has come back");
        assert_eq!(of(Some((u32::MAX, start))), Liveness::Dead, "there is no such process");
        assert_eq!(of(None), Liveness::Live, "not to be seen from here");
        drop(other);
        assert_eq!(of(Some((pid, start))), Liveness::Dead);
    }
}
