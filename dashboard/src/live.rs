//! The processes of this user, or of a recording, for another view than the page: the terminal, a check.
//!
//! Invariant: it reads what the sidecar reads, by the same discovery and the same observer, and removes nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stormglass_telemetry::perf::Event;
use stormglass_telemetry::{Directory, Process, Snapshot};

use crate::discovery::Discovery;
use crate::frame::Now;
use crate::observer::Observer;
use crate::packed::Packed;
use crate::recording::Moment;
use crate::replay::Player;
use crate::results::Results;
use crate::retired::Retired;
use crate::source::{SharedSource, Source};
use crate::tape::Tape;
use crate::verdicts::Verdicts;
use crate::watching::Watching;

/// Longer than anything runs: nothing is removed.
const FOR_EVER: Duration = Duration::from_hours(1_000_000);

/// Reads processes, now and again.
pub struct Live {
    source: SharedSource,
    observer: Observer,
    watching: Watching,
}

impl Live {
    /// Those whose segments lie in a directory, which need not be there yet.
    #[must_use]
    pub fn new(directory: Directory) -> Live {
        let watching = Watching::of(directory.clone());
        let live = Live::of(SharedSource::new(Discovery::onlooker(directory, FOR_EVER)));
        Live { observer: live.observer.knowing(watching.clone()), watching, ..live }
    }

    /// With what `stormglass bench --cost` has left in another directory.
    #[must_use]
    pub fn costing(self, directory: Directory) -> Live {
        let watching = Watching::of(directory);
        Live { observer: self.observer.knowing(watching.clone()), watching, ..self }
    }

    /// Those of a recording, which plays from its beginning, so many times as fast as it went, and stands still at its end.
    #[must_use]
    pub fn replay(tape: Arc<Tape>, speed: f64) -> Live {
        let player = Player::new(tape, speed);
        Live::of(SharedSource::new(Played {
            player,
            looked: None,
            moment: None,
            retired: Retired::default(),
        }))
    }

    fn of(source: SharedSource) -> Live {
        let observer = Observer::new(source.clone(), Results::default(), Verdicts::default());
        Live { source, observer, watching: Watching::default() }
    }

    /// One snapshot of each process, the dead included, read now.
    pub fn snapshots(&mut self) -> Vec<Snapshot> {
        let snapshots = self.source.lock().snapshots();
        self.source.perf.follow(&snapshots);
        snapshots.iter().map(Packed::whole).collect()
    }

    /// Also counts what the processor and the kernel count of each process, from the first look at it on. Raises this process's
    /// limit of open files as far as it may. Returns, in sentences, what cannot be counted.
    pub fn count_events(&mut self) -> Vec<String> {
        self.source.count_events()
    }

    /// The events of a process that were counted, and how many, as of the last look at it.
    pub fn events(&self, process: &Process) -> Vec<(Event, u64)> {
        self.source.perf.totals(process)
    }

    /// The share of its speed that counting costs a process, 0 to 1, by what `stormglass bench --cost` last left here; `None` if it
    /// has not measured its allocator.
    pub fn counting(&self, process: &Process) -> Option<f64> {
        self.watching.latest()?.share(&process.strategy, &process.workload)
    }

    /// What the page would get now: the frame of `/api/snapshot`, as JSON.
    ///
    /// # Errors
    /// If it cannot be written as JSON, which would be a defect.
    pub fn frame(&mut self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self.observer.observe())
    }
}

/// A recording in place of segments: between two looks as much of it passes as of the clock.
struct Played {
    player: Player,
    looked: Option<Instant>,
    /// The last that could be read.
    moment: Option<Moment>,
    retired: Retired,
}

impl Source for Played {
    fn snapshots(&mut self) -> Vec<Packed> {
        let now = Instant::now();
        if let Some(before) = self.looked.replace(now) {
            self.player.pass(now - before);
        }
        match self.player.moment() {
            Ok(moment) => self.moment = Some(moment),
            Err(error) => tracing::warn!("the recording cannot be read any more: {error}"),
        }
        self.moment.iter().flat_map(|moment| moment.snapshots.iter().cloned().map(Packed::of)).collect()
    }

    fn now(&self) -> Option<Now> {
        self.moment.as_ref().map(|moment| Now { unix_ms: moment.unix_ms, monotonic: moment.monotonic })
    }

    fn retired(&self) -> &Retired {
        &self.retired
    }

    fn errors(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use stormglass_telemetry::{Identity, Writer};

    use super::*;

    #[test]
    fn it_knows_what_counting_costs() {
        let (dir, _) = crate::watching::tests::kept();
        let mut live = Live::new(Directory::at(dir.path().join("segments")));
        assert_eq!(live.frame().expect("JSON")["watching_cost"]["command"], "stormglass bench --cost");
    }

    #[test]
    fn it_shows_what_the_page_shows_and_removes_nothing() {
        let place = tempfile::tempdir().expect("a directory");
        let directory = Directory::at(place.path().join("segments"));
        let mut live = Live::new(directory.clone());
        assert!(live.snapshots().is_empty(), "there is no directory yet");
        let writer = Writer::create(&directory, &Identity { strategy: "mutex", ..Identity::default() });
        let path = writer.as_ref().expect("a segment").path().expect("it has a file").to_owned();
        let frame = live.frame().expect("JSON");
        assert_eq!(frame["processes"][0]["strategy"], "mutex");
        drop(writer);
        assert_eq!(live.snapshots().len(), 1, "the dead are shown");
        assert!(path.exists());
    }
}
