//! A shard's remote-free stack: threads of other shards push, the first that needs blocks takes all.

use stormglass_telemetry::Op;

use crate::block::{Block, Chain};
use crate::inbox::Inbox;
use crate::site::Site;

/// A shard's remote-free stack.
#[derive(Debug)]
pub(crate) struct RemoteStack(Inbox);

impl RemoteStack {
    pub(crate) fn empty() -> RemoteStack {
        RemoteStack(Inbox::empty())
    }

    /// Pushes a block that a thread of another shard frees.
    pub(crate) fn push(&self, block: Block, site: Site<'_>) {
        self.0.push(block, Op::RemotePush, site);
        site.counters.remote_frees.add(1);
    }

    /// Takes every block that is there.
    pub(crate) fn take_all(&self, site: Site<'_>) -> Option<Chain> {
        let chain = Chain::claim(self.0.take_all()?, site.links);
        site.counters.remote_drains.add(1);
        site.counters.remote_drained_blocks.add(u64::from(chain.len()));
        Some(chain)
    }

    /// Whether nothing was there a moment ago.
    pub(crate) fn looks_empty(&self) -> bool {
        self.0.looks_empty()
    }
}
