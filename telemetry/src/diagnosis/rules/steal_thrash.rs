//! Threads look through the shards of others and come back with little.

use core::fmt::{self, Display};

use serde::Serialize;

use super::super::numbers::{Percent, Short};
use super::{At, ByShard, Limit, Rule, Side};
use crate::diagnosis::Verdict;
use crate::diagnosis::verdict::{Advice, Scope, Severity};

/// Evidence of [`Verdict::StealThrash`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StealThrash {
    /// Shards of others that were looked through though they were not empty, a second.
    pub scans_per_second: f64,
    /// Blocks that such a look brought, on average.
    pub stolen_per_scan: f64,
    /// The shard that is looked through most often, and its share of all looks.
    pub worst_shard: Option<(usize, f64)>,
}

impl Rule for StealThrash {
    const VERDICT: Verdict = Verdict::StealThrash;
    const SCOPE: Scope = Scope::Class;
    const ADVICE: Advice = Advice {
        severity: Severity::Waste,
        title: "Steal thrash",
        says: "Threads whose own shard is empty look through those of others, and bring back few blocks or none.",
        means: "A look at another shard takes its lock or its head's cache line from the threads at home there. It pays if it brings a \
                batch of 32; if it brings a few blocks, everybody soon looks again, and blocks wander instead of resting. A look at a \
                shard whose lock is held brings nothing at all.",
        tries: "Fewer shards: `class-lock` and `global-lock` have one list a class, so that there is nothing to look through. `page` \
                adopts whole page heaps instead of stealing blocks. In the program: threads that allocate what others free should \
                not outnumber the blocks in flight.",
    };
    const LIMITS: &'static [Limit<StealThrash>] = &[
        Limit {
            field: "scans_per_second",
            what: "looks through shards of others, a second, without those that the mask sent to an empty one",
            of: |e| e.scans_per_second,
            side: Side::AtLeast,
            raise: 50_000.0,
            clear: 25_000.0,
            why: "At 0.1 to 1 µs a look 5 to 50 ms of each second, and as much for those who are disturbed.",
        },
        Limit {
            field: "stolen_per_scan",
            what: "blocks that such a look brings",
            of: |e| e.stolen_per_scan,
            side: Side::AtMost,
            raise: 2.0,
            clear: 4.0,
            why: "A batch is 32 blocks; below 4 the way there costs more than the blocks are worth.",
        },
    ];

    fn of(at: &At<'_>) -> Option<StealThrash> {
        let scans = at.shards(ByShard::StealScans) - at.shards(ByShard::MaskMisses);
        (scans > 0.0).then(|| StealThrash {
            scans_per_second: at.rate(scans),
            stolen_per_scan: at.shards(ByShard::StolenBlocks) / scans,
            worst_shard: at.worst_shard(|shard| at.tally.shard(ByShard::StealScans, at.class, shard)),
        })
    }

    fn weight(&self) -> f64 {
        self.scans_per_second
    }
}

impl Display for StealThrash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} looks a second through shards of others bring {} blocks each",
            Short(self.scans_per_second),
            Short(self.stolen_per_scan)
        )?;
        match self.worst_shard {
            Some((worst, share)) => write!(f, "; {} of them at shard {worst}", Percent(share)),
            None => Ok(()),
        }
    }
}
