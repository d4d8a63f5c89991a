//! The flow that all shard-list designs share: refill from home, drain the remote frees, steal, take a page.
//!
//! ```text
//! refill:  home list -> home's remote stack (spliced into the list) -> lists that the mask names -> fresh page
//! spill:   home list
//! ```
//!
//! Every block on its way to a ring passes a shard's list, so one number (`refilled_blocks`) is the sum of all ways.

use stormglass_telemetry::Op;
use stormglass_telemetry::schema::{CLASSES, PAGE_BYTES, SHARDS};

use crate::batch::Batch;
use crate::block::{Block, Chain};
use crate::free_list::{FreeList, Patience};
use crate::mask::Mask;
use crate::region::Region;
use crate::remote::RemoteStack;
use crate::site::{ShardId, Site};
use crate::sync::Padded;

/// One shard: the list and the remote-free stack, on lines of their own.
struct Shard<L> {
    list: Padded<L>,
    remote: Padded<RemoteStack>,
}

/// All shards of all classes under one design.
pub(crate) struct Sharded<L: FreeList> {
    shards: [[Shard<L>; SHARDS]; CLASSES],
    masks: [Padded<Mask>; CLASSES],
    /// What the lists share beyond their shard.
    shared: L::Shared,
}

impl<L: FreeList> Default for Sharded<L> {
    fn default() -> Self {
        let shard = || Shard { list: Padded(L::empty()), remote: Padded(RemoteStack::empty()) };
        Sharded {
            shards: core::array::from_fn(|_| core::array::from_fn(|_| shard())),
            masks: core::array::from_fn(|_| Padded(Mask::empty())),
            shared: L::Shared::default(),
        }
    }
}

impl<L: FreeList> Sharded<L> {
    fn shard(&self, at: ShardId) -> &Shard<L> {
        &self.shards[at.class.index()][at.shard]
    }

    fn mask(&self, at: ShardId) -> &Mask {
        &self.masks[at.class.index()].0
    }

    /// Brings up to a batch of blocks from wherever there are some; an empty batch means that memory is used up.
    ///
    /// `site_of` gives the calling thread's view of any shard.
    pub(crate) fn refill<'a>(
        &self,
        home: ShardId,
        region: &Region,
        site_of: impl Fn(ShardId) -> Site<'a>,
    ) -> Batch {
        let mut batch = Batch::new();
        let home_site = site_of(home);
        self.take_from(home_site, Patience::Wait, &mut batch);
        if batch.is_empty() {
            self.steal(home, Patience::Try, &mut batch, &site_of);
        }
        while batch.is_empty() {
            let Some(page) = region.take_page(home) else {
                // Before memory counts as used up, shards that were busy are waited for.
                self.steal(home, Patience::Wait, &mut batch, &site_of);
                break;
            };
            home_site.counters.pages_mapped.add(1);
            home_site.counters.page_mapped_bytes.add(PAGE_BYTES as u64);
            self.add(page.into_chain(region.links()), Op::BatchPush, home_site);
            // Others may take it all before we do; then the next turn takes another page, and they have made progress.
            self.pop(home_site, Patience::Wait, &mut batch);
        }
        batch
    }

    /// Puts what a ring gives up on its shard's list.
    pub(crate) fn spill(&self, batch: Batch, site: Site<'_>) {
        if batch.is_empty() {
            return;
        }
        let op = if batch.len() == 1 { Op::Push } else { Op::BatchPush };
        self.shard(site.at).list.0.push_batch(&self.shared, batch, op, site);
        self.mask(site.at).name(site.at.shard);
    }

    /// Hands a block to the shard that it belongs to.
    pub(crate) fn free_remote(&self, block: Block, site: Site<'_>) {
        self.shard(site.at).remote.0.push(block, site);
        self.mask(site.at).name(site.at.shard);
    }

    fn add(&self, chain: Chain, op: Op, site: Site<'_>) {
        self.shard(site.at).list.0.push_chain(&self.shared, chain, op, site);
        self.mask(site.at).name(site.at.shard);
    }

    fn pop(&self, site: Site<'_>, patience: Patience, batch: &mut Batch) {
        let before = batch.len();
        self.shard(site.at).list.0.pop_batch(&self.shared, batch, patience, site);
        let taken = batch.len() - before;
        if taken > 0 {
            site.counters.refills.add(1);
            site.counters.refilled_blocks.add(taken as u64);
        }
    }

    /// From the shard's list, or from its remote-free stack by way of the list.
    fn take_from(&self, site: Site<'_>, patience: Patience, batch: &mut Batch) {
        self.pop(site, patience, batch);
        if !batch.is_empty() {
            return;
        }
        let shard = self.shard(site.at);
        if let Some(chain) = shard.remote.0.take_all(site) {
            self.add(chain, Op::Drain, site);
            self.pop(site, patience, batch);
        } else if shard.list.0.looks_empty() {
            self.mask(site.at)
                .forget(site.at.shard, || shard.list.0.looks_empty() && shard.remote.0.looks_empty());
        }
    }

    #[cold]
    fn steal<'a>(
        &self,
        home: ShardId,
        patience: Patience,
        batch: &mut Batch,
        site_of: &impl Fn(ShardId) -> Site<'a>,
    ) {
        // Up to here it was home's.
        site_of(home).lap();
        for shard in self.mask(home).others(home.shard, SHARDS) {
            let site = site_of(ShardId { shard, ..home });
            site.counters.steal_scans.add(1);
            self.take_from(site, patience, batch);
            site.visit();
            if !batch.is_empty() {
                site.counters.stolen_blocks.add(batch.len() as u64);
                return;
            }
            if self.shard(site.at).list.0.looks_empty() {
                site.counters.mask_misses.add(1);
            }
        }
    }
}
