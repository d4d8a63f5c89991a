//! The reader's side of a segment: maps it read-only, checks everything that it says, has its slots added up (reading.rs).
//!
//! Invariant: no byte beyond the file's end, as it is when a reading begins, is touched, whatever the file says; a file that is
//! cut off while it is read is an error (sigbus.rs); and what is read may change at any time: it is copied once and then checked,
//! or it is a counter. What never changes once a segment is ready is read as any file is, so that a segment that is only
//! looked at is not mapped; and of what is mapped only that stays resident which every reading reads (quiet.rs).

use core::mem::offset_of;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::process::Uid;

use crate::error::{Problem, ReadError};
use crate::layout::{Header, MAGIC};
use crate::mapping::Mapping;
use crate::parse::{self, Head};
use crate::quiet::{Look, Quiet};
use crate::reading::{add_up, read_at};
use crate::snapshot::{Liveness, Process, Snapshot};
use crate::{clock, liveness, protocol, resident};

/// Segments larger than this are refused: 4096 slots and room to spare.
const MAX_BYTES: u64 = 1 << 30;

/// Time between two looks at the process of a segment: whose lock is held (only a forked child can hold it for another), and how
/// much of which is in memory.
const LOOK_UP_EVERY: u64 = 1_000_000_000;

/// A segment that can be read, now and after its process has died.
#[derive(Debug)]
pub struct Segment {
    path: PathBuf,
    file: OwnedFd,
    owner: Uid,
    head: Head,
    process: Arc<Process>,
    /// Whether pids mean the same to its writer and to this process.
    same_namespace: bool,
    state: Mutex<State>,
}

/// What changes from reading to reading.
#[derive(Debug)]
struct State {
    /// Made by the first reading.
    mapping: Option<Mapping>,
    quiet: Quiet,
    /// When its process was last looked up, and how much of it was in memory then.
    looked: u64,
    /// By how much it is looked up sooner, once.
    lead: u64,
    resident: Option<u64>,
}

impl Segment {
    /// Opens a segment of this user and checks all that it says of itself.
    ///
    /// # Errors
    /// If it is not a segment that this reader understands; the error says what and why.
    pub fn open(path: &Path) -> Result<Segment, ReadError> {
        Segment::open_of(path, rustix::process::geteuid())
    }

    /// As [`Segment::open`], of the user whose directory it lies in.
    pub(crate) fn open_of(path: &Path, owner: Uid) -> Result<Segment, ReadError> {
        Segment::open_checked(path, owner).map_err(|problem| ReadError { path: path.to_owned(), problem })
    }

    fn open_checked(path: &Path, owner: Uid) -> Result<Segment, Problem> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|errno| Problem::System("open it", errno))?;
        let len = check_file(&file, owner)?;
        // A file that is too short for a header may still say what it is.
        let start = read_head(&file, size_of::<Header>())?;
        if start.is_empty() {
            return Err(Problem::Starting);
        }
        let head_bytes = size_of::<Header>();
        if start.len() >= head_bytes && start[..size_of_val(&MAGIC)] == [0; 8] {
            return Err(Problem::Starting);
        }
        parse::check_magic(&start)?;
        if start.len() < head_bytes {
            return Err(Problem::Truncated { has: len, needs: head_bytes as u64 });
        }
        let word = |offset: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|i| start[offset + i]));
        if protocol::seen(word(offset_of!(Header, ready))) == 0 {
            return Err(Problem::Starting);
        }
        let at = offset_of!(Header, chunks_offset);
        let chunks_offset = u64::from_ne_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| start[at + i]));
        if chunks_offset > parse::MAX_HEAD {
            return Err(Problem::Malformed("the first chunk's place"));
        }
        if len < chunks_offset {
            return Err(Problem::Truncated { has: len, needs: chunks_offset });
        }
        let head = parse::head(&read_head(&file, chunks_offset as usize)?)?;
        let needs = parse::needed(&head.layout.geometry, protocol::seen(word(offset_of!(Header, chunks))))?;
        if len < needs {
            return Err(Problem::Truncated { has: len, needs });
        }
        let process = Arc::new(head.process.clone());
        let same_namespace = head.pid_namespace != 0 && head.pid_namespace == liveness::pid_namespace();
        // Segments that are found together take turns with what takes long.
        let phase = process.pid.wrapping_add(process.sequence);
        let quiet = Quiet::new(phase);
        let lead = LOOK_UP_EVERY / 16 * u64::from(phase % 16);
        let state = Mutex::new(State { mapping: None, quiet, looked: 0, lead, resident: None });
        Ok(Segment { path: path.to_owned(), file, owner, head, process, same_namespace, state })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose segment it is.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Whether its process lives now.
    pub fn liveness(&self) -> Liveness {
        liveness::probe(&self.file, self.visible_process())
    }

    /// Pid and start time, where they can be looked up. 0 is what a process writes that cannot see its own.
    fn visible_process(&self) -> Option<(u32, u64)> {
        (self.same_namespace && self.process.start_time != 0)
            .then_some((self.process.pid, self.process.start_time))
    }

    /// How long its process has been dead; the first look notes it. None if that cannot be done.
    pub(crate) fn dead_for(&self) -> Option<Duration> {
        liveness::dead_for(&self.file)
    }

    /// The sums over all slots, now.
    ///
    /// # Errors
    /// If the file has been truncated since it was opened.
    pub fn snapshot(&self) -> Result<Snapshot, ReadError> {
        self.read(Look::Each)
    }

    /// As [`Segment::snapshot`], for who has just read it and reads it again and again: where there are many slots, what a thread counts
    /// that has counted nothing for a hundred readings may show one reading late. Takes half the time. The last one of a process has
    /// every count.
    ///
    /// # Errors
    /// As there.
    pub fn glance(&self) -> Result<Snapshot, ReadError> {
        self.read(Look::Glance)
    }

    /// As [`Segment::snapshot`], with every count that there is, whatever the process does: for a file that will not be read again.
    ///
    /// # Errors
    /// As there.
    pub fn last(&self) -> Result<Snapshot, ReadError> {
        self.read(Look::Full)
    }

    fn read(&self, look: Look) -> Result<Snapshot, ReadError> {
        self.read_checked(look).map_err(|problem| ReadError { path: self.path.clone(), problem })
    }

    fn read_checked(&self, look: Look) -> Result<Snapshot, Problem> {
        // A panic while it was held cannot leave it in a bad state: the sums are begun anew at the next full reading.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the counts: a process that dies in between was alive when it was looked at, and its counts are its last.
        let now = clock::monotonic();
        let due = now.saturating_sub(state.looked) >= LOOK_UP_EVERY;
        if due {
            state.looked = now - std::mem::take(&mut state.lead).min(now);
        }
        let liveness = liveness::probe(&self.file, self.visible_process().filter(|_| due));
        if due && self.same_namespace {
            state.resident = resident::bytes(self.process.pid);
        }
        let resident_bytes = state.resident.filter(|_| liveness == Liveness::Live);

        let len = check_file(&self.file, self.owner)?;
        let State { mapping, quiet, .. } = &mut *state;
        let layout = &*self.head.layout;
        let sums = loop {
            let mapped = match mapping {
                Some(mapping) => mapping,
                None => mapping.insert(Mapping::of(&self.file, len)?),
            };
            if len < mapped.len() {
                return Err(Problem::Truncated { has: len, needs: mapped.len() });
            }
            let look = if liveness == Liveness::Dead { Look::Full } else { look };
            match mapped.watched(|view| add_up(mapped, view, &self.file, layout, quiet, look)) {
                Some(Ok(sums)) => break sums,
                Some(Err(Problem::Truncated { needs, .. })) if needs <= len && mapped.len() < len => {
                    // It has grown since it was mapped.
                    *mapping = None;
                }
                Some(Err(problem)) => return Err(problem),
                None => {
                    let needs = mapped.len();
                    *mapping = None;
                    let has = check_file(&self.file, self.owner)?;
                    return Err(Problem::Truncated { has, needs });
                }
            }
        };
        Ok(Snapshot {
            process: Arc::clone(&self.process),
            liveness,
            taken: clock::monotonic(),
            born: self.head.born,
            heartbeat: sums.heartbeat,
            threads: sums.threads,
            threads_started: sums.threads_started,
            threads_dropped: sums.threads_dropped,
            segment_bytes: len,
            resident_bytes,
            counts: sums.counts,
        })
    }
}

/// The file's first bytes: `len` of them, or as many as there are.
fn read_head(file: &OwnedFd, len: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = vec![0; len];
    let read = read_at(file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Size of a file that may be a segment: a regular file of the user who may have put it there.
fn check_file(file: &OwnedFd, owner: Uid) -> Result<u64, Problem> {
    let stat = rustix::fs::fstat(file).map_err(|errno| Problem::System("look at it", errno))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Problem::NotOurs("it is not a regular file"));
    }
    if stat.st_uid != owner.as_raw() {
        return Err(Problem::NotOurs("it belongs to another user"));
    }
    let len = stat.st_size.cast_unsigned();
    if len > MAX_BYTES { Err(Problem::Malformed("it is larger than any segment")) } else { Ok(len) }
}
