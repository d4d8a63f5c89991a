//! Counting, or reading the counts, takes too much to be overlooked.

use core::fmt::{self, Display};

use serde::Serialize;

use super::super::numbers::Percent;
use super::{At, Limit, Rule, Side};
use crate::diagnosis::Verdict;
use crate::diagnosis::verdict::{Advice, Scope, Severity};

/// Evidence of [`Verdict::WatchingCost`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WatchingCost {
    /// What the counters cost the program: the share of its speed that a measurement without them found, 0 to 1.
    pub counting: Option<f64>,
    /// What the sidecar takes of the machine's processors, 0 to 1.
    pub sidecar: Option<f64>,
}

impl Rule for WatchingCost {
    const VERDICT: Verdict = Verdict::WatchingCost;
    const SCOPE: Scope = Scope::Process;
    const ADVICE: Advice = Advice {
        severity: Severity::Note,
        title: "Watching costs too much",
        says: "Counting the events, or reading the counts, takes so much that it changes what is measured.",
        means: "The figures are of a program that is being watched. Differences of a few per cent between designs may be the instrument, \
                and a sidecar that takes a processor's time keeps apart threads that would have met.",
        tries: "Measure with `stormglass bench`, which has no sidecar beside it. Scrape less often, close pages that nobody looks at, \
                watch fewer processes, or give the sidecar a processor of its own.",
    };
    const LIMITS: &'static [Limit<WatchingCost>] = &[Limit {
        field: "counting or sidecar",
        what: "share of the program's speed that counting costs, or of the machine that the sidecar takes, whichever is larger",
        of: WatchingCost::weight,
        side: Side::AtLeast,
        raise: 0.05,
        clear: 0.03,
        why: "The intervals of a benchmark are about 5% wide: what costs more decides comparisons.",
    }];

    fn of(at: &At<'_>) -> Option<WatchingCost> {
        let share = |share: Option<f64>| share.filter(|s| s.is_finite());
        let evidence =
            WatchingCost { counting: share(at.around.counting), sidecar: share(at.around.sidecar) };
        (evidence.counting.is_some() || evidence.sidecar.is_some()).then_some(evidence)
    }

    fn weight(&self) -> f64 {
        self.counting.unwrap_or(0.0).max(self.sidecar.unwrap_or(0.0))
    }
}

impl Display for WatchingCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.counting.map(|share| format!("counting costs {} of the program's speed", Percent(share))),
            self.sidecar
                .map(|share| format!("the sidecar takes {} of the machine's processors", Percent(share))),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&parts.join("; "))
    }
}
