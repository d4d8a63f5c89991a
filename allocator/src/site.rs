//! Where an operation on a shared list takes place: which shard, whose counters, which links.

use stormglass_telemetry::ShardCounters;
#[cfg(not(loom))]
use stormglass_telemetry::SlotCounters;
use stormglass_telemetry::clock::Clock;

use crate::links::Links;
use crate::size_class::Class;

/// One shard of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShardId {
    pub(crate) class: Class,
    pub(crate) shard: usize,
}

/// What an operation on a shared list needs besides the list.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) at: ShardId,
    pub(crate) links: &'a Links,
    /// The calling thread's own counters of this shard.
    pub(crate) counters: &'a ShardCounters,
    pub(crate) clock: Clock,
}

/// The calling thread's view of every shard.
#[cfg(not(loom))]
#[derive(Clone, Copy)]
pub(crate) struct Sites<'a> {
    pub(crate) links: &'a Links,
    pub(crate) slot: &'a SlotCounters,
    pub(crate) clock: Clock,
}

#[cfg(not(loom))]
impl<'a> Sites<'a> {
    /// Its view of one shard, which is shown as touched from now on.
    pub(crate) fn at(self, at: ShardId) -> Site<'a> {
        let counters = self.slot.shard(at.class.index(), at.shard);
        Site { at, links: self.links, counters, clock: self.clock }
    }
}
