//! How a thread comes by a heap, and what it does without one.
//!
//! Invariant: the thread-local pointer to the heap is null, or names the heap that this thread alone uses, or says that it shares one. Only a
//! thread whose pointer is null gets a heap; a thread that has given its heap up, or could get none, shares one with all others like
//! it, under a lock.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use stormglass_telemetry::clock;

use super::process::Core;
use super::thread::{Home, ThreadHeap};
use super::{check, dead, errno, exit, tls};

/// Runs `f` on the calling thread's heap, or on the shared one. None where there is no memory for any.
///
/// `f` must not allocate through this allocator: it has the heap to itself.
pub(super) fn with_heap<R>(core: &'static Core, f: impl FnOnce(&mut ThreadHeap) -> R) -> Option<R> {
    if tls::get().is_null() {
        enter(core);
    }
    // May allocate, and come here again: no heap is borrowed meanwhile.
    core.segment.settle();
    let heap = tls::get();
    if tls::is_heap(heap) {
        // SAFETY: this thread's own, and nobody has borrowed it: whoever has runs no code that comes here.
        let heap = unsafe { &mut *heap };
        core.segment.follow(core, heap);
        heap.settle_sampler();
        // Where blocks are checked, or nobody knows yet whether they are to be, all calls go the long way.
        if !check::is_on() {
            tls::set_front(heap.front());
        }
        let owner = heap.owner();
        return Some(owner.work(|| f(heap)));
    }
    core.shared.with(None, |shared| {
        if shared.is_none() {
            *shared = occupy(core);
        }
        let home = (*shared)?;
        // SAFETY: the shared heap, under its lock.
        let heap = unsafe { &mut *home.heap() };
        core.segment.follow(core, heap);
        Some(f(heap))
    })
}

/// Runs `f` on the heap that threads without one share, if they have come by one. Not under any lock, nor with a heap borrowed.
pub(super) fn with_shared<R>(core: &'static Core, f: impl FnOnce(&mut ThreadHeap) -> R) -> Option<R> {
    core.shared.with(None, |shared| {
        let home = (*shared)?;
        // SAFETY: the shared heap, under its lock.
        let heap = unsafe { &mut *home.heap() };
        core.segment.follow(core, heap);
        Some(f(heap))
    })
}

/// Gives the calling thread a heap.
#[cold]
fn enter(core: &'static Core) {
    dead::bury(core);
    let Some(home) = occupy(core) else { return tls::set(tls::SHARES) };
    home.figures.owner.enter();
    tls::set(home.heap());
    errno::kept(|| exit::watch(home));
}

/// A heap that begins: one that an ended thread has left, or a new one.
fn occupy(core: &'static Core) -> Option<&'static Home> {
    let (slot, generation) = core.segment.claim(core)?;
    core.threads.with(None, |threads| {
        let home: &'static Home = if let Some(home) = NonNull::new(threads.vacant) {
            // SAFETY: homes never go away.
            let home: &'static Home = unsafe { home.as_ref() };
            // Relaxed: under the lock.
            threads.vacant = home.next_vacant.load(Ordering::Relaxed);
            core.resting.fetch_sub(1, Ordering::Relaxed);
            home
        } else {
            let home = Home::map()?;
            home.next.store(threads.first, Ordering::Relaxed);
            threads.first = core::ptr::from_ref(home).cast_mut();
            home
        };
        threads.living += 1;
        threads.started += 1;
        // SAFETY: vacant or new, and taken off under the lock: nobody else has it.
        unsafe { (*home.heap()).begin(slot, generation, core) };
        Some(home)
    })
}

/// Takes the heap of a thread that ends, or has ended.
pub(super) fn leave(core: &'static Core, home: &'static Home) {
    home.figures.owner.leave();
    // SAFETY: the thread's own, which it does not reach any more through its pointer; or that of a thread that is no more.
    let heap = unsafe { &mut *home.heap() };
    core.threads.with(None, |threads| {
        threads.ended.add(&heap.end(clock::monotonic()));
        threads.living -= 1;
        // Relaxed: under the lock.
        home.next_vacant.store(threads.vacant, Ordering::Relaxed);
        threads.vacant = core::ptr::from_ref(home).cast_mut();
        core.resting.fetch_add(1, Ordering::Relaxed);
    });
}
