//! Idle memory goes back to the kernel.
//!
//! A sweep goes through the granules once, from where the last one ended, and takes the free stretches that have what it looks for
//! off their lists, one at a time: while the kernel works on one, the lock is free and the stretch is nobody's. So a child that is
//! forked meanwhile lacks that stretch, at most 1 MiB.
//!
//! Invariant: what is marked as returned reads as zeroes.

use core::sync::atomic::Ordering;

use rustix::mm::Advice;

use super::granule::Memory;
use super::stretches::Shared;
use super::{CHUNK, Space};
use crate::general::size_class::{Class, GRANULE};

/// Steps of a walk under the lock; one goes over a page or a stretch.
const LOOK: u32 = 1024;

/// Which idle memory goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sweep {
    /// All.
    All,
    /// What was idle already when the current period began.
    Old,
}

/// Where a walk is.
struct Walk {
    at: u32,
    /// Granules until it was everywhere.
    left: u32,
}

impl Space {
    /// Begins a new period: what is idle now is old from then on.
    pub(crate) fn turn(&self) {
        // Relaxed: a mark that is one period wrong lets memory go a period too early.
        self.period.fetch_xor(1, Ordering::Relaxed);
    }

    /// Gives idle memory back until that is `at_most` bytes, or a stretch more; `gone` gets the bytes, by the class that left them. The bytes
    /// that went: none of what the kernel keeps because the program has locked it.
    pub(crate) fn sweep(&self, sweep: Sweep, at_most: usize, mut gone: impl FnMut(Class, usize)) -> usize {
        // Relaxed: where a sweep starts is of no matter.
        let mut walk = Walk { at: self.cursor.load(Ordering::Relaxed), left: u32::MAX };
        let mut bytes = 0;
        while bytes < at_most && walk.left > 0 && self.idle() > 0 {
            let found = self.shared.with(None, |shared| self.next_idle(shared, &mut walk, sweep));
            let Some((start, order)) = found else { continue };
            let went = self.empty(start..start + (1 << order), sweep, &mut gone);
            bytes += went;
            self.shared.with(None, |shared| {
                self.idle.fetch_sub(went, Ordering::Relaxed);
                self.put_stretch(shared, start, order);
            });
        }
        self.cursor.store(walk.at, Ordering::Relaxed);
        bytes
    }

    /// The next free stretch with something to give back, taken off its list; none after a while without one.
    fn next_idle(&self, shared: &mut Shared, walk: &mut Walk, sweep: Sweep) -> Option<(u32, u32)> {
        walk.left = walk.left.min(shared.frontier);
        for _ in 0..LOOK {
            if walk.left == 0 {
                return None;
            }
            if walk.at >= shared.frontier {
                walk.at = 0;
            }
            let (start, free) = (walk.at, self.free_at(walk.at));
            // To the end of what is there: a page starts at a multiple of its size.
            // Relaxed: a page that is being made or unmade is stepped through.
            let page = Class::from_mark(self.class_byte(start).load(Ordering::Relaxed));
            let order = free.or_else(|| page.map(Class::order)).unwrap_or(0);
            walk.at = ((start >> order) + 1) << order;
            walk.left = walk.left.saturating_sub(walk.at - start);
            if let Some(order) = free
                && (start..start + (1 << order)).any(|granule| self.is_due(granule, sweep))
            {
                self.unlink(shared, start);
                return Some((start, order));
            }
        }
        None
    }

    fn is_due(&self, granule: u32, sweep: Sweep) -> bool {
        match self.memory(granule).get() {
            Memory::Idle { period, .. } => {
                sweep == Sweep::All || period != self.period.load(Ordering::Relaxed)
            }
            _ => false,
        }
    }

    /// Gives back what is due of a stretch of the caller's.
    fn empty(
        &self,
        stretch: core::ops::Range<u32>,
        sweep: Sweep,
        gone: &mut impl FnMut(Class, usize),
    ) -> usize {
        debug_assert!(stretch.len() <= CHUNK as usize);
        let (mut bytes, mut start) = (0, stretch.start);
        while start < stretch.end {
            let end = (start..stretch.end).find(|&g| !self.is_due(g, sweep)).unwrap_or(stretch.end);
            if start < end && self.forget(start, end) {
                for granule in start..end {
                    if let Memory::Idle { class, .. } = self.memory(granule).get() {
                        gone(class, GRANULE);
                        bytes += GRANULE;
                    }
                    self.memory(granule).set(Memory::Returned);
                }
            }
            start = end.max(start + 1);
        }
        bytes
    }

    /// Whether the kernel took the memory of granules of the caller's.
    fn forget(&self, start: u32, end: u32) -> bool {
        // SAFETY: part of the reservation, and nobody's but the caller's; no block lies there.
        unsafe {
            let at = self.base.add(start as usize * GRANULE).as_ptr().cast();
            rustix::mm::madvise(at, (end - start) as usize * GRANULE, Advice::LinuxDontNeed).is_ok()
        }
    }
}
