//! `STORMGLASS_STRATEGY=NAME`: sizes from 2 to 32 KiB under one of the designs of the mid pool, beside everything else.
//!
//! The pool is the one that the benchmark runs: the paper's seven classes, a region and a segment of its own. Its blocks do not pass
//! the rings of front.rs but those of the pool's heap, one of which each thread has. So the short ways know nothing of it: a
//! class that the pool serves is found empty there, or has blocks of pages that were asked for at an alignment which the pool has not,
//! and those serve as well; and a block of the pool is no block of a page.
//!
//! It keeps to the limit by the page, 1 MiB. What it does not do is give memory back: the designs keep free blocks in lists, in which
//! the blocks of a page do not find each other, and a thief may hold any of them; only `page` knows when all of a page's
//! have come back, and that is what serves by default. So a process that wants its memory to go back names no design. A forked child does without it, because another thread may
//! have held a lock of the design at that moment: mid sizes come from pages there, and blocks of the pool that are freed are lost.
//!
//! Invariant: what `POOL` points to is a pool that is never dropped.

use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::path::Path;

use stormglass_telemetry::{Directory, Identity, Inside, Writer};

use super::errno;
use super::process::LIMIT;
use crate::heap::Heap;
use crate::misuse;
use crate::region::Payer;
use crate::{Pool, PoolConfig, StrategyId};

static POOL: AtomicPtr<Pool> = AtomicPtr::new(null_mut());
/// Whether blocks are taken from it.
static SERVES: AtomicBool = AtomicBool::new(false);

/// Sizes above this are for the pool: those that its smallest class holds, and the class below that of pages does not.
const ABOVE: usize = 1856;
/// What its blocks are aligned to.
const ALIGN: usize = 1024;

/// The pool, if there is one.
#[inline]
pub(super) fn pool() -> Option<&'static Pool> {
    // Acquire: pairs with the Release in `make`.
    // SAFETY: null, or a pool that is never dropped.
    unsafe { POOL.load(Ordering::Acquire).as_ref() }
}

/// The pool, if it serves blocks of this size, which is one of a class, at this alignment.
pub(super) fn serving(size: usize, align: usize) -> Option<&'static Pool> {
    if size <= ABOVE || align > ALIGN || !SERVES.load(Ordering::Relaxed) { None } else { pool() }
}

/// The usable bytes of the pool's block that starts at this address; none for another address.
pub(super) fn size_of(block: NonNull<u8>) -> Option<usize> {
    Some(pool()?.region.owner(block)?.class.bytes())
}

/// Makes the pool for the design that the user names, where that is not the one that serves anyway. May allocate.
pub(super) fn make(name: &[u8], directory: &Directory, inside: Inside) {
    let known = core::str::from_utf8(name).ok().and_then(|name| name.parse::<StrategyId>().ok());
    let Some(strategy) = known else { return unknown(name) };
    if strategy == StrategyId::Page {
        return;
    }
    let identity = Identity { strategy: strategy.name(), inside, ..Identity::default() };
    let writer = Writer::create(directory, &identity).unwrap_or_else(|_| Writer::detached());
    let config = PoolConfig { strategy, inside, ..PoolConfig::default() };
    match Pool::new(config, writer) {
        Ok(mut pool) => {
            pool.region.charge_to(Payer {
                take: |bytes| LIMIT.take(bytes),
                give_back: |bytes| LIMIT.give_back(bytes),
            });
            // Release: pairs with the Acquire in `pool`.
            POOL.store(Box::into_raw(Box::new(pool)), Ordering::Release);
            SERVES.store(true, Ordering::Relaxed);
        }
        Err(error) => misuse::say(format_args!("STORMGLASS_STRATEGY={strategy} is not served: {error}")),
    }
}

#[cold]
fn unknown(name: &[u8]) {
    struct Names;
    impl core::fmt::Display for Names {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            StrategyId::ALL.iter().try_for_each(|id| write!(f, " {id}"))
        }
    }
    misuse::say(format_args!(
        "STORMGLASS_STRATEGY={} is no design, so `page` serves; the designs are{}",
        name.escape_ascii(),
        Names
    ));
}

/// A heap of the pool for one thread.
pub(super) fn heap(pool: &'static Pool) -> Option<Heap<'static>> {
    // Opening the thread's hardware counters is the one thing about it that goes through the C library.
    errno::kept(|| {
        let mut heap = pool.heap().ok()?;
        heap.settle_sampler();
        Some(heap)
    })
}

/// The pool's segment.
pub(super) fn path() -> Option<&'static Path> {
    pool()?.writer().path()
}

/// In the child of a fork: nothing more is taken from the pool or given to it.
pub(super) fn after_fork_in_child() {
    SERVES.store(false, Ordering::Relaxed);
}

/// Whether blocks go back to the pool.
pub(super) fn takes_back() -> bool {
    SERVES.load(Ordering::Relaxed)
}
