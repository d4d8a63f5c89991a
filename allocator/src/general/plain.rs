//! The stand-in itself.
#![allow(clippy::all, clippy::pedantic, clippy::undocumented_unsafe_blocks)]
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const SPACE: usize = 1 << 38;
const MAGIC: usize = 0x5354_4f52_4d47_4c41;

#[repr(C, align(16))]
struct Header {
    magic: usize,
    class: usize,
    raw: usize,
    live: usize,
}

struct State {
    base: usize,
    next: usize,
    free: [usize; 48],
}

struct Global(UnsafeCell<State>);
// SAFETY: reached only under LOCK.
unsafe impl Sync for Global {}
static STATE: Global = Global(UnsafeCell::new(State { base: 0, next: 0, free: [0; 48] }));
static LOCK: AtomicBool = AtomicBool::new(false);
static BASE: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static FREES: AtomicUsize = AtomicUsize::new(0);

fn locked<T>(f: impl FnOnce(&mut State) -> T) -> T {
    while LOCK.swap(true, Ordering::Acquire) {
        std::thread::yield_now();
    }
    // SAFETY: the lock is held.
    let result = f(unsafe { &mut *STATE.0.get() });
    LOCK.store(false, Ordering::Release);
    result
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Bytes mapped.
    pub mapped: usize,
    /// Bytes with callers.
    pub live: usize,
    /// Allocations.
    pub allocations: u64,
    /// Frees.
    pub frees: u64,
}

/// See the plan.
pub(super) fn allocate(size: usize, align: usize) -> *mut u8 {
    raw_allocate(size, align)
}

fn raw_allocate(size: usize, align: usize) -> *mut u8 {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
    let align = align.max(16);
    let Some(need) = size.max(1).checked_add(align + 32 + 16) else { return core::ptr::null_mut() };
    if need > SPACE / 4 {
        return core::ptr::null_mut();
    }
    let class = need.next_power_of_two().trailing_zeros() as usize;
    let raw = locked(|s| {
        if s.base == 0 {
            // SAFETY: a new mapping.
            let p = unsafe {
                mmap_anonymous(
                    core::ptr::null_mut(),
                    SPACE,
                    ProtFlags::READ | ProtFlags::WRITE,
                    MapFlags::PRIVATE | MapFlags::NORESERVE,
                )
            };
            let Ok(p) = p else { return 0 };
            s.base = p as usize;
            s.next = s.base;
            BASE.store(s.base, Ordering::Relaxed);
        }
        let head = s.free[class];
        if head != 0 {
            // SAFETY: a free block's first word links it.
            s.free[class] = unsafe { *(head as *const usize) };
            return head;
        }
        if s.next + (1 << class) > s.base + SPACE {
            return 0;
        }
        let p = s.next;
        s.next += 1 << class;
        p
    });
    if raw == 0 {
        return core::ptr::null_mut();
    }
    let block = (raw + 32).next_multiple_of(align);
    // SAFETY: inside the block.
    unsafe { *((block - 32) as *mut Header) = Header { magic: MAGIC ^ block, class, raw, live: 1 } };
    LIVE.fetch_add(1 << class, Ordering::Relaxed);
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    block as *mut u8
}

/// See the plan.
pub(super) fn allocate_zeroed(size: usize, align: usize) -> *mut u8 {
    let p = allocate(size, align);
    if !p.is_null() {
        // SAFETY: just got.
        unsafe { p.write_bytes(0, size) };
    }
    p
}

/// See check.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) start: NonNull<u8>,
    pub(super) usable: usize,
    pub(super) class: usize,
    pub(super) page: usize,
}
pub(super) fn place(block: NonNull<u8>) -> Option<Place> {
    if !is_ours(block.as_ptr()) {
        return None;
    }
    // SAFETY: mapped.
    let mut at = block.addr().get() & !15;
    for _ in 0..100_000 {
        // SAFETY: in the space.
        if at < BASE.load(Ordering::Relaxed) + 32 {
            return None;
        }
        // SAFETY: stand-in.
        let h = unsafe { &*((at - 32) as *const Header) };
        if h.magic == MAGIC ^ at {
            return Some(Place {
                start: NonNull::new(at as *mut u8)?,
                usable: h.raw + (1 << h.class) - at,
                class: 1 << h.class,
                page: h.raw,
            });
        }
        at -= 16;
    }
    None
}

fn header(block: *mut u8) -> &'static mut Header {
    let base = BASE.load(Ordering::Relaxed);
    let a = block as usize;
    if base == 0 || a < base + 32 || a >= base + SPACE || !a.is_multiple_of(16) {
        crate::misuse::foreign(core::ptr::NonNull::new(block).expect("checked"));
    }
    // SAFETY: inside the space.
    let h = unsafe { &mut *((a - 32) as *mut Header) };
    if h.magic != MAGIC ^ a {
        crate::misuse::foreign(core::ptr::NonNull::new(block).expect("checked"));
    }
    h
}

/// See the plan.
///
/// # Safety
/// The block is the caller's.
pub(super) unsafe fn free(block: NonNull<u8>) {
    let block = block.as_ptr();
    let h = header(block);
    if h.live != 1 {
        crate::misuse::freed_twice();
    }
    h.live = 0;
    FREES.fetch_add(1, Ordering::Relaxed);
    let (class, raw) = (h.class, h.raw);
    LIVE.fetch_sub(1 << class, Ordering::Relaxed);
    locked(|s| {
        // SAFETY: ours now.
        unsafe { *(raw as *mut usize) = s.free[class] };
        s.free[class] = raw;
    });
}

/// See the plan.
///
/// # Safety
/// The block is the caller's.
pub(super) unsafe fn usable_size(block: *mut u8) -> usize {
    if block.is_null() {
        return 0;
    }
    let h = header(block);
    h.raw + (1 << h.class) - block as usize
}

/// See the plan.
///
/// # Safety
/// The block is the caller's.
pub(super) unsafe fn reallocate(block: NonNull<u8>, size: usize, align: usize) -> *mut u8 {
    let block = block.as_ptr();
    // SAFETY: by contract.
    unsafe {
        let has = usable_size(block);
        if size <= has && size >= has / 4 {
            return block;
        }
        let new = allocate(size, align);
        if !new.is_null() {
            new.copy_from_nonoverlapping(block, has.min(size));
            free(NonNull::new_unchecked(block));
        }
        new
    }
}

/// See the plan.
pub fn is_ours(address: *const u8) -> bool {
    let base = BASE.load(Ordering::Relaxed);
    base != 0 && (base..base + SPACE).contains(&(address as usize))
}
/// See the plan.
pub fn trim() -> bool {
    false
}
/// See the plan.
pub fn stats() -> Stats {
    Stats {
        mapped: locked(|s| s.next - s.base),
        live: LIVE.load(Ordering::Relaxed),
        allocations: ALLOCATIONS.load(Ordering::Relaxed) as u64,
        frees: FREES.load(Ordering::Relaxed) as u64,
    }
}
/// See the plan.
pub fn segment_path(_room: &mut [u8]) -> Option<&[u8]> {
    None
}
