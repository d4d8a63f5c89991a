//! Free stretches of granules: buddies, and those with memory apart from those without.
//!
//! A stretch of order k has 2^k granules and starts at a multiple of that; two free halves become one, up to 1 MiB, the largest
//! page. A stretch is *idle* if any of its granules has memory; such ones are taken first, and of one that is halved the idle half.
//!
//! Invariant: the class byte of a free stretch's first granule says its order and whether it is idle, which says the list that it is on;
//! those of its others are 0. All of it under the lock.

use core::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{Advice, MprotectFlags};

use super::{CHUNK, HUGE_PAGES, Source, Space};
use crate::general::size_class::{GRANULE, MAX_PAGE};

/// Orders of stretches: 8 KiB to 1 MiB.
const ORDERS: usize = (MAX_PAGE / GRANULE).trailing_zeros() as usize + 1;
/// Chunks that are made accessible at a time.
const STEP: u32 = 8;
/// Marks the first granule of a free stretch; its order stands beside it.
const FREE: u8 = 0x80;
/// The stretch is idle.
const IDLE: u8 = 0x40;

/// The links of a free stretch, at the number of its first granule; numbers plus 1, so that 0 is none.
#[repr(C)]
pub(super) struct Links {
    next: AtomicU32,
    previous: AtomicU32,
}

/// What the lock is over.
pub(super) struct Shared {
    /// Granules that are part of a page or a stretch.
    pub(super) frontier: u32,
    /// Granules that can be read and written.
    open: u32,
    /// First stretch of each order, plus 1: without memory, and idle.
    free: [[u32; ORDERS]; 2],
}

impl Shared {
    pub(super) fn empty() -> Shared {
        Shared { frontier: 0, open: 0, free: [[0; ORDERS]; 2] }
    }

    /// The smallest stretch of `order` at least that is idle, or not.
    fn smallest(&self, idle: bool, order: u32) -> Option<(u32, usize)> {
        let lists = &self.free[usize::from(idle)];
        let has = (order as usize..ORDERS).find(|&has| lists[has] != 0)?;
        Some((lists[has] - 1, has))
    }
}

impl Space {
    pub(super) fn take_stretch(&self, shared: &mut Shared, order: u32, source: Source) -> Option<u32> {
        let idle = shared.smallest(true, order);
        let free = match source {
            Source::Idle => Some(idle?),
            Source::Anywhere => idle.or_else(|| shared.smallest(false, order)),
        };
        let (mut start, mut has) = match free {
            Some((start, has)) => {
                self.unlink(shared, start);
                (start, has)
            }
            None => (self.advance(shared)?, ORDERS - 1),
        };
        while has > order as usize {
            has -= 1;
            let half = 1 << has;
            if idle.is_none() || self.is_idle(start, has) {
                self.link(shared, start + half, has);
            } else {
                self.link(shared, start, has);
                start += half;
            }
        }
        Some(start)
    }

    pub(super) fn put_stretch(&self, shared: &mut Shared, mut start: u32, order: u32) {
        let mut order = order as usize;
        while order < ORDERS - 1 {
            let buddy = start ^ (1 << order);
            if self.free_at(buddy) != Some(order as u32) {
                break;
            }
            self.unlink(shared, buddy);
            start = start.min(buddy);
            order += 1;
        }
        self.link(shared, start, order);
    }

    /// The order of the free stretch that starts at a granule; none where none does.
    pub(super) fn free_at(&self, granule: u32) -> Option<u32> {
        // Relaxed: marks of free stretches are written under the lock.
        let byte = self.class_byte(granule).load(Ordering::Relaxed);
        (byte & FREE != 0).then_some(u32::from(byte & !(FREE | IDLE)))
    }

    fn is_idle(&self, start: u32, order: usize) -> bool {
        (start..start + (1 << order)).any(|granule| self.memory(granule).is_idle())
    }

    fn link(&self, shared: &mut Shared, start: u32, order: usize) {
        let idle = self.is_idle(start, order);
        let top = &mut shared.free[usize::from(idle)][order];
        // Relaxed throughout: under the lock.
        self.links(start).next.store(*top, Ordering::Relaxed);
        self.links(start).previous.store(0, Ordering::Relaxed);
        if *top != 0 {
            self.links(*top - 1).previous.store(start + 1, Ordering::Relaxed);
        }
        *top = start + 1;
        let mark = FREE | if idle { IDLE } else { 0 };
        self.class_byte(start).store(mark | order as u8, Ordering::Relaxed);
    }

    /// Takes a free stretch off its list: it is the caller's.
    pub(super) fn unlink(&self, shared: &mut Shared, start: u32) {
        // Relaxed throughout: under the lock.
        let byte = self.class_byte(start).load(Ordering::Relaxed);
        let top = &mut shared.free[usize::from(byte & IDLE != 0)][usize::from(byte & !(FREE | IDLE))];
        let links = self.links(start);
        let (next, previous) = (links.next.load(Ordering::Relaxed), links.previous.load(Ordering::Relaxed));
        match previous {
            0 => *top = next,
            previous => self.links(previous - 1).next.store(next, Ordering::Relaxed),
        }
        if next != 0 {
            self.links(next - 1).previous.store(previous, Ordering::Relaxed);
        }
        self.class_byte(start).store(0, Ordering::Relaxed);
    }

    /// A chunk that never was in use.
    fn advance(&self, shared: &mut Shared) -> Option<u32> {
        let start = shared.frontier;
        if start + CHUNK > self.granules {
            return None;
        }
        if start == shared.open {
            let chunks = STEP.min((self.granules - start) / CHUNK);
            // SAFETY: below the end of the reservation, and nobody has used it yet.
            let opened = unsafe {
                let at = self.base.add(start as usize * GRANULE).as_ptr().cast();
                let len = (chunks * CHUNK) as usize * GRANULE;
                if HUGE_PAGES.load(Ordering::Relaxed) {
                    // If it does not, there are small ones.
                    let _ = rustix::mm::madvise(at, len, Advice::LinuxHugepage);
                }
                rustix::mm::mprotect(at, len, MprotectFlags::READ | MprotectFlags::WRITE)
            };
            opened.ok()?;
            shared.open += chunks * CHUNK;
        }
        shared.frontier += CHUNK;
        Some(start)
    }
}
