//! What is known of the memory behind a granule: one byte.
//!
//! ```text
//! | class: 6 bits | state: 2 bits |     state: 0 untouched, 1 returned, 2 and 3 idle since a period
//! ```
//!
//! Invariant: exact while the granule is part of a free stretch; of no meaning while it is part of a page. Periods
//! are numbered 0 and 1 in turn: a sweep that begins a new one first takes what became idle in the one before the one that ends.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::general::size_class::Class;

/// The byte of a granule.
#[repr(transparent)]
pub(super) struct Granule(AtomicU8);

/// What is behind a granule of a free stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// Nothing, and never was.
    Untouched,
    /// Nothing any more.
    Returned,
    /// What a page of `class` left, in this period.
    Idle { period: u8, class: Class },
}

impl Granule {
    pub(super) fn get(&self) -> Memory {
        // Relaxed: under the lock, or the granule is the caller's.
        let byte = self.0.load(Ordering::Relaxed);
        match (byte & 3, Class::from_index(usize::from(byte >> 2))) {
            (0, _) => Memory::Untouched,
            (state, Some(class)) if state > 1 => Memory::Idle { period: state - 2, class },
            _ => Memory::Returned,
        }
    }

    pub(super) fn set(&self, memory: Memory) {
        let byte = match memory {
            Memory::Untouched => 0,
            Memory::Returned => 1,
            Memory::Idle { period, class } => 2 + (period & 1) + ((class.index() as u8) << 2),
        };
        // Relaxed: as in `get`.
        self.0.store(byte, Ordering::Relaxed);
    }

    /// Whether there is memory.
    pub(super) fn is_idle(&self) -> bool {
        self.0.load(Ordering::Relaxed) & 2 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let granule = Granule(AtomicU8::new(0));
        assert_eq!(granule.get(), Memory::Untouched);
        let idle = Class::all().flat_map(|class| [0, 1].map(|period| Memory::Idle { period, class }));
        for memory in idle.chain([Memory::Returned, Memory::Untouched]) {
            granule.set(memory);
            assert_eq!(granule.get(), memory);
            assert_eq!(granule.is_idle(), matches!(memory, Memory::Idle { .. }));
        }
    }
}
