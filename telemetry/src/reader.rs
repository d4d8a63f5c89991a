//! The reader's side of a segment: maps it read-only, checks everything that it says, adds up the slots.
//!
//! Invariant: no byte beyond the file's end, as it is when a reading begins, is touched, whatever the file says; and what is
//! read may change at any time: it is copied once and then checked, or it is a counter.
//!
//! What this does not hold against: a file that is cut off *while* it is read. Then the pages are gone from under the
//! mapping, and the reader gets a SIGBUS. No writer ever does that; only this user can, who can as well kill the reader.
//! Reading by `pread` would be an error there, and dearer: of 100 processes with 64 threads each, adding up in the mapping
//! took 25 ms where the copying alone took 27 ms (whole chunks) to 40 ms (only what was touched).

use core::mem::offset_of;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::mm::{MapFlags, ProtFlags};

use crate::counts::{Counts, Schema};
use crate::error::{Problem, ReadError};
use crate::layout::{Header, MAGIC};
use crate::parse::{self, CellAt, Head};
use crate::snapshot::{Liveness, Process, Snapshot};
use crate::{clock, liveness, protocol, resident};

/// Segments larger than this are refused: 4096 slots and room to spare.
const MAX_BYTES: u64 = 1 << 30;

/// A segment that can be read, now and after its process has died.
#[derive(Debug)]
pub struct Segment {
    path: PathBuf,
    file: OwnedFd,
    head: Head,
    process: Arc<Process>,
    schema: Arc<Schema>,
    mapping: Mutex<Mapping>,
}

/// A read-only view of the file's first bytes.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is read through atomics only, and belongs to this value.
unsafe impl Send for Mapping {}

impl Mapping {
    fn of(file: &OwnedFd, len: u64) -> Result<Mapping, Problem> {
        let len = len as usize;
        // SAFETY: a new mapping at an address of the kernel's choice aliases nothing.
        let start = unsafe {
            rustix::mm::mmap(core::ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, file, 0)
        };
        let start = start.map_err(|errno| Problem::System("map it", errno))?;
        let start = NonNull::new(start.cast()).ok_or(Problem::Malformed("it maps to address 0"))?;
        Ok(Mapping { start, len })
    }

    /// The word at `offset`, which must lie inside and be aligned.
    fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset + 4 <= self.len, "{offset} of {}", self.len);
        // SAFETY: inside the mapping and aligned, by the check; shared memory is only ever read through atomics.
        unsafe { self.start.add(offset).cast().as_ref() }
    }

    /// The cell at `offset`, which must lie inside and be aligned.
    #[inline]
    fn cell(&self, offset: usize) -> u64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len, "{offset} of {}", self.len);
        // SAFETY: as in `word`.
        let cell: &AtomicU64 = unsafe { self.start.add(offset).cast().as_ref() };
        // Relaxed: counters publish nothing, and readers may lag.
        cell.load(Ordering::Relaxed)
    }

    /// The first `len` bytes, copied once: what is checked is what is used.
    fn copy(&self, len: usize) -> Vec<u8> {
        // Relaxed: `published` stood before this.
        (0..len / 4).flat_map(|i| self.word(i * 4).load(Ordering::Relaxed).to_ne_bytes()).collect()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `of` made exactly this mapping, and no reference outlives the value.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

impl Segment {
    /// Opens a segment and checks all that it says of itself.
    ///
    /// # Errors
    /// If it is not a segment of this user that this reader understands; the error says what and why.
    pub fn open(path: &Path) -> Result<Segment, ReadError> {
        Segment::open_checked(path).map_err(|problem| ReadError { path: path.to_owned(), problem })
    }

    fn open_checked(path: &Path) -> Result<Segment, Problem> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|errno| Problem::System("open it", errno))?;
        let len = check_file(&file)?;
        // A file that is too short for a header may still say what it is.
        let mut start = [0; 16];
        let read =
            rustix::io::pread(&file, &mut start, 0).map_err(|errno| Problem::System("read it", errno))?;
        if read == 0 {
            return Err(Problem::Starting);
        }
        let head_bytes = size_of::<Header>() as u64;
        if len >= head_bytes && start[..size_of_val(&MAGIC)] == [0; 8] {
            return Err(Problem::Starting);
        }
        parse::check_magic(&start[..read])?;
        if len < head_bytes {
            return Err(Problem::Truncated { has: len, needs: head_bytes });
        }
        let mapping = Mapping::of(&file, len)?;
        if protocol::published(mapping.word(offset_of!(Header, ready))) == 0 {
            return Err(Problem::Starting);
        }
        let chunks_offset = mapping.cell(offset_of!(Header, chunks_offset));
        if chunks_offset > parse::MAX_HEAD {
            return Err(Problem::Malformed("the first chunk's place"));
        }
        if len < chunks_offset {
            return Err(Problem::Truncated { has: len, needs: chunks_offset });
        }
        let head = parse::head(&mapping.copy(chunks_offset as usize))?;
        let needs =
            parse::needed(&head.geometry, protocol::published(mapping.word(offset_of!(Header, chunks))))?;
        if len < needs {
            return Err(Problem::Truncated { has: len, needs });
        }
        let process = Arc::new(head.process.clone());
        let schema = Arc::new(head.schema.clone());
        Ok(Segment { path: path.to_owned(), file, head, process, schema, mapping: Mutex::new(mapping) })
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
        liveness::probe(&self.file, self.process.pid, self.process.start_time, self.head.pid_namespace)
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
        self.read().map_err(|problem| ReadError { path: self.path.clone(), problem })
    }

    fn read(&self) -> Result<Snapshot, Problem> {
        // Before the counts: a process that dies in between was alive when it was looked at, and its counts are its last.
        let liveness = self.liveness();
        // A panic while it was held cannot leave it in a bad state: it is only ever replaced whole.
        let mut mapping = self.mapping.lock().unwrap_or_else(PoisonError::into_inner);
        let len = check_file(&self.file)?;
        if len < mapping.len as u64 {
            return Err(Problem::Truncated { has: len, needs: mapping.len as u64 });
        }
        let g = self.head.geometry;
        let chunks = protocol::published(mapping.word(offset_of!(Header, chunks)));
        let needs = parse::needed(&g, chunks)?;
        if needs > mapping.len as u64 {
            if len < needs {
                return Err(Problem::Truncated { has: len, needs });
            }
            *mapping = Mapping::of(&self.file, len)?;
        }

        // In another namespace the number may be somebody else's.
        let visible = liveness == Liveness::Live && self.head.pid_namespace == liveness::pid_namespace();
        let resident_bytes = visible.then(|| resident::bytes(self.process.pid)).flatten();

        let mut counts = Counts::zero(Arc::clone(&self.schema));
        let mut heartbeat = 0;
        let mut threads = 0;
        for chunk in 0..u64::from(chunks) {
            let chunk_at = (g.chunks_offset + chunk * g.chunk_bytes) as usize;
            for slot in 0..g.slots_per_chunk {
                // Relaxed: a gauge.
                let owner = mapping.word(chunk_at + slot as usize * 4).load(Ordering::Relaxed);
                threads += u32::from(owner != 0);
                let at = chunk_at + (g.slots_offset + slot * g.slot_bytes) as usize;
                heartbeat = heartbeat.max(mapping.cell(at + g.heartbeat_offset as usize));
                let mut add = |cells: &[CellAt]| {
                    for cell in cells {
                        let value = &mut counts.values[cell.value as usize];
                        *value = value.wrapping_add(mapping.cell(at + cell.offset as usize));
                    }
                };
                add(&self.head.always);
                let mut touched = mapping.cell(at + g.touched_offset as usize);
                while touched != 0 {
                    add(&self.head.by_bit[touched.trailing_zeros() as usize]);
                    touched &= touched - 1;
                }
            }
        }
        Ok(Snapshot {
            process: Arc::clone(&self.process),
            liveness,
            taken: clock::monotonic(),
            born: self.head.born,
            heartbeat,
            threads,
            threads_started: mapping.cell(offset_of!(Header, threads_started)),
            threads_dropped: mapping.cell(offset_of!(Header, threads_dropped)),
            segment_bytes: len,
            resident_bytes,
            counts,
        })
    }
}

/// Size of a file that may be a segment: a regular file of this user.
fn check_file(file: &OwnedFd) -> Result<u64, Problem> {
    let stat = rustix::fs::fstat(file).map_err(|errno| Problem::System("look at it", errno))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Problem::NotOurs("it is not a regular file"));
    }
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Problem::NotOurs("it belongs to another user"));
    }
    let len = stat.st_size.cast_unsigned();
    if len > MAX_BYTES { Err(Problem::Malformed("it is larger than any segment")) } else { Ok(len) }
}
