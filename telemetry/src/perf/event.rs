//! The events, and which of them are counted together.

use serde::Serialize;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(usize)]
pub enum Event {
    /// Processor cycles.
    Cycles,
    /// Instructions retired.
    Instructions,
    /// Accesses that reached the last level of cache.
    CacheReferences,
    /// Those that it did not have.
    CacheMisses,
    /// Reads that the first level of data cache did not have.
    L1dReadMisses,
    /// Reads that the last level of cache did not have.
    LlcReadMisses,
    /// Lines that came from another core's cache; which of them a processor can tell is said in processor.rs.
    RemoteCacheFills,
    /// Page faults, by the kernel's count.
    PageFaults,
    /// Context switches, wanted or not.
    ContextSwitches,
    /// Moves from one processor to another.
    Migrations,
    /// Nanoseconds on a processor.
    TaskClock,
}

/// Whose counters count an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The processor's.
    Hardware,
    /// The kernel's, which every machine has.
    Software,
}

/// Events of a group at most.
pub(super) const MAX_GROUP: usize = 4;

impl Event {
    /// Every event.
    pub const ALL: [Event; 11] = [
        Event::Cycles,
        Event::Instructions,
        Event::CacheReferences,
        Event::CacheMisses,
        Event::L1dReadMisses,
        Event::LlcReadMisses,
        Event::RemoteCacheFills,
        Event::PageFaults,
        Event::ContextSwitches,
        Event::Migrations,
        Event::TaskClock,
    ];

    /// Which events are to be of the same time, because their ratios are looked at. Four fit most processors' counters.
    pub(super) const GROUPS: [&'static [Event]; 3] = [
        &[Event::TaskClock, Event::PageFaults, Event::ContextSwitches, Event::Migrations],
        &[Event::Cycles, Event::Instructions, Event::CacheReferences, Event::CacheMisses],
        &[Event::L1dReadMisses, Event::LlcReadMisses, Event::RemoteCacheFills],
    ];

    /// The value of the label `event`.
    pub const fn name(self) -> &'static str {
        match self {
            Event::Cycles => "cycles",
            Event::Instructions => "instructions",
            Event::CacheReferences => "cache_references",
            Event::CacheMisses => "cache_misses",
            Event::L1dReadMisses => "l1d_read_misses",
            Event::LlcReadMisses => "llc_read_misses",
            Event::RemoteCacheFills => "remote_cache_fills",
            Event::PageFaults => "page_faults",
            Event::ContextSwitches => "context_switches",
            Event::Migrations => "migrations",
            Event::TaskClock => "task_clock",
        }
    }

    pub(super) const fn source(self) -> Source {
        match self {
            Event::PageFaults | Event::ContextSwitches | Event::Migrations | Event::TaskClock => {
                Source::Software
            }
            _ => Source::Hardware,
        }
    }

    /// Whether it happens in the kernel alone: counted without it, it reads 0.
    pub(super) const fn needs_kernel(self) -> bool {
        matches!(self, Event::ContextSwitches | Event::Migrations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_in_one_group_that_fits() {
        let grouped: Vec<Event> = Event::GROUPS.concat();
        let mut sorted = grouped.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, Event::ALL);
        assert!(Event::GROUPS.iter().all(|group| group.len() <= MAX_GROUP));
        for (index, event) in Event::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, index);
            assert_eq!(serde_json::to_value(event).expect("a word"), event.name());
        }
    }
}
