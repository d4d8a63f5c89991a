//! What the protocols cannot do without: models that must fail.

use loom::sync::atomic::{AtomicU32, Ordering};
use stormglass_telemetry::Op;

use super::pops_and_a_push;
use crate::batch::Batch;
use crate::block::{Block, Chain};
use crate::free_list::{FreeList, OnceStack, Patience};
use crate::site::Site;
use crate::versioned::Orderings;

/// The paper's own head: a block number without a version.
struct Unversioned(AtomicU32);

impl FreeList for Unversioned {
    type Shared = ();

    fn empty() -> Unversioned {
        Unversioned(AtomicU32::new(0))
    }

    fn pop_batch(&self, (): &(), batch: &mut Batch, _patience: Patience, site: Site<'_>) {
        while batch.room() > 0 {
            let seen = self.0.load(Ordering::SeqCst);
            let Some(number) = seen.checked_sub(1) else { return };
            let next = site.links.next(number).map_or(0, |n| n + 1);
            if self.0.compare_exchange(seen, next, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                batch.push(Block::claim(number));
            }
        }
    }

    fn push_chain(&self, (): &(), chain: Chain, _op: Op, site: Site<'_>) {
        loop {
            let seen = self.0.load(Ordering::SeqCst);
            site.links.set_next(chain.last(), seen.checked_sub(1));
            let put = chain.first() + 1;
            if self.0.compare_exchange(seen, put, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return;
            }
        }
    }

    fn looks_empty(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

/// The version is needed: without it the same model finds a block that two threads own, or one that is lost.
#[test]
#[should_panic(expected = "assertion `left == right` failed")]
fn an_unversioned_head_fails() {
    pops_and_a_push::<Unversioned>();
}

/// `relaxed`, with one ordering weaker still.
macro_rules! weaker {
    ($name:ident: LOAD = $load:ident, PUT = $put:ident) => {
        struct $name;

        impl Orderings for $name {
            const LOAD: Ordering = Ordering::$load;
            const GLANCE: Ordering = Ordering::Relaxed;
            const TAKE: Ordering = Ordering::Relaxed;
            const PUT: Ordering = Ordering::$put;
            const LOST: Ordering = Ordering::Relaxed;
        }
    };
}

weaker!(PutRelaxed: LOAD = Acquire, PUT = Relaxed);
weaker!(LoadRelaxed: LOAD = Relaxed, PUT = Release);

#[test]
#[should_panic(expected = "assertion `left == right` failed")]
fn a_push_that_does_not_release_fails() {
    pops_and_a_push::<OnceStack<PutRelaxed>>();
}

#[test]
#[should_panic(expected = "assertion `left == right` failed")]
fn a_pop_that_does_not_acquire_fails() {
    pops_and_a_push::<OnceStack<LoadRelaxed>>();
}
