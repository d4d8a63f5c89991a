//! The processes of a directory, look by look: what they count, what counting costs them and, where that is asked for, what the
//! processor and the kernel count of them.

use stormglass_dashboard::Live;
use stormglass_telemetry::{Directory, clock};

use super::events::Events;
use crate::check::evidence::{Cost, Evidence, Sight};
use crate::serve::uncounted;

/// Processes that can be looked at again and again.
pub(super) struct Processes {
    live: Live,
    events: Option<Events>,
}

impl Processes {
    /// Those of a directory; with `events`, those of processor and kernel are counted from the first look at each process on.
    /// Events that cannot be are told of.
    pub(super) fn of(directory: Directory, events: bool) -> Processes {
        let mut live = Live::new(directory).costing(Directory::from_env());
        if events {
            uncounted(&live.count_events());
        }
        Processes { live, events: events.then(Events::default) }
    }

    /// Whether there is one.
    pub(super) fn are_there(&mut self) -> bool {
        !self.live.snapshots().is_empty()
    }

    /// Shows what they say now.
    pub(super) fn show(&mut self, evidence: &mut Evidence) {
        let snapshots = self.live.snapshots();
        let sights = snapshots.into_iter().map(|snapshot| {
            let cost = self.live.counting(&snapshot.process).map_or(Cost::Unknown, Cost::Share);
            let sight = Sight::from(match &mut self.events {
                Some(events) => {
                    let totals = self.live.events(&snapshot.process);
                    events.beside(snapshot, &totals)
                }
                None => snapshot,
            });
            Sight { cost, ..sight }
        });
        let sights: Vec<Sight> = sights.collect();
        evidence.see(clock::monotonic(), sights);
    }
}
