//! Whether the process behind a segment still lives.
//!
//! Invariant: a live writer holds an exclusive `flock` on its segment, from before the segment is ready until the kernel
//! closes its files. A forked child inherits the lock without being the writer; therefore pid and start time must agree too,
//! where this process can see them, that is in the same pid namespace.

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{FlockOperation, flock};

use crate::snapshot::Liveness;

/// Start time of a process in clock ticks since boot: field 22 of its `stat` (proc(5)).
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name may hold spaces and parentheses; the last one closes it, and field 3 follows.
    stat.rsplit_once(')')?.1.split_whitespace().nth(22 - 3)?.parse().ok()
}

/// The pid namespace of this process; 0 where it cannot be told.
pub(crate) fn pid_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino())
}

/// Probes the lock of a segment that is ready.
pub(crate) fn probe(file: impl AsFd, pid: u32, writer_start: u64, namespace: u64) -> Liveness {
    let file = file.as_fd();
    if flock(file, FlockOperation::NonBlockingLockShared).is_ok() {
        // Nobody holds it. Unlocking cannot fail on a lock that is held.
        let _ = flock(file, FlockOperation::Unlock);
        return Liveness::Dead;
    }
    if namespace == pid_namespace() && start_time(pid) != Some(writer_start) {
        return Liveness::Dead;
    }
    Liveness::Live
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_has_a_start_time() {
        assert!(super::start_time(std::process::id()).is_some_and(|ticks| ticks > 0));
    }
}
