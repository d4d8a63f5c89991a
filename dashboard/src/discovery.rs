//! Finds the segments of this user as they come and go, and keeps them open in between.
//!
//! Invariants: a live segment is mapped once, however often it is read; a dead one is unmapped and its last
//! snapshot kept, because nothing in it can change any more; a file that cannot be read is said once and asked again
//! less and less often, and what it last said stands meanwhile; of the dead, the last [`DEAD`] are shown, so that ten
//! thousand take no more memory than those; a name stands for a file, and when it goes or comes to
//! stand for another, what the first one counted goes to the retired, once. Only what is known to have gone has gone: a
//! look that fails changes nothing.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stormglass_telemetry::{Directory, Liveness, ReadError, Reaper, Segment, Snapshot, Stamp, clock};

use crate::packed::Packed;
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

/// Who reads this soon after the last time may find a thread that has just woken as it was then: nobody sees a count later than this.
const GLANCE: Duration = Duration::from_secs(1);

/// Dead processes that are shown; of those that died earlier, only what they counted.
const DEAD: usize = 128;
/// A file that comes within this time of another may leave the directory's stamp as it was: so coarse is the kernel's clock.
const TICK: Duration = Duration::from_millis(50);

/// One file of the directory.
struct Entry {
    /// Inode, as it was before the file was opened. Pids come back, in containers quickly, and names with them.
    inode: u64,
    state: State,
}

/// What is known of a file.
enum State {
    /// Mapped, and its process lived at the last read, which said this.
    Live(Box<Segment>, Box<Packed>),
    /// Its process is dead since (seen) then; this is the last that can be said of it.
    Dead(Box<Packed>, Instant),
    /// It has been dead for so long, or so many have died since, that only the sums of the retired know of it.
    Buried,
    /// It could not be read, or has not been read yet. One that could be once has said something.
    Refused { times: u32, next_try: Instant, last: Option<Box<Packed>> },
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
    reaps: bool,
    /// The names of the dead that are shown, in the order of their deaths.
    dead: VecDeque<PathBuf>,
    /// The directory's stamp before the last scan, when that was, and whether a scan would find the same.
    scanned: Option<(Stamp, Instant, bool)>,
    /// What was last said of the directory itself.
    complaint: Option<String>,
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
            reaps: true,
            dead: VecDeque::new(),
            scanned: None,
            complaint: None,
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

    /// Whether nothing has come or gone since the last scan.
    fn is_unchanged(&mut self, now: Instant) -> bool {
        let Some(stamp) = self.directory.stamp() else {
            self.scanned = None;
            return false;
        };
        match &mut self.scanned {
            Some((last, _, true)) if *last == stamp => true,
            Some((last, at, sure)) if *last == stamp => {
                *sure = now.duration_since(*at) >= TICK;
                false
            }
            scanned => {
                *scanned = Some((stamp, now, false));
                false
            }
        }
    }

    /// Lets go of the dead that are not to be shown any more.
    fn bury(&mut self, now: Instant) {
        while let Some(path) = self.dead.front() {
            let Some(State::Dead(_, since)) = self.entries.get(path).map(|entry| &entry.state) else {
                // Gone with its file.
                self.dead.pop_front();
                continue;
            };
            // Whoever removes segments sees the end of those that are removed.
            let over = !self.reaps && now.duration_since(*since) >= self.keep_dead;
            let due = over || self.dead.len() > DEAD;
            if !due {
                return;
            }
            if let Some(path) = self.dead.pop_front()
                && let Some(entry) = self.entries.get_mut(&path)
                && let Some(snapshot) = std::mem::replace(&mut entry.state, State::Buried).end()
            {
                self.retired.bury(snapshot);
            }
        }
    }

    /// Retires what has vanished and takes in what is new.
    fn rescan(&mut self, now: Instant) {
        if self.is_unchanged(now) {
            return;
        }
        let paths = match self.directory.scan() {
            Ok(paths) => {
                self.complaint = None;
                paths
            }
            Err(error) => {
                let complaint = error.to_string();
                if self.complaint.as_ref() != Some(&complaint) {
                    tracing::warn!("{complaint}");
                    self.errors += 1;
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
                state: State::Refused { times: 0, next_try: now, last: None },
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
    fn snapshots(&mut self) -> Vec<Packed> {
        let now = Instant::now();
        self.reap(now);
        self.rescan(now);
        let mut entries = std::mem::take(&mut self.entries);
        for (path, entry) in &mut entries {
            let died = match entry.state.read(&self.directory, path, now) {
                Ok(died) => died,
                Err(error) => {
                    self.errors += u64::from(entry.state.refuse(path, now, &error));
                    false
                }
            };
            if died {
                self.dead.push_back(path.clone());
                // At once: of ten thousand that are found dead, ten thousand snapshots must not be there at one time.
                if self.dead.len() > 2 * DEAD
                    && let Some(snapshot) = std::mem::replace(&mut entry.state, State::Buried).end()
                {
                    self.dead.pop_back();
                    self.retired.bury(snapshot);
                }
            }
        }
        self.entries = entries;
        self.bury(now);
        // What cannot be read now is shown as it last was: left out, its counts would fall, and come back.
        self.entries.values().filter_map(|entry| entry.state.last().cloned()).collect()
    }

    fn retired(&self) -> &Retired {
        &self.retired
    }

    fn errors(&self) -> u64 {
        self.errors
    }
}

impl State {
    /// Takes in what the file says now, if it is to be asked. Whether its process was found to be dead.
    fn read(&mut self, directory: &Directory, path: &Path, now: Instant) -> Result<bool, ReadError> {
        match self {
            State::Dead(..) | State::Buried => return Ok(false),
            State::Refused { next_try, .. } if now < *next_try => return Ok(false),
            // Liveness is looked at before the counts are read, so the counts of a dead process are its last.
            State::Live(segment, last) => {
                let age = Duration::from_nanos(clock::monotonic().saturating_sub(last.taken()));
                let read = if age < GLANCE { segment.glance() } else { segment.snapshot() };
                **last = read?.into();
            }
            State::Refused { .. } => {
                let segment = directory.open(path)?;
                let snapshot = Packed::of(segment.snapshot()?);
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
        let State::Live(_, last) = self else { return Ok(false) };
        if last.liveness() == Liveness::Live {
            return Ok(false);
        }
        tracing::info!(pid = last.process().pid, "the process is dead");
        // Its segment is unmapped with this.
        *self = State::Dead(last.clone(), now);
        Ok(true)
    }

    /// What it said when it could last be read.
    fn last(&self) -> Option<&Packed> {
        match self {
            State::Live(_, last) | State::Dead(last, _) => Some(last),
            State::Refused { last, .. } => last.as_deref(),
            State::Buried => None,
        }
    }

    /// The last that can be said of a file that has gone.
    fn end(self) -> Option<Snapshot> {
        match self {
            // Its file has lost its name, not its bytes: they stay mapped until here.
            State::Live(segment, last) => Some(segment.last().unwrap_or_else(|_| last.whole())),
            State::Dead(last, _) => Some(last.whole()),
            State::Buried => None,
            State::Refused { last, .. } => last.map(|last| last.whole()),
        }
    }

    /// Remembers a refusal; says whether it is the one that counts.
    fn refuse(&mut self, path: &Path, now: Instant, error: &ReadError) -> bool {
        let times = match self {
            State::Refused { times, .. } => *times + 1,
            // It could be read before: what is wrong with it now is no matter of patience.
            State::Live(..) | State::Dead(..) | State::Buried => PATIENCE,
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
mod tests;
