//! Blocks are freed one by one to shards or threads that own them.

use core::fmt::{self, Display};

use serde::Serialize;

use super::super::numbers::{Percent, Short};
use super::{At, ByClass, ByShard, Limit, Rule, Side, ratio};
use crate::diagnosis::Verdict;
use crate::diagnosis::verdict::{Advice, Scope, Severity};

/// Evidence of [`Verdict::RemoteFreeFlood`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RemoteFreeFlood {
    /// CASes on remote-free stacks, a second.
    pub pushes_per_second: f64,
    /// Share of the frees that went there, 0 to 1.
    pub remote_share: f64,
    /// Of the blocks that were pushed, the share that their owners took back meanwhile; above 1 where they caught up.
    pub drained_share: f64,
    /// The shard that most of them go to, and its share of all.
    pub worst_shard: Option<(usize, f64)>,
}

impl Rule for RemoteFreeFlood {
    const VERDICT: Verdict = Verdict::RemoteFreeFlood;
    const SCOPE: Scope = Scope::Class;
    const ADVICE: Advice = Advice {
        severity: Severity::Waste,
        title: "Remote-free flood",
        says: "Many frees of this class are of blocks that another shard or thread owns, and each is a CAS on its remote-free stack.",
        means: "Such a free passes the freeing thread's ring by, so that the block is not at hand for its next allocation, writes to a \
                cache line that the owner and all others write to, and is taken back only when the owner runs dry. Blocks that one \
                thread allocates and another frees make it.",
        tries: "Under `page` every free goes into the freeing thread's ring and what is not its own goes back 64 blocks a CAS; under \
                `class-lock` and `global-lock` no free is remote. In the program: free a block where it was allocated, or hand the same \
                blocks back to the producer.",
    };
    const LIMITS: &'static [Limit<RemoteFreeFlood>] = &[
        Limit {
            field: "pushes_per_second",
            what: "CASes on remote-free stacks, a second",
            of: |e| e.pushes_per_second,
            side: Side::AtLeast,
            raise: 500_000.0,
            clear: 250_000.0,
            why: "At 20 ns, if nobody else wants the line, to 200 ns, 10 to 100 ms of each second.",
        },
        Limit {
            field: "remote_share",
            what: "share of the frees that are remote",
            of: |e| e.remote_share,
            side: Side::AtLeast,
            raise: 0.25,
            clear: 0.15,
            why: "From a quarter on, they and not the ring decide what a free costs; larson has 60 to 86% under the designs with shards and \
                  0.4% under `page`, which is three times as fast there.",
        },
    ];

    fn of(at: &At<'_>) -> Option<RemoteFreeFlood> {
        let blocks = at.shards(ByShard::RemoteFrees);
        (blocks > 0.0).then(|| RemoteFreeFlood {
            pushes_per_second: at.rate(at.shards(ByShard::RemoteAttempts)),
            remote_share: ratio(blocks, at.class(ByClass::Frees)).min(1.0),
            drained_share: ratio(at.shards(ByShard::RemoteDrained), blocks),
            worst_shard: at.worst_shard(|shard| at.tally.shard(ByShard::RemoteFrees, at.class, shard)),
        })
    }

    fn weight(&self) -> f64 {
        self.pushes_per_second
    }
}

impl Display for RemoteFreeFlood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of the frees are remote, {} CASes a second",
            Percent(self.remote_share),
            Short(self.pushes_per_second)
        )?;
        if let Some((worst, share)) = self.worst_shard {
            write!(f, ", {} of them to shard {worst}", Percent(share))?;
        }
        if self.drained_share < 0.5 {
            write!(f, "; their owners took back only {} of the blocks", Percent(self.drained_share))?;
        }
        Ok(())
    }
}
