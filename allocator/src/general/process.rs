//! The one allocator of the process: how it is made, and what its threads share.
//!
//! ```text
//! state:  NONE --first allocation--> STARTING --> READY            (or FAILED: no address space; large blocks may still be had)
//! ```
//!
//! Between NONE and READY nothing is done but system calls, so nothing allocates, and there is no arena for the time before:
//! other threads wait for a few of those calls. What may allocate (the key for thread exits, the handlers for forks, the
//! segment) comes after READY and is served like any other allocation.
//!
//! Invariant: what READY announces is written before it, and never changes or goes away.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char};
use core::mem::MaybeUninit;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use stormglass_telemetry::Writer;
use stormglass_telemetry::clock::Clock;

use super::figures::Sums;
use super::large::lock::ForkLock;
use super::large::{Bounds, Large};
use super::limit::Limit;
use super::options::Options;
use super::segment::Segment;
use super::size_class::CLASSES;
use super::space::{self, Space};
use super::thread::Home;
use super::transfer::Transfer;
use super::{check, dead, errno, exit, fork};
use crate::futex::Futex;
use crate::page::{Pages, Records};

/// What is mapped for blocks, and how much may be.
pub(super) static LIMIT: Limit = Limit::none();
/// Blocks above 32 KiB.
pub(super) static LARGE: Large = Large::new(Bounds::DEFAULT, &LIMIT);

/// Batches between the rings.
pub(super) static TRANSFER: Transfer = Transfer::new();

/// How long free memory is kept, in nanoseconds.
static PURGE: AtomicU64 = AtomicU64::new(1_000_000_000);
/// As [`PURGE`]: for ever.
const NEVER: u64 = u64::MAX;

static STATE: Futex = Futex::of(NONE);
static CORE: Place = Place(UnsafeCell::new(MaybeUninit::uninit()));

const NONE: u32 = 0;
const STARTING: u32 = 1;
const READY: u32 = 2;
const FAILED: u32 = 3;

struct Place(UnsafeCell<MaybeUninit<Core>>);

// SAFETY: written once by who moved the state to STARTING, and read by who has seen READY.
unsafe impl Sync for Place {}

/// What all threads share.
pub(super) struct Core {
    pub(super) space: Space,
    pub(super) pages: Pages<CLASSES>,
    pub(super) clock: Clock,
    /// Gives slots that nobody sees.
    pub(super) detached: Writer<CLASSES, 1>,
    pub(super) segment: Segment,
    pub(super) threads: ForkLock<Threads>,
    /// The heap of all threads that have none.
    pub(super) shared: ForkLock<Option<&'static Home>>,
    /// How many heaps are without a thread: a hint, beside the list that is under the lock.
    pub(super) resting: AtomicUsize,
    /// When idle page heaps were last looked at.
    looked_at_idle: AtomicU64,
    purged: AtomicU64,
}

/// The list of all heaps.
pub(super) struct Threads {
    pub(super) first: *mut Home,
    pub(super) vacant: *mut Home,
    /// What ended heaps have counted.
    pub(super) ended: Sums,
    /// Heaps that threads have.
    pub(super) living: usize,
    pub(super) started: u64,
    /// With so many living, those are looked for that ended without a word (dead.rs).
    pub(super) next_look: usize,
}

// SAFETY: homes are shared, and never go away.
unsafe impl Send for Threads {}

impl Core {
    /// Whether the caller should look at idle page heaps now: one thread at a time, and not again before the delay has passed.
    pub(super) fn may_look_at_idle(&self, now: u64, delay: u64) -> bool {
        // Relaxed, both: only picks one thread.
        let looked = self.looked_at_idle.load(Ordering::Relaxed);
        now.saturating_sub(looked) >= delay
            && self.looked_at_idle.compare_exchange(looked, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub(super) fn count_purged(&self, bytes: u64) {
        // Relaxed: a statistic.
        self.purged.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of pages that went back to the kernel, in all.
    pub(super) fn purged(&self) -> u64 {
        self.purged.load(Ordering::Relaxed)
    }
}

/// How long free memory is kept, in nanoseconds; none: for ever.
pub(super) fn purge_delay() -> Option<u64> {
    // Relaxed: a preference.
    Some(PURGE.load(Ordering::Relaxed)).filter(|&delay| delay != NEVER)
}

/// What the threads share, if it is there.
#[inline]
pub(super) fn core() -> Option<&'static Core> {
    // Acquire: pairs with the Release in `start`.
    // SAFETY: READY: it was written before, and never changes.
    (STATE.load(Ordering::Acquire) == READY).then(|| unsafe { ready() })
}

/// What the threads share.
///
/// # Safety
/// The caller knows that it is there: it has a heap.
#[inline]
pub(super) unsafe fn ready() -> &'static Core {
    // SAFETY: by the caller's promise.
    unsafe { (*CORE.0.get()).assume_init_ref() }
}

/// What the threads share, made now if it is not there. None where there is no address space for it.
pub(super) fn core_or_start() -> Option<&'static Core> {
    core().or_else(start)
}

#[cold]
fn start() -> Option<&'static Core> {
    loop {
        // Acquire: as in `core`.
        match STATE.compare_exchange(NONE, STARTING, Ordering::Acquire, Ordering::Acquire) {
            Ok(_) => break,
            Err(STARTING) => STATE.sleep_on(STARTING),
            Err(_) => return core(),
        }
    }
    let made = make();
    let state = if made.is_some() { READY } else { FAILED };
    if let Some(core) = made {
        // SAFETY: this thread alone moved the state to STARTING, and nobody reads before READY.
        unsafe { (*CORE.0.get()).write(core) };
    }
    // Release: pairs with the Acquire in `core`.
    STATE.store(state, Ordering::Release);
    STATE.wake_all();
    let core = core()?;
    // From here on, allocations are served.
    errno::kept(|| {
        exit::install();
        fork::install();
    });
    Some(core)
}

fn make() -> Option<Core> {
    let space = Space::reserve()?;
    let heaps = (space.granules() / 8).clamp(1024, 1 << 20);
    let records = Records::reserve(space.granules(), heaps).ok()?;
    // Perhaps too early; then again with the segment.
    let _ = read_options();
    Some(Core {
        space,
        pages: Pages::new(records),
        clock: Clock::calibrate(),
        detached: Writer::detached(),
        segment: Segment::new(),
        threads: ForkLock::new(Threads {
            first: null_mut(),
            vacant: null_mut(),
            ended: Sums::ZERO,
            living: 0,
            started: 0,
            next_look: dead::FIRST_LOOK,
        }),
        shared: ForkLock::new(None),
        resting: AtomicUsize::new(0),
        looked_at_idle: AtomicU64::new(0),
        purged: AtomicU64::new(0),
    })
}

unsafe extern "C" {
    static environ: AtomicPtr<*const c_char>;
}

/// The entries of the environment; none before the C library has it. No lock and no allocation, unlike the standard library.
pub(super) fn environment() -> Option<impl Iterator<Item = &'static [u8]>> {
    // SAFETY: the C library's variable, a pointer. Relaxed: what it points to was there before any thread that could change it.
    let mut entries = NonNull::new(unsafe { environ.load(Ordering::Relaxed) })?;
    Some(core::iter::from_fn(move || {
        // SAFETY: an array of pointers to texts, with a null pointer at its end, which is not passed.
        unsafe {
            let entry = entries.read();
            if entry.is_null() {
                return None;
            }
            entries = entries.add(1);
            Some(CStr::from_ptr(entry).to_bytes())
        }
    }))
}

/// Reads what the user wants and puts it in force; none where there is no environment yet.
pub(super) fn read_options() -> Option<Options> {
    let mut options = Options::DEFAULT;
    environment()?.for_each(|entry| options.read(entry));
    check::decide(options.check);
    if let Some(limit) = options.limit {
        LIMIT.set(limit);
    }
    let delay = options.purge.map_or(NEVER, |delay| delay.as_nanos().min(u128::from(NEVER - 1)) as u64);
    PURGE.store(delay, Ordering::Relaxed);
    LARGE.set_huge_pages(options.huge_pages);
    space::set_huge_pages(options.huge_pages);
    Some(options)
}

/// Bytes of pages and spans stay free for so long from now on; for tests of the general allocator.
pub(super) fn set_purge_delay(delay: Option<u64>) {
    PURGE.store(delay.unwrap_or(NEVER), Ordering::Relaxed);
}
