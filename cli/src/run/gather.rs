//! Reads what the program and its children count, while they run and after.
//!
//! Invariant: of every process whose segment was seen, one last snapshot is kept. A segment is looked for often enough
//! that few short lives are missed, and those of the dead are removed when there are many: a program that starts thousands
//! of others must not fill the shared memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use stormglass_telemetry::diagnosis::{Around, Change, Diagnostician, Finding};
use stormglass_telemetry::{Directory, Liveness, Process, Segment, Snapshot};

use crate::failure::Failure;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(100);
/// Segments of dead processes that are left for the page to show.
const DEAD: usize = 64;
/// Findings that are kept; of more, the first.
const FOUND: usize = 256;

/// What came of it.
#[derive(Default)]
pub(crate) struct Gathered {
    /// The last of each segment.
    pub(crate) last: Vec<Snapshot>,
    /// Most bytes that callers held, of all looks.
    pub(crate) peak_live: u64,
    /// Most bytes that were resident, of all looks.
    pub(crate) peak_resident: u64,
    /// What was found wrong, in the order in which it turned on.
    pub(crate) found: Vec<Found>,
}

/// A verdict that was on.
pub(crate) struct Found {
    pub(crate) process: Arc<Process>,
    /// As it was when it turned on.
    pub(crate) finding: Finding,
    /// When it was over; none if the run ended first. By the clock of the finding.
    pub(crate) until: Option<u64>,
}

/// Reads on a thread of its own.
pub(crate) struct Gatherer {
    end: Sender<()>,
    reader: JoinHandle<Gathered>,
}

impl Gatherer {
    /// # Errors
    /// If there can be no thread.
    pub(crate) fn start(directory: Directory) -> Result<Gatherer, Failure> {
        let (end, ended) = mpsc::channel();
        let read = move || {
            let mut looks = Looks::default();
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                looks.look(&directory);
            }
            // All is said by now: what ended has ended.
            looks.look(&directory);
            looks.gathered()
        };
        let reader = thread::Builder::new()
            .name("gatherer".to_owned())
            .spawn(read)
            .map_err(|e| Failure::failed(format!("the counts cannot be gathered: {e}")))?;
        Ok(Gatherer { end, reader })
    }

    /// Looks a last time.
    pub(crate) fn finish(self) -> Gathered {
        // Both fail only if the reader panicked, and then there is nothing.
        let _ = self.end.send(());
        self.reader.join().unwrap_or_default()
    }
}

/// One segment.
enum Read {
    Open(Box<Segment>, Box<Diagnostician>),
    /// Its process is dead, and nothing changes any more.
    Last(Box<Snapshot>),
}

#[derive(Default)]
struct Looks {
    segments: BTreeMap<PathBuf, Read>,
    /// Of those whose file has gone.
    gone: Vec<Snapshot>,
    peak_live: u64,
    peak_resident: u64,
    found: Vec<Found>,
}

impl Looks {
    fn look(&mut self, directory: &Directory) {
        let paths = directory.scan().unwrap_or_default();
        for path in &paths {
            if !self.segments.contains_key(path)
                && let Ok(segment) = Segment::open(path)
            {
                self.segments.insert(path.clone(), Read::Open(Box::new(segment), Box::default()));
            }
        }
        let (mut live, mut resident) = (0, 0);
        let mut dead = Vec::new();
        for (path, read) in &mut self.segments {
            if let Read::Open(segment, diagnostician) = read {
                let Ok(snapshot) = segment.snapshot() else { continue };
                let changes = diagnostician.see(&snapshot, &Around::default());
                enter(&mut self.found, &snapshot.process, changes);
                if snapshot.liveness == Liveness::Live {
                    live += snapshot.live_bytes().unwrap_or(0);
                    // A process that has two segments has its memory once.
                    resident +=
                        snapshot.resident_bytes.filter(|_| snapshot.process.sequence == 0).unwrap_or(0);
                    continue;
                }
                *read = Read::Last(Box::new(snapshot));
            }
            dead.push(path.clone());
        }
        self.peak_live = self.peak_live.max(live);
        self.peak_resident = self.peak_resident.max(resident);
        let surplus = dead.len().saturating_sub(DEAD);
        for path in &dead[..surplus] {
            self.bury(path);
        }
    }

    /// Removes the file of a dead process; its name may come back.
    fn bury(&mut self, path: &Path) {
        if let Some(Read::Last(snapshot)) = self.segments.remove(path) {
            self.gone.push(*snapshot);
        }
        let _ = fs::remove_file(path);
    }

    fn gathered(self) -> Gathered {
        let last = self.segments.into_values().filter_map(|read| match read {
            Read::Open(segment, _) => segment.snapshot().ok(),
            Read::Last(snapshot) => Some(*snapshot),
        });
        Gathered {
            last: self.gone.into_iter().chain(last).collect(),
            peak_live: self.peak_live,
            peak_resident: self.peak_resident,
            found: self.found,
        }
    }
}

fn enter(found: &mut Vec<Found>, process: &Arc<Process>, changes: Vec<Change>) {
    for change in changes {
        match change {
            Change::Raised(finding) if found.len() < FOUND => {
                found.push(Found { process: Arc::clone(process), finding, until: None });
            }
            Change::Raised(_) => {}
            Change::Cleared(past, _) => {
                let same = |f: &&mut Found| {
                    f.process == *process
                        && f.finding.since == past.finding.since
                        && f.finding.place == past.finding.place
                        && f.finding.verdict == past.finding.verdict
                };
                if let Some(found) = found.iter_mut().find(same) {
                    found.until = Some(past.until);
                }
            }
        }
    }
}
