//! How blocks get from thread to thread: what stands behind the rings.
//!
//! Two kinds are there: shards that threads share ([`Sharded`]) and pages that one thread has to itself
//! ([`Pages`](crate::page::Pages)). A heap knows neither: it asks for a batch when a ring is empty and gives one away
//! when a ring is full. Invariant: blocks cross this line by value, as tokens; what comes back is owned by the caller.

use crate::batch::Batch;
use crate::block::Block;
use crate::error::PoolError;
use crate::free_list::FreeList;
use crate::region::Region;
use crate::sharded::Sharded;
use crate::site::{ShardId, Site, Sites};

/// What all designs offer to a heap.
pub(crate) trait Exchange: Sized + Send + Sync {
    /// What a heap keeps for the design; its default belongs to a thread that has done nothing yet.
    type Local: Default;

    /// An exchange without blocks, for the blocks of `region`.
    fn over(region: &Region) -> Result<Box<Self>, PoolError>;

    /// Brings up to a batch of blocks from wherever there are some; an empty batch means that memory is used up.
    fn refill(&self, local: &mut Self::Local, home: ShardId, region: &Region, sites: Sites<'_>) -> Batch;

    /// Takes blocks back that a ring has no room for; `site` is the home shard.
    fn spill(&self, local: &mut Self::Local, batch: Batch, site: Site<'_>);

    /// Takes a block back that another shard, `site`, owns.
    fn free_remote(&self, local: &mut Self::Local, block: Block, site: Site<'_>);

    /// Takes back what a heap kept and leaves the default; its rings are empty already. `home` is its shard of every class.
    fn retire(&self, local: &mut Self::Local, home: usize, sites: Sites<'_>);
}

impl<L: FreeList> Exchange for Sharded<L> {
    /// The shards keep everything.
    type Local = ();

    fn over(_region: &Region) -> Result<Box<Self>, PoolError> {
        Ok(Box::default())
    }

    fn refill(&self, (): &mut (), home: ShardId, region: &Region, sites: Sites<'_>) -> Batch {
        self.refill(home, region, |at| sites.at(at))
    }

    fn spill(&self, (): &mut (), batch: Batch, site: Site<'_>) {
        self.spill(batch, site);
    }

    fn free_remote(&self, (): &mut (), block: Block, site: Site<'_>) {
        self.free_remote(block, site);
    }

    fn retire(&self, (): &mut (), _home: usize, _sites: Sites<'_>) {}
}
