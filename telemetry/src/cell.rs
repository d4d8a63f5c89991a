//! One cell of the segment: a counter with a single writer.
//!
//! Invariant: at any time at most one thread adds to a cell (the owner of the slot that the cell lies in),
//! so an addition is a load and a store, not a read-modify-write. Readers may lag; they never see a value go
//! down.
//!
//! In a build with the feature `uncounted` nothing is counted: [`Cell::add`] and [`Cell::set`] do nothing, and what a reader sees is 0. A cell
//! whose value an algorithm works with moves by [`Cell::advance`], in every build.

use core::sync::atomic::{AtomicU64, Ordering};

/// Whether this build counts events. One that does not says so wherever it would have to show a count: it makes no segment.
pub const COUNTING: bool = !cfg!(feature = "uncounted");

/// A 64-bit counter with one writer and any number of readers, in this process or another.
///
/// Two writers would lose counts. That is no data race, and yet no small matter: an allocator's ring takes its cursors from
/// such cells, and hands blocks out twice when they jump. Hence a forked child gets cells of its own (`fork.rs`).
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// Adds `n`. Only the owner of the slot may call this.
    #[inline]
    pub fn add(&self, n: u64) {
        if COUNTING {
            self.advance(n);
        }
    }

    /// As [`Cell::add`], for a count that is also a cursor: something works with its value, whether or not it is shown.
    #[inline]
    pub fn advance(&self, n: u64) {
        // Relaxed: single writer, and readers tolerate lag.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The value, perhaps a little old if read by another thread than the writer.
    #[inline]
    pub fn get(&self) -> u64 {
        // Relaxed: a counter publishes no other memory.
        self.0.load(Ordering::Relaxed)
    }

    /// Replaces the value: for cells that are gauges, such as a heartbeat.
    #[inline]
    pub fn set(&self, value: u64) {
        if COUNTING {
            // Relaxed: as in `advance`.
            self.0.store(value, Ordering::Relaxed);
        }
    }
}
