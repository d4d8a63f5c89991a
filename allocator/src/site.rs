//! Where an operation on a shared list takes place: which shard, whose counters, which links.

use stormglass_telemetry::ShardCounters;
use stormglass_telemetry::clock::Clock;

use crate::injection::Delay;
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
    /// What a user wants to be lost at the seam (seam.rs); nothing, unless asked for.
    pub(crate) delay: Delay,
}
