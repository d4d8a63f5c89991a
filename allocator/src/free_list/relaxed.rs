//! `relaxed`: option A2. As `walk-once`, with every ordering the weakest that is right.
//!
//! ```text
//! a push      links = relaxed stores        CAS Release  ----+   publishes the links
//! a pop       load Acquire  <--------------------------------+   sees them
//!             links = relaxed loads         CAS Relaxed
//! ```
//!
//! Honestly: on x86-64 this changes no instruction that touches a head or a link. There every load acquires, every store
//! releases, and a CAS is a `lock cmpxchg`, a full fence, whatever its ordering; only the compiler may place the code
//! around it otherwise. On aarch64 a push's CAS loses its acquire half and a pop's both. So a difference that is measured on
//! x86-64 is noise, and a measure of it.
//!
//! Invariant: *whoever follows a link has acquired the head from every push before it.* The load does that: all changes
//! of a head are read-modify-writes, so each push heads a release sequence that later changes go on, relaxed ones
//! too. Everything else is the version's work: it is in the same word as the top, so a CAS that succeeds proves by its value
//! alone, without any ordering, that nothing has come between.

use super::walk_once::OnceStack;
use crate::sync::Ordering;
use crate::versioned::Orderings;

pub(crate) type RelaxedStack = OnceStack<Weakest>;

/// The weakest orderings of a versioned head. A loom model shows that one step less for `LOAD` or `PUT` fails.
#[derive(Debug)]
pub(crate) struct Weakest;

impl Orderings for Weakest {
    // Pairs with `PUT`: the links of every block that is on the list are visible to the walk. Consume would do where the
    // hardware orders by dependency; Rust has none, and it would not cover what was written to the block itself.
    const LOAD: Ordering = Ordering::Acquire;

    // Relaxed: a pusher links to the top's number but follows nothing, and a stale number fails the CAS. For the mask,
    // which asks whether the list is empty, the mask's own fences order it.
    const GLANCE: Ordering = Ordering::Relaxed;

    // Relaxed, and no Acquire: `LOAD` had it, and the version says that nothing was pushed since.
    // No Release: a pop writes nothing that others must see. Its reads of links are over before anyone could write them
    // again: only the owner of a block writes its link, all blocks that were read are the popper's own by this CAS, and
    // whoever owns them next got them from it by a push or a free, which does release.
    const TAKE: Ordering = Ordering::Relaxed;

    // Pairs with `LOAD`: publishes the links of the chain, and what its last owners did to the blocks. No Acquire: what
    // lies below is only linked to.
    const PUT: Ordering = Ordering::Release;

    // Relaxed: the value is only compared, to tell why the CAS failed; the next turn loads again.
    const LOST: Ordering = Ordering::Relaxed;
}
