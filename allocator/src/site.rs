//! Where an operation on a shared list takes place: which shard, whose counters, which links.

use stormglass_telemetry::ShardCounters;
#[cfg(not(loom))]
use stormglass_telemetry::SlotCounters;
use stormglass_telemetry::clock::Clock;
use stormglass_telemetry::perf::Sampler;

use crate::injection::Delay;
#[cfg(not(loom))]
use crate::injection::Injector;
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
    #[cfg_attr(loom, allow(dead_code, reason = "the models have one shard"))]
    pub(crate) at: ShardId,
    pub(crate) links: &'a Links,
    /// The calling thread's own counters of this shard.
    pub(crate) counters: &'a ShardCounters,
    pub(crate) clock: Clock,
    /// What a user wants to be lost at the seam (seam.rs); nothing, unless asked for.
    pub(crate) delay: Delay,
    /// The calling thread's hardware counters, if it has some.
    #[cfg_attr(loom, allow(dead_code, reason = "the models count nothing"))]
    pub(crate) sampler: Option<&'a Sampler>,
}

#[cfg(not(loom))]
impl Site<'_> {
    /// What the slow path in progress has done so far, since the last lap, it did here.
    pub(crate) fn lap(self) {
        if let Some(sampler) = self.sampler {
            sampler.lap(self.counters);
        }
    }

    /// As [`Site::lap`], where the slow path is that of another shard.
    pub(crate) fn visit(self) {
        if let Some(sampler) = self.sampler {
            sampler.visit(self.counters);
        }
    }
}

/// What every operation needs, whatever it works on: where it is counted, and what it is to lose at its seam.
#[derive(Clone, Copy)]
pub(crate) struct Tally<'a> {
    /// The calling thread's own counters.
    pub(crate) counters: &'a ShardCounters,
    pub(crate) delay: Delay,
}

impl<'a> From<Site<'a>> for Tally<'a> {
    fn from(site: Site<'a>) -> Tally<'a> {
        Tally { counters: site.counters, delay: site.delay }
    }
}

/// The calling thread's view of every shard.
#[cfg(not(loom))]
#[derive(Clone, Copy)]
pub(crate) struct Sites<'a> {
    pub(crate) links: &'a Links,
    pub(crate) slot: &'a SlotCounters,
    pub(crate) clock: Clock,
    pub(crate) inject: Option<&'a Injector>,
    pub(crate) sampler: &'a Sampler,
}

#[cfg(not(loom))]
impl<'a> Sites<'a> {
    /// Its view of one shard, which is shown as touched from now on.
    pub(crate) fn at(self, at: ShardId) -> Site<'a> {
        let counters = self.slot.shard(at.class.index(), at.shard);
        let delay = self.inject.map_or(Delay::NONE, |injector| injector.delay(at.class, at.shard));
        Site { at, links: self.links, counters, clock: self.clock, delay, sampler: Some(self.sampler) }
    }
}
