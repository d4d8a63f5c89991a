//! `STORMGLASS_CHECK=1`: misuse is found at the call that commits it, or as soon as the block is looked at again.
//!
//! A layer between the callers and the allocator (plain.rs): it asks for a little more than was asked of it, and lays a [`Seal`]
//! behind the caller's bytes, so that what overruns a block runs into it. Invariant: *a block that a caller holds is sealed
//! live; one that was freed is sealed freed* until the allocator gives it out again. So a free knows what it has:
//!
//! ```text
//!   [ the caller's bytes | canary                   | size, state ]
//!   0                    size       at most 256 on    at the end of the block
//! ```
//!
//! A freed block is filled with poison and waits in the [`Quarantine`], so that it is not given out again soon; when it
//! leaves, and when the process ends, the poison must still be there. Slow on purpose: one lock, and every byte of a freed
//! block is written and read once more.

mod quarantine;
mod report;
mod seal;

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, Ordering};

use super::plain::{self, Place};
use super::process;
use quarantine::{Entry, Quarantine};
use report::{Finding, report};
use seal::{Seal, State};

/// Blocks above this are not kept back: poison would touch all their pages, and a few would fill the quarantine.
const KEPT: usize = 1 << 20;
/// Blocks above this are grown where they lie, as without the check. Smaller ones always move, so that a pointer to the old
/// place is a pointer to poison.
const MOVED: usize = 64 << 10;
/// What a block is filled with when it is freed: no address, no size, no text, and odd.
const POISON: u8 = 0xDB;

/// Blocks are not checked.
const OFF: u8 = 0;
/// Nobody knows yet: the loader allocates before the C library has an environment. Blocks are checked, so that all are sealed if
/// they are to be; if not, those in quarantine then stay there.
const UNDECIDED: u8 = 1;
/// Blocks are checked.
const ON: u8 = 2;

static MODE: AtomicU8 = AtomicU8::new(UNDECIDED);
static QUARANTINE: Quarantine = Quarantine::new();

/// Whether calls come here.
#[inline]
pub(super) fn is_on() -> bool {
    // Relaxed: whoever gets a block from another thread gets with it what that thread saw, so a block that was not sealed is
    // freed by one who sees that it was not.
    MODE.load(Ordering::Relaxed) != OFF
}

/// Says what the user wants, as soon as that is known. The first word counts.
pub(super) fn decide(on: bool) {
    let mode = if on { ON } else { OFF };
    // Relaxed: as in `is_on`.
    let _ = MODE.compare_exchange(UNDECIDED, mode, Ordering::Relaxed, Ordering::Relaxed);
}

/// Whether a block is to be sealed, asked where one is made: the first starts the allocator, which then knows.
fn seals() -> bool {
    // Relaxed: as in `is_on`.
    if MODE.load(Ordering::Relaxed) == UNDECIDED {
        process::core_or_start();
    }
    is_on()
}

/// As `general::allocate`.
#[cold]
pub(super) fn allocate(size: usize, align: usize) -> *mut u8 {
    if !seals() {
        return plain::allocate(size, align);
    }
    let Some(bytes) = size.checked_add(Seal::ROOM) else { return core::ptr::null_mut() };
    sealed(plain::allocate(bytes, align), size)
}

/// As `general::allocate_zeroed`.
#[cold]
pub(super) fn allocate_zeroed(size: usize, align: usize) -> *mut u8 {
    if !seals() {
        return plain::allocate_zeroed(size, align);
    }
    let Some(bytes) = size.checked_add(Seal::ROOM) else { return core::ptr::null_mut() };
    sealed(plain::allocate_zeroed(bytes, align), size)
}

fn sealed(block: *mut u8, size: usize) -> *mut u8 {
    if let Some(place) = NonNull::new(block).and_then(plain::place) {
        Seal::of(place).close(size);
    }
    block
}

/// As `general::free`.
///
/// # Safety
/// The block is not used any more.
#[cold]
pub(super) unsafe fn free(block: NonNull<u8>) {
    let place = live(block, "free");
    let seal = Seal::of(place);
    let size = seal.size();
    // Two threads may free it at once: one of them gets it.
    if !seal.turn(State::Live, State::Freed) {
        report(Finding::FreedTwice, block, place);
    }
    if place.usable > KEPT {
        // SAFETY: it was the caller's until here, and is ours.
        unsafe { plain::free(block) };
        return;
    }
    // SAFETY: the block is ours now, and `size` bytes of it were the caller's.
    unsafe { block.write_bytes(POISON, size) };
    for leaving in QUARANTINE.push(Entry { block, bytes: place.usable }) {
        unspoilt(leaving.block);
        // SAFETY: it was freed by its caller, and waited here for this.
        unsafe { plain::free(leaving.block) };
    }
}

/// As `general::usable_size`: what was asked for, so that nobody uses what the seal lies in.
pub(super) fn usable_size(block: NonNull<u8>) -> usize {
    Seal::of(live(block, "malloc_usable_size")).size()
}

/// As `general::reallocate`.
///
/// # Safety
/// The block is the caller's, and not used any more where the result is not null.
pub(super) unsafe fn reallocate(block: NonNull<u8>, size: usize, align: usize) -> *mut u8 {
    let place = live(block, "realloc");
    let held = Seal::of(place).size();
    if held.min(size) > MOVED {
        let Some(bytes) = size.checked_add(Seal::ROOM) else { return core::ptr::null_mut() };
        // The old seal must not outlive the block where that moves.
        let old = Seal::of(place);
        old.turn(State::Live, State::Freed);
        // SAFETY: by contract.
        let new = unsafe { plain::reallocate(block, bytes, align) };
        if new.is_null() {
            old.turn(State::Freed, State::Live);
        }
        return sealed(new, size);
    }
    let new = allocate(size, align);
    if !new.is_null() {
        // SAFETY: both blocks have that many bytes and are apart; by contract the old one is not used any more.
        unsafe {
            new.copy_from_nonoverlapping(block.as_ptr(), held.min(size));
            free(block);
        }
    }
    new
}

/// The place of a block that a caller holds, whole; anything else ends the process.
fn live(block: NonNull<u8>, call: &'static str) -> Place {
    let Some(place) = plain::place(block) else { report::foreign(block, call) };
    if place.start != block {
        report(Finding::Interior(call), block, place);
    }
    let seal = Seal::of(place);
    match seal.state() {
        Some(State::Live) => {}
        Some(State::Freed) => {
            report(if call == "free" { Finding::FreedTwice } else { Finding::UsedFreed(call) }, block, place)
        }
        None => report(Finding::NoSeal(call), block, place),
    }
    if let Some(offset) = seal.first_overwritten() {
        report(Finding::Overrun { size: seal.size(), offset }, block, place);
    }
    place
}

/// Ends the process if a freed block was written to.
fn unspoilt(block: NonNull<u8>) {
    let Some(place) = plain::place(block) else { report::foreign(block, "the quarantine") };
    let seal = Seal::of(place);
    if seal.state() != Some(State::Freed) {
        report(Finding::NoSeal("the quarantine"), block, place);
    }
    let size = seal.size();
    // SAFETY: the block is in nobody's hands, and has that many bytes. A program that writes to it all the same races
    // with this look; that is what is looked for.
    let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), size) };
    let spoilt = bytes.iter().position(|&byte| byte != POISON).or_else(|| seal.first_overwritten());
    if let Some(offset) = spoilt {
        report(Finding::WrittenAfterFree { size, offset }, block, place);
    }
}

/// At the end of the process, when it ends as it should: looks at all that is in quarantine. Not through `atexit`, which may
/// allocate, and would have to be called before anything can be.
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_EXIT: extern "C" fn() = at_exit;

extern "C" fn at_exit() {
    // A process that was never decided on is one without environment.
    if MODE.load(Ordering::Relaxed) == ON {
        QUARANTINE.each(|entry| unspoilt(entry.block));
    }
}

/// Keeps others out of the quarantine until [`after_fork`].
pub(super) fn before_fork() {
    QUARANTINE.acquire();
}

/// Lets them in again, in parent and child alike: the child has a copy of all blocks and of the quarantine.
pub(super) fn after_fork() {
    QUARANTINE.release();
}
