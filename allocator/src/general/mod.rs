//! The allocator for every size, one instance a process: as a Rust `#[global_allocator]` ([`Stormglass`]), and beneath the C
//! face of `libstormglass.so`.
//!
//! ```text
//!  allocate --<= 32 KiB--> ring of the class (front.rs) --miss--> transfer.rs --none--> pages (../page/) --> space (space.rs)
//!           `--> 32 KiB--> large (large/)
//!  free      the class byte of the granule says the class (space.rs), the ring takes the block; a full ring spills
//! ```
//!
//! | file | |
//! |---|---|
//! | size_class.rs | 45 classes from 16 bytes to 32 KiB and a line |
//! | space.rs | address space of the pages, given out and taken back |
//! | transfer.rs | batches that pass from ring to ring, before pages |
//! | upkeep.rs | where a thread's pages come from and go, and when memory goes back |
//! | front.rs, capacity.rs | the rings of a thread, which are all that most calls touch, and how large they are |
//! | thread.rs, thread/traffic.rs, enter.rs, tls.rs, exit.rs, resting.rs, dead.rs | what else a thread has, how it comes by it, and how it ends |
//! | process.rs, segment.rs, carry.rs, figures.rs, stats.rs | the one instance, its start, its counters |
//! | fork.rs | the child of a process with many threads |
//! | inside.rs | hardware counters inside slow paths, if the user wants them |
//! | mid.rs | another design of the mid pool for 2 to 32 KiB, if the user names one |
//! | plain.rs | the ways of a block |
//! | check/ | a layer between callers and plain.rs, where misuse is looked for |
//!
//! Invariants, beyond those of the pages:
//! 1. *Nothing here allocates through itself* while it has a heap borrowed or a lock held.
//! 2. *Block memory is never written here.* So a block that was never handed out reads as zeroes, if its page did, and a program that
//!    writes to freed memory spoils no list.
//! 3. A page belongs to a page heap or to the space; its memory goes back to the kernel from the space alone.
//! 4. errno stays as it was: system calls are made without the C library, and what needs it runs under errno.rs.
//!
//! Memory goes back without a thread of its own: now and then a slow path looks for what has been free for a while (upkeep.rs). A process that allocates nothing gives nothing back.

mod capacity;
mod carry;
mod check;
mod dead;
mod enter;
mod errno;
mod exit;
mod figures;
mod fork;
mod front;
mod inside;
pub(crate) mod large;
pub(crate) mod limit;
mod mid;
mod options;
mod plain;
mod process;
mod resting;
mod segment;
mod size_class;
mod space;
mod stats;
mod thread;
mod tls;
mod transfer;
mod upkeep;

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use self::size_class::{Class, LEAST_ALIGN, MAX_SIZE};
pub use self::stats::{ClassStats, Stats};

/// A block of at least `size` bytes at a multiple of `align`, a power of two; a size of 0 gives a block of its own. Null where
/// memory is used up or a limit is reached.
#[inline]
pub fn allocate(size: usize, align: usize) -> *mut u8 {
    if align <= LEAST_ALIGN
        && let Some(block) = allocate_from_ring(size)
    {
        return block.as_ptr();
    }
    allocate_slowly(size, align)
}

/// The short way of [`allocate`] alone, for a caller that has a long way of its own: a block from the calling thread's ring.
#[inline]
pub fn allocate_from_ring(size: usize) -> Option<NonNull<u8>> {
    if size > MAX_SIZE { None } else { tls::front().take(Class::of_size(size)) }
}

#[cold]
#[inline(never)]
fn allocate_slowly(size: usize, align: usize) -> *mut u8 {
    if check::is_on() { check::allocate(size, align) } else { plain::allocate(size, align) }
}

/// As [`allocate`], all zeroes.
#[inline]
pub fn allocate_zeroed(size: usize, align: usize) -> *mut u8 {
    if check::is_on() {
        return check::allocate_zeroed(size, align);
    }
    plain::allocate_zeroed(size, align)
}

/// Takes a block back; null is ignored. What is seen to be no block ends the process with a message.
///
/// # Safety
/// `block` came from here, was not freed since, and is not used any more.
#[inline]
pub unsafe fn free(block: *mut u8) {
    // SAFETY: by contract.
    unsafe {
        if !free_into_ring(block) {
            free_slowly(block);
        }
    }
}

/// The short way of [`free`] alone, for a caller that has a long way of its own: whether the calling thread's ring took the block.
///
/// # Safety
/// As for [`free`], where the result is `true`.
#[inline]
pub unsafe fn free_into_ring(block: *mut u8) -> bool {
    tls::front().put(block)
}

/// # Safety
/// As for [`free`].
#[cold]
#[inline(never)]
unsafe fn free_slowly(block: *mut u8) {
    let Some(block) = NonNull::new(block) else { return };
    // SAFETY: by contract.
    unsafe { if check::is_on() { check::free(block) } else { plain::free(block) } }
}

/// Makes a block one of `size` bytes at a multiple of `align`, with its contents as far as both sizes go. Null on failure, and
/// then the old block is as it was. Null for `block` allocates.
///
/// # Safety
/// `block` came from here, was not freed since, and is not used any more where the result is not null.
pub unsafe fn reallocate(block: *mut u8, size: usize, align: usize) -> *mut u8 {
    match NonNull::new(block) {
        // SAFETY: by contract.
        Some(block) if check::is_on() => unsafe { check::reallocate(block, size, align) },
        // SAFETY: by contract.
        Some(block) => unsafe { plain::reallocate(block, size, align) },
        None => allocate(size, align),
    }
}

/// How many bytes of a block may be used; 0 for null.
///
/// # Safety
/// `block` came from here and was not freed since.
pub unsafe fn usable_size(block: *mut u8) -> usize {
    match NonNull::new(block) {
        Some(block) if check::is_on() => check::usable_size(block),
        // SAFETY: by contract.
        Some(block) => unsafe { plain::usable_size(block) },
        None => 0,
    }
}

/// Whether a block starts at this address that came from here, or an address of a page of blocks lies there.
pub fn is_ours(address: *const u8) -> bool {
    let Some(address) = NonNull::new(address.cast_mut()) else { return false };
    process::core().is_some_and(|core| {
        core.space.class_of(address).is_some()
            || mid::size_of(address).is_some()
            || process::LARGE.size_of(address).is_some()
    })
}

/// Gives back to the kernel what is free now in the calling thread's part, in what ended threads have left or share, in batches between
/// threads, and of large blocks; whether that was anything. What lies in the rings of other threads stays.
pub fn trim() -> bool {
    let Some(core) = process::core() else { return false };
    // The shared one first: what it has of the calling thread's pages comes back to those.
    let shared = enter::with_shared(core, |heap| heap.trim(core)).unwrap_or(false);
    enter::with_heap(core, |heap| heap.trim(core)).unwrap_or(false) || shared
}

/// How long memory stays free before it goes back from now on, instead of `STORMGLASS_PURGE_MS`; none: for ever.
pub fn set_purge_delay(delay: Option<Duration>) {
    process::set_purge_delay(delay.map(|delay| delay.as_nanos().min(u128::from(u64::MAX - 1)) as u64));
}

/// The most bytes to be mapped for blocks from now on, instead of `STORMGLASS_LIMIT`.
pub fn set_limit(bytes: usize) {
    process::LIMIT.set(bytes);
}

/// What the process has at this moment.
pub fn stats() -> Stats {
    stats::read()
}

/// The path of the process's segment, copied into `room`; none where there is no segment, or no room.
pub fn segment_path(room: &mut [u8]) -> Option<&[u8]> {
    let path = process::core()?.segment.path()?.as_os_str().as_bytes();
    let room = room.get_mut(..path.len())?;
    room.copy_from_slice(path);
    Some(room)
}

/// Removes the process's segment, unless `STORMGLASS_KEEP=1`: at a normal exit this happens by itself; for who ends the process
/// without one (`_exit`).
pub fn remove_segment() {
    segment::remove();
}

/// Samples slow paths by software events, as if they were those of a PMU: for tests, before the first allocation.
#[doc(hidden)]
pub fn sample_software_events() {
    inside::sample_software_events();
}

/// Takes every lock of the allocator: the process is about to fork. Registered by itself; for who forks by other means.
pub fn before_fork() {
    if let Some(core) = process::core() {
        fork::before(core);
    }
}

/// Lets go of what [`before_fork`] took, in the process that forked.
pub fn after_fork_in_parent() {
    if let Some(core) = process::core() {
        fork::after(core);
    }
}

/// Lets go of what [`before_fork`] took, in the new process, and makes the allocator its own.
pub fn after_fork_in_child() {
    if let Some(core) = process::core() {
        fork::after_in_child(core);
    }
}

/// The allocator as a Rust program's own:
///
/// ```
/// use stormglass_allocator::general::Stormglass;
///
/// #[global_allocator]
/// static ALLOCATOR: Stormglass = Stormglass;
///
/// let text = String::from("from a page of 16-byte blocks");
/// # assert!(stormglass_allocator::general::is_ours(text.as_ptr()));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Stormglass;

// SAFETY: blocks are as long and aligned as the layout says, stay where they are, and belong to one caller at a time; nothing
// unwinds.
unsafe impl GlobalAlloc for Stormglass {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocate(layout.size(), layout.align())
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        allocate_zeroed(layout.size(), layout.align())
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: by the trait's contract.
        unsafe { free(block) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: by the trait's contract.
        unsafe { reallocate(block, size, layout.align()) }
    }
}
