//! Heaps between two threads: they keep their blocks, for the thread that comes next.
//!
//! A thread that ends leaves its heap as it is: rings filled with the blocks that it freed last, page heaps, and capacities that fit what
//! it did. The next thread that starts takes the heap that came to rest last, and goes on with blocks whose memory is in the
//! cache; nothing is moved, and no page changes hands. To empty the rings into their pages instead, and fill new ones from there, cost
//! servers with short-lived threads a third more time and twice the memory: the blocks that came back were others each time
//! (docs/PERFORMANCE.md).
//!
//! What rests does not lie idle while others need it: a thread that would have to take a fresh page looks first at what a few
//! resting heaps have of its class. And what has rested for the purge delay goes the way of all memory that is not used.
//!
//! Invariant: who touches a resting heap holds the lock of the list of heaps; it counts what it moves in a slot of its own, since
//! the heap has none. A program's misuse may be found meanwhile; a handler that reports it can allocate, because nobody comes here from then on.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::process::{Core, Threads};
use super::size_class::Class;
use super::thread::{Counters, Home};
use crate::misuse;

/// Resting heaps that a thread looks at which needs blocks.
const SOME: usize = 8;

/// Lets resting heaps give up blocks of a class, until one has had any; whether one had.
pub(super) fn rob(class: Class, core: &Core, counters: &Counters) -> bool {
    // Relaxed: a hint; the lock decides.
    core.resting.load(Ordering::Relaxed) > 0
        && !misuse::ends()
        && core.threads.with(None, |threads| {
            resting(threads).take(SOME).any(|home| {
                // SAFETY: a resting heap, under the lock.
                unsafe { (*home.heap()).give_up(class, core, counters) }
            })
        })
}

/// Lets heaps that have rested since `until`, or longer, give up all that they have.
pub(super) fn empty(until: u64, core: &Core, counters: &Counters) {
    if core.resting.load(Ordering::Relaxed) == 0 || misuse::ends() {
        return;
    }
    core.threads.with(None, |threads| {
        for home in resting(threads) {
            // SAFETY: as in `rob`.
            let heap = unsafe { &mut *home.heap() };
            // Once is enough: there may be thousands, and who starts or ends a thread waits for the lock.
            if heap.looked() <= until && !core::mem::replace(&mut heap.given_up, true) {
                for class in Class::all() {
                    heap.give_up(class, core, counters);
                }
            }
        }
    });
}

/// The resting heaps, the one that came last first.
pub(super) fn resting(threads: &Threads) -> impl Iterator<Item = &'static Home> {
    // SAFETY: homes never go away.
    let home = |home: *mut Home| NonNull::new(home).map(|home| unsafe { home.as_ref() });
    // Relaxed: under the lock.
    core::iter::successors(home(threads.vacant), move |last: &&'static Home| {
        home(last.next_vacant.load(Ordering::Relaxed))
    })
}
