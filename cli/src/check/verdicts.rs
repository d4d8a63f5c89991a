//! The verdicts on what was seen, by the same rules and the same hysteresis as in the sidecar.

use std::time::Duration;

use stormglass_telemetry::diagnosis::{Around, Change, Diagnostician, LOOK, RAISE_AFTER, Verdict};
use stormglass_telemetry::{Liveness, Snapshot};

/// The verdict of that name.
pub(crate) fn named(name: &str) -> Option<Verdict> {
    Verdict::ALL.into_iter().find(|verdict| verdict.id() == name)
}

/// Their names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> + Clone {
    Verdict::ALL.into_iter().map(Verdict::id)
}

/// A verdict that was on at some time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Raised {
    pub(crate) verdict: Verdict,
    pub(crate) class: Option<String>,
    pub(crate) shard: Option<String>,
    /// What was counted, in words.
    pub(crate) evidence: String,
}

/// Watches one process for verdicts.
#[derive(Default)]
pub(crate) struct Watch {
    diagnostician: Diagnostician,
    raised: Vec<Raised>,
    /// When it was first and last seen alive.
    alive: Option<(u64, u64)>,
}

impl Watch {
    /// `counting` is the share of its speed that counting costs it, where that was measured.
    pub(crate) fn see(&mut self, snapshot: &Snapshot, counting: Option<f64>) {
        if snapshot.liveness == Liveness::Live {
            let first = self.alive.map_or(snapshot.taken, |(first, _)| first);
            self.alive = Some((first, snapshot.taken));
        }
        for change in self.diagnostician.see(snapshot, &Around { counting, ..Around::default() }) {
            let Change::Raised(finding) = change else { continue };
            self.add(Raised {
                verdict: finding.verdict,
                class: finding.place.class.clone(),
                shard: finding.place.shard.clone(),
                evidence: finding.evidence.to_string(),
            });
        }
    }

    /// One that somebody else raised, who looked longer or more often.
    pub(crate) fn add(&mut self, raised: Raised) {
        let same = |other: &Raised| {
            (other.verdict, &other.class, &other.shard) == (raised.verdict, &raised.class, &raised.shard)
        };
        if !self.raised.iter().any(same) {
            self.raised.push(raised);
        }
    }

    /// Whether it was seen alive for as long as a verdict takes: if not, that none was raised means nothing.
    pub(crate) fn could_tell(&self) -> bool {
        let alive = self.alive.map(|(first, last)| Duration::from_nanos(last.saturating_sub(first)));
        alive.is_some_and(|alive| alive >= RAISE_AFTER + LOOK)
    }

    pub(crate) fn raised(self) -> Vec<Raised> {
        self.raised
    }
}
