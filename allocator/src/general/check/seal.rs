//! What lies behind the caller's bytes of a checked block: a canary, and at the block's end its size and state.
//!
//! Invariant: a seal is valid only at its own place. Size and state are mixed with the block's address, so that neither
//! a copy of a block nor what a caller writes by chance passes for one.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::general::plain::Place;

/// Bytes behind the caller's that are watched at most.
const CANARY: usize = 256;
/// What they hold. Unlike the poison, so that a message tells the two apart.
const BYTE: u8 = 0xC5;
/// Size, state.
const RECORD: usize = 16;

/// Where a block is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// A caller has it.
    Live,
    /// It was freed.
    Freed,
}

impl State {
    const fn mark(self) -> u64 {
        match self {
            State::Live => 0x6c69_7665_b10c_4a11,
            State::Freed => 0xf4ee_d0b1_0c4d_ead5,
        }
    }
}

/// The seal of the block at a place.
pub(super) struct Seal {
    place: Place,
}

impl Seal {
    /// What it takes: the record, and a canary at least as long.
    pub(super) const ROOM: usize = 2 * RECORD;

    pub(super) fn of(place: Place) -> Seal {
        Seal { place }
    }

    /// Address of the record; a block's size is a multiple of 16.
    fn record(&self) -> NonNull<AtomicU64> {
        // SAFETY: the last 16 bytes of the block.
        unsafe { self.place.start.add(self.place.usable - RECORD) }.cast()
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        // SAFETY: the record is two aligned words of the block, which is mapped; they are ours, and only ever read and written as
        // atomics. A program that writes past its end races with this; that is what is looked for.
        unsafe { self.record().add(index).as_ref() }
    }

    /// Makes a size and a mark one that is valid here only.
    fn mix(&self, size: u64) -> u64 {
        (size ^ self.place.start.addr().get() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    }

    /// Seals a block that was just taken.
    pub(super) fn close(&self, size: usize) {
        for i in self.canary(size) {
            // SAFETY: inside the block, behind the caller's bytes.
            unsafe { self.place.start.add(i).write(BYTE) };
        }
        // Relaxed: whoever hands the block to another thread orders that.
        self.word(0).store(size as u64, Ordering::Relaxed);
        self.word(1).store(self.mix(size as u64) ^ State::Live.mark(), Ordering::Relaxed);
    }

    /// What was asked for. As good as [`Seal::state`] says.
    pub(super) fn size(&self) -> usize {
        // Relaxed: as in `close`.
        self.word(0).load(Ordering::Relaxed) as usize
    }

    /// Its state; none if there is no valid seal.
    pub(super) fn state(&self) -> Option<State> {
        let size = self.size();
        if size > self.place.usable - Self::ROOM {
            return None;
        }
        // Relaxed: as in `close`.
        let mark = self.word(1).load(Ordering::Relaxed) ^ self.mix(size as u64);
        [State::Live, State::Freed].into_iter().find(|state| state.mark() == mark)
    }

    /// Changes the state; false if it was another.
    pub(super) fn turn(&self, from: State, to: State) -> bool {
        let mixed = self.mix(self.size() as u64);
        // Relaxed: only which of two threads wins matters, and that is told by this word.
        self.word(1)
            .compare_exchange(mixed ^ from.mark(), mixed ^ to.mark(), Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Offset of the first canary byte that is none any more.
    pub(super) fn first_overwritten(&self) -> Option<usize> {
        // SAFETY: inside the block, behind the caller's bytes.
        self.canary(self.size()).find(|&i| unsafe { self.place.start.add(i).read() } != BYTE)
    }

    fn canary(&self, size: usize) -> core::ops::Range<usize> {
        size..(self.place.usable - RECORD).min(size + CANARY)
    }
}
