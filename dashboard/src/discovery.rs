//! Finds the segments of this user as they come and go, and keeps them open in between.
//!
//! Invariants: a live segment is mapped once, however often it is read; a dead one is read to its end once and then
//! unmapped, because nothing in it can change any more; a file that cannot be read is said once and asked again
//! less and less often.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stormglass_telemetry::{Directory, Liveness, ReadError, Segment, Snapshot};

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

/// What is known of one file.
enum Entry {
    /// Mapped, and its process lived at the last read.
    Live(Segment),
    /// Its process is dead; this is the last that can be said of it.
    Dead(Box<Snapshot>),
    /// It could not be read.
    Refused { times: u32, next_try: Instant },
}

/// The segments of one directory.
pub(crate) struct Discovery {
    directory: Directory,
    keep_dead: Duration,
    entries: BTreeMap<PathBuf, Entry>,
    errors: u64,
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
            errors: 0,
            complaint: None,
            next_reap: Instant::now(),
        }
    }

    fn reap(&mut self, now: Instant) {
        if now < self.next_reap {
            return;
        }
        self.next_reap = now + REAP.min(self.keep_dead.max(Duration::from_millis(200)));
        let removed = self.directory.reap(self.keep_dead);
        if removed > 0 {
            tracing::info!(removed, directory = %self.directory.path().display(), "removed segments of dead processes");
        }
    }

    /// Drops what has vanished and takes in what is new.
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
                Vec::new()
            }
        };
        let mut before = std::mem::take(&mut self.entries);
        for path in paths {
            let entry =
                before.remove(&path).unwrap_or_else(|| Entry::Refused { times: 0, next_try: Instant::now() });
            self.entries.insert(path, entry);
        }
    }
}

impl Source for Discovery {
    fn snapshots(&mut self) -> Vec<Snapshot> {
        let now = Instant::now();
        self.reap(now);
        self.rescan();
        let mut snapshots = Vec::with_capacity(self.entries.len());
        for (path, entry) in &mut self.entries {
            match entry.read(path, now) {
                Ok(snapshot) => snapshots.extend(snapshot),
                Err(error) => self.errors += u64::from(entry.refuse(path, now, &error)),
            }
        }
        snapshots
    }

    fn errors(&self) -> u64 {
        self.errors
    }
}

impl Entry {
    /// What the file says now; `None` if it is not to be asked yet.
    fn read(&mut self, path: &Path, now: Instant) -> Result<Option<Snapshot>, ReadError> {
        if let Entry::Refused { next_try, .. } = self {
            if now < *next_try {
                return Ok(None);
            }
            let segment = Segment::open(path)?;
            let process = segment.process();
            tracing::info!(
                pid = process.pid,
                command = %process.command,
                strategy = %process.strategy,
                workload = %process.workload,
                "found a process"
            );
            *self = Entry::Live(segment);
        }
        let snapshot = match self {
            Entry::Live(segment) => segment.snapshot()?,
            Entry::Dead(snapshot) => return Ok(Some((**snapshot).clone())),
            Entry::Refused { .. } => return Ok(None),
        };
        if let (Liveness::Dead, Entry::Live(segment)) = (snapshot.liveness, &*self) {
            // It may have counted on after its counts were read and before its death was seen. Now it cannot.
            let last = segment.snapshot()?;
            tracing::info!(pid = last.process.pid, "a process ended");
            *self = Entry::Dead(Box::new(last));
            return self.read(path, now);
        }
        Ok(Some(snapshot))
    }

    /// Remembers a refusal; says whether it is the one that counts.
    fn refuse(&mut self, path: &Path, now: Instant, error: &ReadError) -> bool {
        let times = match self {
            Entry::Refused { times, .. } => *times + 1,
            // It could be read before: what is wrong with it now is no matter of patience.
            Entry::Live(_) | Entry::Dead(_) => PATIENCE,
        };
        let wait = FIRST_RETRY.saturating_mul(1 << (times - 1).min(16)).min(LAST_RETRY);
        *self = Entry::Refused { times, next_try: now + wait };
        if times == PATIENCE {
            tracing::warn!(file = %path.display(), "{error}");
        }
        times == PATIENCE
    }
}
