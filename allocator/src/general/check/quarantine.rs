//! Freed blocks that wait: first in, first out, bounded in bytes and in number.
//!
//! Invariant: what is in it is sealed freed and in nobody's hands. The queue lies in memory of its own, mapped when it is
//! first needed: a link in a freed block would be the first thing that a stray write destroys.

use core::cell::UnsafeCell;
use core::hint::spin_loop;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// Bytes of blocks that wait at most.
const BYTES: usize = 64 << 20;
/// Blocks that wait at most. A power of two.
const BLOCKS: usize = 1 << 19;
/// Blocks that one free lets go at most, beside the one that comes: so the bounds are reached soon and no free is long.
const LEAVING: usize = 4;

/// A block that waits.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) block: NonNull<u8>,
    /// What it counts for.
    pub(super) bytes: usize,
}

struct Queue {
    /// `BLOCKS` entries; none before the first push.
    entries: Option<NonNull<Entry>>,
    first: usize,
    len: usize,
    bytes: usize,
}

impl Queue {
    fn at(&self, entries: NonNull<Entry>, i: usize) -> NonNull<Entry> {
        // SAFETY: the index is below `BLOCKS`.
        unsafe { entries.add((self.first + i) % BLOCKS) }
    }

    fn pop(&mut self) -> Option<Entry> {
        let entries = self.entries.filter(|_| self.len > 0)?;
        // SAFETY: the first of `len` entries that were written.
        let entry = unsafe { self.at(entries, 0).read() };
        self.first = (self.first + 1) % BLOCKS;
        self.len -= 1;
        self.bytes -= entry.bytes;
        Some(entry)
    }
}

/// The queue behind a lock. Frees are seldom contended where one is looking for bugs: it spins, then yields.
pub(super) struct Quarantine {
    held: AtomicBool,
    queue: UnsafeCell<Queue>,
}

// SAFETY: the queue is reached only between `acquire` and `release`; its blocks are in nobody's hands.
unsafe impl Sync for Quarantine {}

impl Quarantine {
    pub(super) const fn new() -> Quarantine {
        Quarantine {
            held: AtomicBool::new(false),
            queue: UnsafeCell::new(Queue { entries: None, first: 0, len: 0, bytes: 0 }),
        }
    }

    pub(super) fn acquire(&self) {
        let mut spins = 0;
        // Acquire: pairs with the Release in `release`, so that the last holder's changes are seen.
        while self.held.swap(true, Ordering::Acquire) {
            spins += 1;
            if spins < 100 {
                spin_loop();
            } else {
                rustix::thread::sched_yield();
            }
        }
    }

    pub(super) fn release(&self) {
        self.held.store(false, Ordering::Release); // pairs with `acquire`
    }

    fn with<T>(&self, f: impl FnOnce(&mut Queue) -> T) -> T {
        self.acquire();
        // SAFETY: the lock is held, and `f` does not take it again.
        let result = f(unsafe { &mut *self.queue.get() });
        self.release();
        result
    }

    /// Takes a block in; returns those that must leave for it. Where there is no memory for the queue, that is the
    /// block itself.
    pub(super) fn push(&self, entry: Entry) -> impl Iterator<Item = Entry> + use<> {
        let mut leaving = [None; LEAVING];
        self.with(|queue| {
            let Some(entries) = queue.entries.or_else(map) else {
                leaving[0] = Some(entry);
                return;
            };
            queue.entries = Some(entries);
            for slot in &mut leaving {
                if queue.len == BLOCKS || queue.bytes + entry.bytes > BYTES {
                    *slot = queue.pop();
                }
            }
            // SAFETY: a place of the queue that holds no entry: one left if there were `BLOCKS`.
            unsafe { queue.at(entries, queue.len).write(entry) };
            queue.len += 1;
            queue.bytes += entry.bytes;
        });
        leaving.into_iter().flatten()
    }

    /// Looks at each block that waits. Others wait meanwhile.
    pub(super) fn each(&self, look: impl Fn(Entry)) {
        self.with(|queue| {
            let Some(entries) = queue.entries else { return };
            for i in 0..queue.len {
                // SAFETY: one of `len` entries that were written.
                look(unsafe { queue.at(entries, i).read() });
            }
        });
    }
}

fn map() -> Option<NonNull<Entry>> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice aliases nothing.
    let start = unsafe {
        mmap_anonymous(
            core::ptr::null_mut(),
            BLOCKS * size_of::<Entry>(),
            ProtFlags::READ | ProtFlags::WRITE,
            flags,
        )
    };
    start.ok().and_then(|start| NonNull::new(start.cast()))
}
