//! File descriptors: each event of each thread takes one, and a process may have only so many.

use std::fs;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are left for whatever else this process does: connections, segments, files.
pub(super) const RESERVE: u64 = 128;

/// Asks for as many descriptors as this process may have; how many that is.
pub fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Refused only above the hard limit, which this is not; then it stays as it is.
    let _ = setrlimit(Resource::Nofile, wanted);
    self::limit()
}

/// How many descriptors this process may have.
pub(super) fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// How many it has. Where that cannot be told, none: the kernel says when there are too many.
fn used() -> u64 {
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64)
}

/// Whether so many more would leave the reserve.
pub(super) fn are_there(wanted: usize) -> bool {
    fits(wanted as u64, used(), limit())
}

fn fits(wanted: u64, used: u64, limit: u64) -> bool {
    used.saturating_add(wanted).saturating_add(RESERVE) <= limit
}

/// What to say where a process has more threads than there are descriptors for.
pub(super) fn too_few(threads: usize, wanted: usize) -> String {
    format!(
        "its {threads} threads take {wanted} file descriptors, and stormglass may have {}: start it with a higher limit (ulimit -n, \
         LimitNOFILE= of systemd, --ulimit nofile= of a container)",
        limit()
    )
}

/// What to say when there was none left.
pub(super) fn exhausted(errno: Errno) -> String {
    if errno == Errno::NFILE {
        return "the machine has no file descriptor left: raise fs.file-max".to_owned();
    }
    format!(
        "no file descriptor is left of the {} that stormglass may have: raise the limit (ulimit -n)",
        limit()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_left() {
        assert!(fits(100, 0, 100 + RESERVE) && !fits(101, 0, 100 + RESERVE));
        assert!(!fits(100, 1, 100 + RESERVE) && !fits(u64::MAX, 1, 1000));
        assert!(are_there(0) && !are_there(usize::MAX));
    }
}
