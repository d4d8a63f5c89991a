//! The verdicts on what was seen.

use stormglass_telemetry::Snapshot;

/// The names of the verdicts.
pub(crate) const NAMES: [&str; 9] = [
    "retry_storm",
    "walk_amplification",
    "cas_multiplication",
    "lock_convoy",
    "ring_starvation",
    "remote_free_flood",
    "steal_thrash",
    "false_non_empty",
    "watching_cost",
];

/// Name and meaning of each.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    NAMES.iter().map(|name| (*name, ""))
}

/// A verdict that was on at some time.
#[derive(Clone, Debug)]
pub(crate) struct Raised {
    pub(crate) name: &'static str,
    pub(crate) class: Option<String>,
    pub(crate) shard: Option<String>,
    /// What was counted, in words.
    pub(crate) evidence: String,
    /// What to try.
    pub(crate) advice: String,
}

/// Watches one process for verdicts.
pub(crate) struct Watch;

impl Watch {
    pub(crate) fn new(_: &Snapshot) -> Watch {
        Watch
    }

    pub(crate) fn see(&mut self, _: &Snapshot) {}

    pub(crate) fn raised(self, _: u64) -> Vec<Raised> {
        Vec::new()
    }
}
