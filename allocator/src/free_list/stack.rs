//! What the designs with a versioned head have in common: one attempt to take a batch by a walk, and pushes.

use stormglass_telemetry::Op;

use crate::attempts::Attempts;
use crate::batch::{BATCH, Batch};
use crate::block::Block;
use crate::site::Site;
use crate::versioned::{Orderings, VersionedHead};

/// Walks up to `most` blocks and makes one attempt to take them; `false` if it was beaten, and the walk in vain.
pub(super) fn try_take<O: Orderings>(
    head: &VersionedHead<O>,
    most: usize,
    attempts: &mut Attempts<'_>,
    batch: &mut Batch,
    site: Site<'_>,
) -> bool {
    let seen = head.load();
    let most = most.min(batch.room());
    let mut walked = [0; BATCH];
    let mut len = 0;
    let mut cursor = seen.top();
    while let Some(number) = cursor
        && len < most
    {
        walked[len] = number;
        len += 1;
        cursor = site.links.next(number);
    }
    if len == 0 {
        return true;
    }
    if !attempts.take(head, seen, cursor) {
        site.counters.walk_blocks_wasted.add(len as u64);
        return false;
    }
    site.counters.walk_blocks_kept.add(len as u64);
    for &number in &walked[..len] {
        // The CAS took exactly the blocks that were walked: the version says that no link changed.
        batch.push(Block::claim(number));
    }
    true
}

/// One attempt to put `first` to `last`, which are linked already, on the stack; `false` if it was beaten.
pub(super) fn try_put<O: Orderings>(
    head: &VersionedHead<O>,
    (first, last): (u32, u32),
    attempts: &mut Attempts<'_>,
    site: Site<'_>,
) -> bool {
    let seen = head.glance();
    site.links.set_next(last, seen.top());
    attempts.put(head, seen, first)
}

/// Puts `first` to `last`, which are linked already, on the stack with one CAS, however often it is beaten.
pub(super) fn put<O: Orderings>(head: &VersionedHead<O>, ends: (u32, u32), op: Op, site: Site<'_>) {
    let mut attempts = Attempts::of(op, site);
    while !try_put(head, ends, &mut attempts, site) {}
}
