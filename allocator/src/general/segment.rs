//! The process's segment: made when the process can make one, and never missed where it cannot.
//!
//! A process begins with counters that nobody sees. The first slow path that finds an environment makes the segment, with the
//! means of the standard library, which allocate: by then allocations are served, and the thread that makes it has borrowed no
//! heap. Then each heap moves to a slot of the segment at its next slow path, and takes its counts along.
//!
//! A forked child begins anew, but not at once: most children soon become another program or end by `_exit`, and would leave
//! a file behind each time. So a child makes its segment once it has lived for a while ([`CHILDHOOD`]); its counts come along then.
//!
//! A process that is killed or ends by `_exit` leaves its file behind, and nobody is told. A sidecar removes it after a while, so does who
//! finds the directory full; where there is neither, one process in [`TIDY`] that makes a segment does.
//!
//! Invariant: a heap's slot is of the generation that it remembers; generations only go up.

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use stormglass_telemetry::{Directory, Identity, Inside, WriteError, Writer, clock};

use super::errno;
use super::inside;
use super::mid;
use super::process::{self, Core};
use super::size_class::{CLASS_BYTES, CLASSES};
use super::thread::{OwnSlot, ThreadHeap};
use crate::misuse;

const WANTED: u8 = 0;
const MAKING: u8 = 1;
const SETTLED: u8 = 2;

/// How long a forked child lives without a segment, in nanoseconds.
const CHILDHOOD: u64 = 100_000_000;

/// One process in so many removes what others have left behind: those that were killed, or ended by `_exit`.
const TIDY: u32 = 64;
/// What they left stays for so long, for who wants to look at it. A sidecar sees to it itself, in its own time.
const LEFT: Duration = Duration::from_mins(10);

/// The segment of the process, or why there is none.
pub(super) struct Segment {
    state: AtomicU8,
    /// What the last writer was made for: the heaps of a lower generation move.
    generation: AtomicU32,
    /// Not before this moment of the monotonic clock; a fork sets it.
    not_before: AtomicU64,
    /// Never dropped; null where there is none.
    writer: AtomicPtr<Writer<CLASSES, 1>>,
}

impl Segment {
    pub(super) fn new() -> Segment {
        Segment {
            state: AtomicU8::new(WANTED),
            generation: AtomicU32::new(0),
            not_before: AtomicU64::new(0),
            writer: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// Makes the segment, if that is to be done and can be. May allocate.
    #[inline]
    pub(super) fn settle(&self) {
        // Relaxed: a hint; the exchange below decides.
        if self.state.load(Ordering::Relaxed) == WANTED {
            errno::kept(|| self.make());
        }
    }

    #[cold]
    fn make(&self) {
        let not_before = self.not_before.load(Ordering::Relaxed);
        if process::environment().is_none()
            || (not_before > 0 && clock::monotonic() < not_before)
            || self.state.compare_exchange(WANTED, MAKING, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let Some(options) = process::read_options() else { return };
        let directory = directory();
        let inside = inside::decide(options.perf);
        match create(&directory, inside) {
            Ok(writer) => {
                // Release: pairs with the Acquire in `writer`.
                self.writer.store(Box::into_raw(Box::new(writer)), Ordering::Release);
                self.generation.fetch_add(1, Ordering::Release);
                KEEP.store(options.keep, Ordering::Relaxed);
                remove_at_exit();
            }
            Err(error) if options.verbose => {
                misuse::say(format_args!("this process runs uncounted: {error}"));
            }
            Err(_) => {}
        }
        if not_before == 0
            && let Some(name) = variable(b"STORMGLASS_STRATEGY=")
        {
            mid::make(name, &directory, inside);
        }
        self.state.store(SETTLED, Ordering::Relaxed);
    }

    fn writer(&self) -> Option<&'static Writer<CLASSES, 1>> {
        // Acquire: pairs with the Release in `make`.
        // SAFETY: null, or a writer that is never dropped.
        unsafe { self.writer.load(Ordering::Acquire).as_ref() }
    }

    /// A slot for a heap, and its generation; none where there is no memory at all.
    pub(super) fn claim(&self, core: &'static Core) -> Option<(OwnSlot, u32)> {
        // Acquire: pairs with the Release in `make`. The writer is of this generation or a later one, and then the heap moves
        // once more than it had to.
        let generation = self.generation.load(Ordering::Acquire);
        let slot = self.writer().unwrap_or(&core.detached).claim().ok()?;
        Some((slot, generation))
    }

    /// Moves a heap to a slot of the segment, if that has been made since it got its own.
    #[inline]
    pub(super) fn follow(&self, core: &'static Core, heap: &mut ThreadHeap) {
        if heap.generation() != self.generation.load(Ordering::Acquire) {
            self.lead(core, heap);
        }
    }

    #[cold]
    fn lead(&self, core: &'static Core, heap: &mut ThreadHeap) {
        let Some((slot, generation)) = self.claim(core) else { return };
        core.threads.with(None, |_| heap.move_to(slot, generation));
    }

    /// The segment's file.
    pub(super) fn path(&self) -> Option<&'static Path> {
        self.writer()?.path()
    }

    /// In the child of a fork: the parent's segment is the parent's. The generation of what comes next.
    pub(super) fn after_fork_in_child(&self) -> u32 {
        self.writer.store(core::ptr::null_mut(), Ordering::Relaxed);
        self.state.store(WANTED, Ordering::Relaxed);
        self.not_before.store(clock::monotonic() + CHILDHOOD, Ordering::Relaxed);
        self.generation.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// What the environment says of a variable; none if it is not there or empty.
fn variable(name_and_equals: &[u8]) -> Option<&'static [u8]> {
    let value = process::environment()?.find_map(|entry| entry.strip_prefix(name_and_equals))?;
    (!value.is_empty()).then_some(value)
}

fn directory() -> Directory {
    match variable(b"STORMGLASS_DIR=") {
        Some(path) => Directory::at(Path::new(std::ffi::OsStr::from_bytes(path))),
        None => Directory::at(format!("/dev/shm/stormglass-{}", rustix::process::geteuid().as_raw())),
    }
}

fn create(directory: &Directory, inside: Inside) -> Result<Writer<CLASSES, 1>, WriteError> {
    let identity = Identity { strategy: "page", inside, ..Identity::default() };
    if rustix::process::getpid().as_raw_nonzero().get().unsigned_abs().is_multiple_of(TIDY)
        && let Some(reaper) = directory.reaper()
    {
        reaper.reap(LEFT);
    }
    match Writer::create_general(directory, &identity, &CLASS_BYTES) {
        Err(WriteError::Full { .. })
            if directory.reaper().is_some_and(|reaper| reaper.reap(Duration::ZERO) > 0) =>
        {
            Writer::create_general(directory, &identity, &CLASS_BYTES)
        }
        made => made,
    }
}

/// Whether the file stays when the process ends.
static KEEP: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    fn atexit(function: extern "C" fn()) -> core::ffi::c_int;
}

/// Sees to it that the file goes when the process ends as it should. A sidecar that has it mapped still reads the last counts.
fn remove_at_exit() {
    static REGISTERED: AtomicU8 = AtomicU8::new(0);
    // Once: a child of a fork inherits it. Relaxed: only counts.
    if REGISTERED.swap(1, Ordering::Relaxed) == 0 {
        // SAFETY: the function stays where it is. If it fails, the file stays, and is reaped as a dead process's.
        let _ = unsafe { atexit(ended) };
    }
}

extern "C" fn ended() {
    remove();
}

/// Removes the file, unless the user wants it to stay.
pub(super) fn remove() {
    if KEEP.load(Ordering::Relaxed) {
        return;
    }
    let own = process::core().and_then(|core| core.segment.path());
    for path in [own, mid::path()].into_iter().flatten() {
        let _ = rustix::fs::unlink(path);
    }
}
