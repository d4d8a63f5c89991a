//! The writer's side of a segment: makes the file, hands a slot to each thread.
//!
//! Invariant: a slot has one owner at a time, and [`Writer::claim`] takes nothing from the heap: it may run inside an
//! allocator's first allocation on a thread.

use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FallocateFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use crate::directory::Directory;
use crate::error::{ClaimError, WriteError};
use crate::fork::{self, Mappings, Registered};
use crate::layout::{
    Chunk, DescriptorRecord, Header, LabelRecord, MAGIC, MAX_CHUNKS, SLOTS_OFFSET, chunks_offset,
    descriptor_record, field, label_record,
};
use crate::schema::{CLASSES, Inside, Label, SHARDS, Shape};
use crate::slot::SlotCounters;
use crate::{clock, liveness, protocol};

/// Number of this process's next segment.
static SEQUENCE: AtomicU32 = AtomicU32::new(0);

/// What a segment says of its process, besides what the kernel knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity<'a> {
    /// Free-list design; cut after 32 bytes.
    pub strategy: &'a str,
    /// What a benchmark runs, else empty; cut after 32 bytes.
    pub workload: &'a str,
    /// What delay is injected, else empty; cut after [`INJECTED_BYTES`](crate::INJECTED_BYTES).
    pub injected: &'a str,
    /// Which hardware counters its threads sample their slow paths by.
    pub inside: Inside,
}

/// A process's counters, by `C` classes and `S` shards of each: the mid pool's, unless said otherwise.
///
/// A forked child may go on with a writer that it inherits, and so with the slots and heaps of the thread that forked: they
/// work on, in private memory that starts as a copy of the parent's counts, and the parent's segment is out of its reach.
/// To be seen, a child makes a writer of its own.
pub struct Writer<const C: usize = CLASSES, const S: usize = SHARDS> {
    segment: Option<Mapped>,
}

/// A segment that others can see.
struct Mapped {
    path: PathBuf,
    /// None where the writer counts for a whole program: that one may close whatever is open, and may count on a number that
    /// is free, 0 before all. The lock that says that the writer lives is as good without: a mapping holds it too.
    file: Option<OwnedFd>,
    named: Named,
    header: NonNull<Header>,
    chunk: Chunk,
    mappings: Registered,
}

/// A file by its name, without an open descriptor.
struct Named {
    name: CString,
    device: u64,
    inode: u64,
}

impl Named {
    fn of(file: &OwnedFd, path: &Path) -> Result<Named, Errno> {
        let stat = rustix::fs::fstat(file)?;
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
        Ok(Named { name, device: stat.st_dev, inode: stat.st_ino })
    }

    /// Opens the file again, if it still has its name. Takes nothing from the heap.
    fn open(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(self.name.as_c_str(), flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        if (stat.st_dev, stat.st_ino) == (self.device, self.inode) { Ok(file) } else { Err(Errno::STALE) }
    }
}

// SAFETY: the header is written before `Mapped` exists and through atomics afterwards.
unsafe impl Send for Mapped {}
// SAFETY: as for `Send`.
unsafe impl Sync for Mapped {}

fn map(file: &OwnedFd, offset: usize, len: usize) -> Result<NonNull<u8>, Errno> {
    // SAFETY: a new mapping at an address of the kernel's choice aliases nothing.
    let start = unsafe {
        rustix::mm::mmap(
            core::ptr::null_mut(),
            len,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            file,
            offset as u64,
        )
    }?;
    NonNull::new(start.cast()).ok_or(Errno::NOMEM)
}

impl Writer {
    /// Makes a segment for a mid pool of this process in `directory`.
    ///
    /// # Errors
    /// If the directory is not this user's alone, or the file system has no room.
    pub fn create(directory: &Directory, identity: &Identity<'_>) -> Result<Writer, WriteError> {
        Writer::shaped(directory, identity, Shape { inside: identity.inside, ..Shape::MID })
    }
}

impl<const C: usize, const S: usize> Writer<C, S> {
    /// Makes a segment for an allocator of every size, with classes of its own.
    ///
    /// # Errors
    /// If the directory is not this user's alone, or the file system has no room.
    pub fn create_general(
        directory: &Directory,
        identity: &Identity<'_>,
        class_bytes: &[u32; C],
    ) -> Result<Writer<C, S>, WriteError> {
        Writer::shaped(
            directory,
            identity,
            Shape { class_bytes, shards: S, totals: true, inside: identity.inside },
        )
    }

    /// `shape` has `C` classes and `S` shards.
    fn shaped(
        directory: &Directory,
        identity: &Identity<'_>,
        shape: Shape<'_>,
    ) -> Result<Writer<C, S>, WriteError> {
        const { SlotCounters::<C, S>::FITS };
        directory.prepare()?;
        let pid = std::process::id();
        // Relaxed: a hint, which saves a process of many segments from trying the names of all its others.
        let mut sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
        let (file, path) = loop {
            let path = directory.segment_path(pid, sequence);
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => break (file, path),
                // Another pool of this process has it, or a dead process had the same pid: never take a file over.
                Err(Errno::EXIST) => sequence = sequence.wrapping_add(1),
                Err(errno) => return Err(WriteError::system("make the segment", &path, errno)),
            }
        };
        let mapped =
            Mapped::fill::<C, S>(file, path, pid, sequence, identity, shape).map_err(|(path, error)| {
                // Half a segment is of no use to anybody; if it cannot be removed, readers call it `starting`.
                let _ = std::fs::remove_file(path);
                error
            })?;
        Ok(Writer { segment: Some(mapped) })
    }

    /// Counters that nobody else can see: for programs without shared memory, and for tests.
    pub fn detached() -> Writer<C, S> {
        Writer { segment: None }
    }

    /// The segment's file; none if detached, or inherited by a forked child.
    pub fn path(&self) -> Option<&Path> {
        let segment = self.segment.as_ref().filter(|segment| !segment.mappings.are_forked())?;
        Some(&segment.path)
    }

    /// The delay that the segment says is injected; none if it says nothing or is detached.
    pub fn injected(&self) -> Option<&str> {
        let bytes = &self.segment.as_ref()?.header().injected;
        let len = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        // `field` cut a text at a character's boundary, so it is one still.
        core::str::from_utf8(&bytes[..len]).ok().filter(|text| !text.is_empty())
    }

    /// A slot for the calling thread. Where the segment can grow no more, the slot is private memory: the thread works on,
    /// and is counted as dropped. So it is in a forked child, where there is nothing to be counted in.
    ///
    /// # Errors
    /// If not even private memory can be had.
    pub fn claim(&self) -> Result<Slot<'_, C, S>, ClaimError> {
        let Some(segment) = self.segment.as_ref().filter(|segment| !segment.mappings.are_forked()) else {
            return Slot::private().map_err(ClaimError);
        };
        if let Some(slot) = segment.claim() {
            // Relaxed: a statistic.
            segment.header().threads_started.fetch_add(1, Ordering::Relaxed);
            return Ok(slot);
        }
        // Relaxed: a statistic.
        segment.header().threads_dropped.fetch_add(1, Ordering::Relaxed);
        Slot::private().map_err(ClaimError)
    }
}

impl Mapped {
    /// Writes a new segment and shows it. On an error the file's path comes back, for removal.
    fn fill<const C: usize, const S: usize>(
        file: OwnedFd,
        path: PathBuf,
        pid: u32,
        sequence: u32,
        identity: &Identity<'_>,
        shape: Shape<'_>,
    ) -> Result<Mapped, (PathBuf, WriteError)> {
        let head = chunks_offset();
        let layout = Chunk::of::<C, S>();
        let bytes = head + layout.bytes;
        let prepared = (|| {
            // Before anything is ready, so that no reader ever probes a lock that is not held yet.
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
                .map_err(|e| WriteError::system("lock", &path, e))?;
            // Allocated, not only sized: a hole on a full tmpfs would be a SIGBUS at the first count.
            rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes as u64).map_err(|e| match e {
                Errno::NOSPC | Errno::DQUOT => WriteError::Full { path: path.clone(), bytes: bytes as u64 },
                e => WriteError::system("allocate", &path, e),
            })?;
            let header = map(&file, 0, head).map_err(|e| WriteError::system("map", &path, e))?;
            let chunk = map(&file, head, layout.bytes).map_err(|e| WriteError::system("map", &path, e))?;
            let named = Named::of(&file, &path).map_err(|e| WriteError::system("look at", &path, e))?;
            Ok((header, chunk, named))
        })();
        let (start, chunk, named) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return Err((path, error)),
        };
        let header: NonNull<Header> = start.cast();
        let contents = Header {
            pid,
            sequence,
            start_time: liveness::start_time(pid).unwrap_or(0),
            pid_namespace: liveness::pid_namespace(),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            born: clock::monotonic(),
            command: field(std::fs::read_to_string("/proc/self/comm").unwrap_or_default().trim_end()),
            strategy: field(identity.strategy),
            workload: field(identity.workload),
            injected: field(identity.injected),
            ..Header::new::<C, S>(shape)
        };
        let (labels, descriptors) = (contents.labels_offset as usize, contents.descriptors_offset as usize);
        // SAFETY: the mapping is `head` bytes long, page-aligned and writable, and `head` covers the header, the label
        // records and the descriptor records, each at a multiple of 8. No reference to it exists in this process yet. Other
        // processes only read, and before `ready` nothing but the magic, which stays 0 meanwhile, and `ready`, which does too.
        unsafe {
            header.write(contents);
            for (i, &label) in Label::ALL.iter().enumerate() {
                start.add(labels).cast::<LabelRecord>().add(i).write(label_record(label, shape));
            }
            for (i, record) in shape.metrics().filter_map(descriptor_record::<C, S>).enumerate() {
                start.add(descriptors).cast::<DescriptorRecord>().add(i).write(record);
            }
        }
        let mappings = match Mappings::register(start, chunk, layout.bytes) {
            Ok(mappings) => mappings,
            Err(errno) => {
                let error = WriteError::system("keep apart from forked processes", &path, errno);
                return Err((path, error));
            }
        };
        // The mid pool's writers end before their process does, and then let go of the lock by their descriptor.
        let file = (!shape.totals).then_some(file);
        let mapped = Mapped { path, file, named, header, chunk: layout, mappings };
        // Release: whoever reads the magic from the file finds the header behind it.
        mapped.header().magic.store(u64::from_ne_bytes(MAGIC), Ordering::Release);
        protocol::publish(&mapped.header().chunks, 1);
        protocol::publish(&mapped.header().ready, 1);
        Ok(mapped)
    }

    fn header(&self) -> &Header {
        // SAFETY: `fill` wrote it, it stays mapped until drop, and only its atomics change.
        unsafe { self.header.as_ref() }
    }

    /// `C` and `S` are those that it was filled with.
    fn claim<const C: usize, const S: usize>(&self) -> Option<Slot<'_, C, S>> {
        debug_assert_eq!(self.chunk, Chunk::of::<C, S>());
        let owner = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
        loop {
            let count = protocol::published(&self.header().chunks) as usize;
            let found = (0..count).find_map(|number| {
                let chunk = self.mappings.chunk(number)?;
                // SAFETY: a chunk starts with its owner words, zeroed by the file system, and stays mapped until drop.
                let owners = unsafe { core::slice::from_raw_parts(chunk.cast().as_ptr(), self.chunk.slots) };
                let number = protocol::claim(owners, owner)?;
                // SAFETY: the slots follow at SLOTS_OFFSET, a page and so aligned; `number` is below the number of slots.
                let counters = unsafe { chunk.add(SLOTS_OFFSET).cast::<SlotCounters<C, S>>().add(number) };
                Some(Slot { counters, home: Home::Segment(&owners[number]), not_sync: PhantomData })
            });
            if found.is_some() || !self.grow(count) {
                return found;
            }
        }
    }

    /// Adds a chunk, unless another thread has done so since there were `seen`. `false` if there can be no more.
    fn grow(&self, seen: usize) -> bool {
        let locked = fork::lock();
        let count = protocol::published(&self.header().chunks) as usize;
        if count > seen {
            return true;
        }
        if count == MAX_CHUNKS {
            return false;
        }
        let bytes = self.chunk.bytes;
        let offset = chunks_offset() + count * bytes;
        let opened;
        let file = match &self.file {
            Some(file) => file,
            None => match self.named.open() {
                Ok(file) => {
                    opened = file;
                    &opened
                }
                Err(_) => return false,
            },
        };
        let allocated = rustix::fs::fallocate(file, FallocateFlags::empty(), offset as u64, bytes as u64);
        let Ok(chunk) = allocated.and_then(|()| map(file, offset, bytes)) else { return false };
        self.mappings.add(count, chunk, &locked);
        protocol::publish(&self.header().chunks, count as u32 + 1);
        true
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // Lock and file are the parent's if this is a child. The pid tells that also of one that ran no fork handlers.
        if self.mappings.are_forked() || self.header().pid != std::process::id() {
            return;
        }
        // Without a descriptor the mappings, which go now, are what holds the lock.
        let Some(file) = &self.file else { return };
        // The file stays, for a post-mortem. If the death cannot be noted, the first reader notes it.
        let _ = liveness::note_death(file);
        // Let go of the lock by name: closing would leave it held while a child that this
        // process is just starting has its copy of the descriptor, until the child's exec.
        let _ = rustix::fs::flock(file, FlockOperation::Unlock);
    }
}

/// A thread's counters, from [`Writer::claim`] until dropped.
pub struct Slot<'w, const C: usize = CLASSES, const S: usize = SHARDS> {
    counters: NonNull<SlotCounters<C, S>>,
    home: Home<'w>,
    /// Cells have one writer: two threads must not share a slot.
    not_sync: PhantomData<*mut ()>,
}

enum Home<'w> {
    Segment(&'w AtomicU32),
    Private,
}

// SAFETY: a slot may move to another thread as a whole; what it points to is atomics, and stays mapped for 'w.
unsafe impl<const C: usize, const S: usize> Send for Slot<'_, C, S> {}

impl<const C: usize, const S: usize> Slot<'_, C, S> {
    fn private() -> Result<Slot<'static, C, S>, Errno> {
        // SAFETY: a new anonymous mapping at an address of the kernel's choice aliases nothing.
        let start = unsafe {
            rustix::mm::mmap_anonymous(
                core::ptr::null_mut(),
                size_of::<SlotCounters<C, S>>(),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        let counters = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
        Ok(Slot { counters, home: Home::Private, not_sync: PhantomData })
    }
}

impl<const C: usize, const S: usize> Deref for Slot<'_, C, S> {
    type Target = SlotCounters<C, S>;

    #[inline]
    fn deref(&self) -> &SlotCounters<C, S> {
        // SAFETY: points to a zero-initialised, aligned slot that stays mapped while this value lives; all its fields are
        // atomics, for which any bytes are valid.
        unsafe { self.counters.as_ref() }
    }
}

impl<const C: usize, const S: usize> Drop for Slot<'_, C, S> {
    fn drop(&mut self) {
        match self.home {
            Home::Segment(owner) => {
                // The thread lived until now, from its rings perhaps: its last slow path may be long ago.
                self.heartbeat.set(clock::monotonic());
                protocol::release(owner);
            }
            Home::Private => {
                // SAFETY: `private` mapped exactly this, and no reference outlives the value.
                let _ = unsafe {
                    rustix::mm::munmap(self.counters.as_ptr().cast(), size_of::<SlotCounters<C, S>>())
                };
            }
        }
    }
}
