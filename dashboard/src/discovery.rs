//! Finds the segments of this user as they come and go, and keeps them open in between.
//!
//! Invariants: a live segment is mapped once, however often it is read; a dead one is unmapped and its last
//! snapshot kept, because nothing in it can change any more; a file that cannot be read is said once and asked again
//! less and less often, and what it last said stands meanwhile; a name stands for a file, and when it goes or comes to
//! stand for another, what the first one counted goes to the retired, once. Only what is known to have gone has gone: a
//! look that fails changes nothing.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stormglass_telemetry::{Directory, Liveness, ReadError, Reaper, Segment, Snapshot};

use crate::retired::Retired;
use crate::source::Source;

/// Time until a refused file is tried again; doubles with each refusal. A segment that is just being made is
/// refused once or twice.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// Longest time until a refused file is tried again.
const LAST_RETRY: Duration = Duration::from_secs(30);
/// Refusals after which a file counts as an error: one that is just being made is none.
const PATIENCE: u32 = 3;
/// Time between two looks for the dead that are to be removed.
const REAP: Duration = Duration::from_secs(5);

/// One file of the directory.
struct Entry {
    /// Inode, as it was before the file was opened. Pids come back, in containers quickly, and names with them.
    inode: u64,
    state: State,
}

/// What is known of a file.
enum State {
    /// Mapped, and its process lived at the last read, which said this.
    Live(Box<Segment>, Box<Snapshot>),
    /// Its process is dead; this is the last that can be said of it.
    Dead(Box<Snapshot>),
    /// It could not be read, or has not been read yet. One that could be once has said something.
    Refused { times: u32, next_try: Instant, last: Option<Box<Snapshot>> },
}

/// The segments of one directory.
pub(crate) struct Discovery {
    directory: Directory,
    keep_dead: Duration,
    entries: BTreeMap<PathBuf, Entry>,
    retired: Retired,
    errors: u64,
    /// Held for as long as the sidecar runs.
    reaper: Option<Reaper>,
    /// What was last said of the directory itself.
    complaint: Option<String>,
    reaps: bool,
    next_reap: Instant,
}

impl Discovery {
    /// Looks in `directory`; removes what died longer ago than `keep_dead`.
    pub(crate) fn new(directory: Directory, keep_dead: Duration) -> Discovery {
        Discovery {
            directory,
            keep_dead,
            entries: BTreeMap::new(),
            retired: Retired::default(),
            errors: 0,
            reaper: None,
            complaint: None,
            reaps: true,
            next_reap: Instant::now(),
        }
    }

    /// As [`Discovery::new`], but removes nothing and leaves the right to do so to others.
    pub(crate) fn onlooker(directory: Directory, keep_dead: Duration) -> Discovery {
        Discovery { reaps: false, ..Discovery::new(directory, keep_dead) }
    }

    fn reap(&mut self, now: Instant) {
        if !self.reaps || now < self.next_reap {
            return;
        }
        self.next_reap = now + REAP.min(self.keep_dead.max(Duration::from_millis(200)));
        if self.reaper.is_none() {
            self.reaper = self.directory.reaper();
        }
        // Another sidecar may have come first; it removes what is to be removed.
        let Some(reaper) = &self.reaper else { return };
        let removed = reaper.reap(self.keep_dead);
        if removed > 0 {
            tracing::info!(removed, directory = %self.directory.path().display(), "removed segments of dead processes");
        }
    }

    /// Retires what has vanished and takes in what is new.
    fn rescan(&mut self) {
        let paths = match self.directory.scan() {
            Ok(paths) => {
                self.complaint = None;
                paths
            }
            Err(error) => {
                let complaint = error.to_string();
                if self.complaint.as_ref() != Some(&complaint) {
                    tracing::warn!("{complaint}");
                    self.complaint = Some(complaint);
                }
                return;
            }
        };
        let mut before = std::mem::take(&mut self.entries);
        let mut gone = Vec::new();
        for path in paths {
            let inode = match std::fs::symlink_metadata(&path) {
                Ok(meta) => meta.ino(),
                // What has vanished since the scan is left out.
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(_) => {
                    self.entries.extend(before.remove_entry(&path));
                    continue;
                }
            };
            let known = before.remove(&path);
            let (same, other) = match known {
                Some(entry) if entry.inode == inode => (Some(entry), None),
                other => (None, other),
            };
            gone.extend(other);
            let entry = same.unwrap_or_else(|| Entry {
                inode,
                state: State::Refused { times: 0, next_try: Instant::now(), last: None },
            });
            self.entries.insert(path, entry);
        }
        gone.extend(before.into_values());
        for snapshot in gone.into_iter().filter_map(|entry| entry.state.end()) {
            self.retired.bury(snapshot);
        }
    }
}

impl Source for Discovery {
    fn snapshots(&mut self) -> Vec<Snapshot> {
        self.reap(Instant::now());
        self.rescan();
        let now = Instant::now();
        let mut snapshots = Vec::with_capacity(self.entries.len());
        for (path, entry) in &mut self.entries {
            match entry.state.read(path, now) {
                Ok(snapshot) => snapshots.extend(snapshot),
                Err(error) => {
                    self.errors += u64::from(entry.state.refuse(path, now, &error));
                    // Left out, its counts would fall, and come back.
                    snapshots.extend(entry.state.last().cloned());
                }
            }
        }
        snapshots
    }

    fn retired(&self) -> &Retired {
        &self.retired
    }

    fn errors(&self) -> u64 {
        self.errors
    }
}

impl State {
    /// What the file says now, or last said if it is not to be asked yet.
    fn read(&mut self, path: &Path, now: Instant) -> Result<Option<Snapshot>, ReadError> {
        match self {
            State::Dead(snapshot) => return Ok(Some((**snapshot).clone())),
            State::Refused { next_try, last, .. } if now < *next_try => return Ok(last.as_deref().cloned()),
            // Liveness is looked at before the counts are read, so the counts of a dead process are its last.
            State::Live(segment, last) => **last = segment.snapshot()?,
            State::Refused { .. } => {
                let segment = Segment::open(path)?;
                let snapshot = segment.snapshot()?;
                let process = segment.process();
                tracing::info!(
                    pid = process.pid,
                    command = %process.command,
                    strategy = %process.strategy,
                    workload = %process.workload,
                    "found a process"
                );
                *self = State::Live(Box::new(segment), Box::new(snapshot));
            }
        }
        let snapshot = self.last().cloned();
        if let Some(dead) = snapshot.as_ref().filter(|snapshot| snapshot.liveness == Liveness::Dead) {
            tracing::info!(pid = dead.process.pid, "the process is dead");
            *self = State::Dead(Box::new(dead.clone()));
        }
        Ok(snapshot)
    }

    /// What it said when it could last be read.
    fn last(&self) -> Option<&Snapshot> {
        match self {
            State::Live(_, last) | State::Dead(last) => Some(last),
            State::Refused { last, .. } => last.as_deref(),
        }
    }

    /// The last that can be said of a file that has gone.
    fn end(self) -> Option<Snapshot> {
        match self {
            // Its file has lost its name, not its bytes: they stay mapped until here.
            State::Live(segment, last) => Some(segment.snapshot().unwrap_or(*last)),
            State::Dead(last) => Some(*last),
            State::Refused { last, .. } => last.map(|last| *last),
        }
    }

    /// Remembers a refusal; says whether it is the one that counts.
    fn refuse(&mut self, path: &Path, now: Instant, error: &ReadError) -> bool {
        let times = match self {
            State::Refused { times, .. } => *times + 1,
            // It could be read before: what is wrong with it now is no matter of patience.
            State::Live(..) | State::Dead(_) => PATIENCE,
        };
        let wait = FIRST_RETRY.saturating_mul(1 << (times - 1).min(16)).min(LAST_RETRY);
        let last = self.last().cloned().map(Box::new);
        *self = State::Refused { times, next_try: now + wait, last };
        if times == PATIENCE {
            tracing::warn!(file = %path.display(), "{error}");
        }
        times == PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{FileExt as _, PermissionsExt as _};

    use stormglass_telemetry::{Identity, Metric, Select, Writer};

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn place() -> (tempfile::TempDir, Directory) {
        let place = tempfile::tempdir().expect("a temporary directory");
        let directory = Directory::at(place.path().join("segments"));
        (place, directory)
    }

    fn writer(directory: &Directory) -> Writer {
        Writer::create(directory, &Identity { strategy: "mutex", workload: "test", ..Identity::default() })
            .expect("a segment")
    }

    #[test]
    fn a_process_is_found_read_and_remembered_after_its_death() {
        let (_place, directory) = place();
        let mut discovery = Discovery::new(directory.clone(), HOUR);
        assert!(discovery.snapshots().is_empty(), "no directory is no error");

        let writer = writer(&directory);
        let slot = writer.claim().expect("a slot");
        slot.classes[2].ring_hits.add(7);
        let snapshots = discovery.snapshots();
        assert_eq!(snapshots.len(), 1);
        assert_eq!(snapshots[0].liveness, Liveness::Live);
        assert_eq!(snapshots[0].counts.sum(Metric::RingHits, Select::ALL.class(2)), Some(7));

        slot.classes[2].ring_hits.add(1);
        drop(slot);
        let path = writer.path().expect("it has a segment").to_owned();
        drop(writer);
        let snapshots = discovery.snapshots();
        assert_eq!(snapshots[0].liveness, Liveness::Dead);
        assert_eq!(snapshots[0].counts.sum(Metric::RingHits, Select::ALL), Some(8));
        assert!(matches!(discovery.entries[&path].state, State::Dead(_)));
        fs::remove_file(&path).expect("ours");
        assert!(discovery.snapshots().is_empty());
        assert!(discovery.entries.is_empty());
        assert_eq!(discovery.errors(), 0);
        let hits = |s: &Snapshot| s.counts.sum(Metric::RingHits, Select::ALL);
        assert_eq!(
            discovery.retired().snapshots().map(hits).collect::<Vec<_>>(),
            [Some(8)],
            "its counts stay"
        );
    }

    #[test]
    fn a_segment_that_is_removed_under_a_living_process_keeps_what_it_counted() {
        let (_place, directory) = place();
        let mut discovery = Discovery::new(directory.clone(), HOUR);
        let writer = writer(&directory);
        let slot = writer.claim().expect("a slot");
        discovery.snapshots();
        slot.classes[1].ring_misses.add(3);
        fs::remove_file(writer.path().expect("it has a segment")).expect("ours");
        assert!(discovery.snapshots().is_empty());
        let misses = |s: &Snapshot| s.counts.sum(Metric::RingMisses, Select::ALL);
        assert_eq!(discovery.retired().snapshots().map(misses).collect::<Vec<_>>(), [Some(3)]);
    }

    #[test]
    fn what_never_had_a_thread_leaves_nothing() {
        let (_place, directory) = place();
        let mut discovery = Discovery::new(directory.clone(), HOUR);
        let writer = writer(&directory);
        assert_eq!(discovery.snapshots().len(), 1);
        fs::remove_file(writer.path().expect("it has a segment")).expect("ours");
        assert!(discovery.snapshots().is_empty());
        assert_eq!(discovery.retired().snapshots().count(), 0);
    }

    #[test]
    fn a_name_that_comes_back_is_another_file() {
        let (_place, directory) = place();
        let mut discovery = Discovery::new(directory.clone(), HOUR);
        let first = writer(&directory);
        let path = first.path().expect("it has a segment").to_owned();
        discovery.snapshots();
        let second = writer(&directory);
        fs::rename(second.path().expect("it has a segment"), &path).expect("ours");
        second.claim().expect("a slot").classes[0].ring_hits.add(5);
        let snapshots = discovery.snapshots();
        assert_eq!(snapshots.len(), 1);
        assert_eq!(snapshots[0].counts.sum(Metric::RingHits, Select::ALL), Some(5));
    }

    fn hits(snapshot: &Snapshot) -> Option<u64> {
        snapshot.counts.sum(Metric::RingHits, Select::ALL)
    }

    #[test]
    fn a_look_that_fails_makes_nothing_count_twice() {
        let (_place, directory) = place();
        let mut discovery = Discovery::new(directory.clone(), HOUR);
        let writer = writer(&directory);
        let slot = writer.claim().expect("a slot");
        slot.classes[2].ring_hits.add(7);
        let allow = |mode| {
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).expect("ours");
        };
        for mode in [0o700, 0o755, 0o700] {
            allow(mode);
            let snapshots = discovery.snapshots();
            assert_eq!(snapshots.iter().map(hits).collect::<Vec<_>>(), [Some(7)], "{mode:o}");
            assert_eq!(discovery.retired().snapshots().count(), 0, "{mode:o}");
        }
    }

    #[test]
    fn what_cannot_be_read_any_more_keeps_its_counts_and_is_read_again() {
        let (_place, directory) = place();
        let mut discovery = Discovery::new(directory.clone(), HOUR);
        let writer = writer(&directory);
        let slot = writer.claim().expect("a slot");
        slot.classes[2].ring_hits.add(7);
        assert_eq!(discovery.snapshots().iter().map(hits).collect::<Vec<_>>(), [Some(7)]);
        let path = writer.path().expect("it has a segment").to_owned();
        let whole = fs::read(&path).expect("readable");
        let file = fs::File::options().write(true).open(&path).expect("ours");
        file.set_len(100).expect("cut");
        for _ in 0..2 {
            assert_eq!(discovery.snapshots().iter().map(hits).collect::<Vec<_>>(), [Some(7)]);
        }
        assert_eq!(discovery.errors(), 1);
        file.write_all_at(&whole, 0).expect("mended");
        slot.classes[2].ring_hits.add(1);
        let State::Refused { next_try, .. } = &mut discovery.entries.get_mut(&path).expect("known").state
        else {
            panic!("it was refused");
        };
        *next_try = Instant::now();
        assert_eq!(discovery.snapshots().iter().map(hits).collect::<Vec<_>>(), [Some(8)]);

        file.set_len(100).expect("cut");
        discovery.snapshots();
        fs::remove_file(&path).expect("ours");
        assert!(discovery.snapshots().is_empty());
        assert_eq!(discovery.retired().snapshots().map(hits).collect::<Vec<_>>(), [Some(8)]);
        file.write_all_at(&whole, 0).expect("the writer counts on");
    }

    #[test]
    fn another_sidecar_that_keeps_the_dead_for_longer_is_not_overruled() {
        let (_place, directory) = place();
        drop(writer(&directory));
        let mut first = Discovery::new(directory.clone(), HOUR);
        assert_eq!(first.snapshots().len(), 1);
        let mut second = Discovery::new(directory.clone(), Duration::ZERO);
        assert_eq!(second.snapshots().len(), 1);
        drop(first);
        second.next_reap = Instant::now();
        assert_eq!(second.snapshots().len(), 0, "now it is the only one");
    }

    #[test]
    fn a_foreign_file_is_an_error_once() {
        let (_place, directory) = place();
        let _writer = writer(&directory);
        fs::write(directory.path().join("1-0.seg"), vec![b'x'; 65536]).expect("a file");
        let mut discovery = Discovery::new(directory, HOUR);
        for _ in 0..8 {
            assert_eq!(discovery.snapshots().len(), 1);
            std::thread::sleep(FIRST_RETRY);
        }
        assert_eq!(discovery.errors(), 1);
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        let mut state = State::Refused { times: 0, next_try: Instant::now(), last: None };
        let error = Segment::open(Path::new("/nowhere")).expect_err("nothing is there");
        let now = Instant::now();
        let mut counted = 0;
        for _ in 0..100 {
            counted += u32::from(state.refuse(Path::new("/nowhere"), now, &error));
        }
        assert_eq!(counted, 1);
        assert!(matches!(state, State::Refused { next_try, .. } if next_try == now + LAST_RETRY));
    }
}
