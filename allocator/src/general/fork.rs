//! Forks of a process with many threads.
//!
//! ```text
//! prepare   takes every lock of the allocator
//! parent    lets go of the locks
//! child     the forking thread's heap goes on in private counters, and lets go of the locks
//! ```
//!
//! The child has one thread and the memory of all. Blocks that callers hold are freed there as here: into the ring, and to their
//! pages. What is in the rings of threads that the child does not have, and what was on its way from one place to another at
//! that moment, is lost to it; so are the free blocks of pages that those threads held, and what it frees into them. Page heaps on the idle
//! stacks are its own, and so are heaps that rest and the batches between rings, whose locks the forking thread holds. (The locks
//! of the batches are waited for only so long: a stack that a thread was inside of even then stays locked in the child, and what would
//! pass there goes to the pages.)
//!
//! Why the child does not take the other threads' pages over: a page's map is right at every instant, each change being one store, and
//! lists could be made anew from maps. But to rely on several words at once is to rely on the order in which a fork's copy shows what a
//! thread on another processor wrote meanwhile, to different pages of the machine; that is how Linux happens to do it, not a promise, and a
//! mistake would give a block out twice. What could be won are free blocks of pages that mostly stay in use, by callers that the child does
//! not have.
//!
//! `vfork` and `posix_spawn` run no handlers and need none: their child uses nothing here before its `exec`.

use core::ffi::c_int;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::Ordering;

use super::process::{Core, LARGE, TRANSFER};
use super::resting::resting;
use super::thread::{Home, ThreadHeap};
use super::{capacity, check, tls};

unsafe extern "C" {
    fn pthread_atfork(
        prepare: Option<extern "C" fn()>,
        parent: Option<extern "C" fn()>,
        child: Option<extern "C" fn()>,
    ) -> c_int;
}

/// Registers the handlers. If that fails for want of memory, a child of a process with many threads may find a lock held.
pub(super) fn install() {
    // SAFETY: functions that stay where they are.
    let _ = unsafe { pthread_atfork(Some(prepare), Some(parent), Some(child)) };
}

extern "C" fn prepare() {
    super::before_fork();
}

extern "C" fn parent() {
    super::after_fork_in_parent();
}

extern "C" fn child() {
    super::after_fork_in_child();
}

/// The heaps that the child goes on with.
fn survivors(shared: Option<&'static Home>) -> [*mut ThreadHeap; 2] {
    let own = tls::get();
    [if tls::is_heap(own) { own } else { null_mut() }, shared.map_or(null_mut(), Home::heap)]
}

/// Waits until no thread is inside, and keeps them out.
pub(super) fn before(core: &Core) {
    check::before_fork();
    core.shared.hold();
    core.threads.hold();
    TRANSFER.before_fork();
    core.space.before_fork();
    LARGE.before_fork();
}

/// Lets the threads in again.
pub(super) fn after(core: &Core) {
    LARGE.after_fork();
    core.space.after_fork();
    TRANSFER.after_fork();
    core.threads.release();
    core.shared.release();
    check::after_fork();
}

/// Makes the allocator the child's.
pub(super) fn after_in_child(core: &'static Core) {
    super::mid::after_fork_in_child();
    let generation = core.segment.after_fork_in_child();
    // SAFETY: the locks are held, by this thread, the child's only one.
    let (shared, threads) = unsafe { (*core.shared.held(), &mut *core.threads.held()) };
    let survivors = survivors(shared);
    for heap in survivors {
        // SAFETY: this thread's, or the shared one, whose lock is held.
        if let Some(heap) = unsafe { heap.as_mut() }
            && let Ok(slot) = core.detached.claim()
        {
            heap.after_fork_in_child(slot, generation);
        }
    }
    // The others' threads do not exist here: their homes stay mapped, and are no one's.
    let mut next = NonNull::new(threads.first);
    while let Some(home) = next {
        // SAFETY: homes never go away.
        let home: &'static Home = unsafe { home.as_ref() };
        next = NonNull::new(home.next.load(Ordering::Relaxed));
        if survivors.contains(&home.heap()) {
            continue;
        }
        // SAFETY: the child's one thread is here, and this is another's.
        unsafe { home.close_counters() };
        if home.figures.is_in_use() {
            threads.ended.add(&home.figures.own());
            home.figures.forget();
            threads.living -= 1;
        }
    }
    let kept = survivors.into_iter().chain(resting(threads).map(Home::heap));
    // SAFETY: this thread's own, the shared one, and those that rest: the locks of all of them are held.
    let beyond = kept.filter_map(|heap| unsafe { heap.as_ref() }).map(ThreadHeap::beyond_first).sum();
    capacity::ALL.after_fork_in_child(beyond);
    after(core);
}
