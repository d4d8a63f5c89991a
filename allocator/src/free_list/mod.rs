//! The free-list designs, one a file, and the one list that names them.
//!
//! Tests, models, benchmark, command line and docs read [`StrategyId::ALL`]; a design is one file and one line here.

mod class_lock;
mod depot;
mod global_lock;
mod hybrid;
mod lockfree_single;
mod lockfree_walk;
mod mutex;
mod relaxed;
mod small_batch;
mod stack;
mod targeted;
mod walk_once;

#[cfg(all(test, loom))]
pub(crate) use self::walk_once::OnceStack;

use core::fmt;
use core::str::FromStr;

use stormglass_telemetry::Op;
use stormglass_telemetry::schema::SHARDS;

use crate::batch::Batch;
use crate::block::Chain;
#[cfg(not(loom))]
use crate::error::PoolError;
use crate::error::UnknownStrategy;
#[cfg(not(loom))]
use crate::exchange::Exchange;
#[cfg(not(loom))]
use crate::page::MidPages;
#[cfg(not(loom))]
use crate::region::Region;
#[cfg(not(loom))]
use crate::sharded::Sharded;
use crate::site::Site;

/// Whether to wait for a shard that is busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// The thread's own shard: wait.
    Wait,
    /// A victim of stealing: go on to the next one.
    Try,
}

/// A shard's shared list of free blocks.
pub(crate) trait FreeList: Send + Sync {
    /// What all lists of a pool share; `()` where they share nothing.
    type Shared: Default + Send + Sync;

    /// A list without blocks.
    fn empty() -> Self;

    /// Takes blocks until `batch` is full, the list is empty, or the design's own measure is reached; nothing if the list is
    /// busy and the caller has no patience. There must be room for a whole batch.
    fn pop_batch(&self, shared: &Self::Shared, batch: &mut Batch, patience: Patience, site: Site<'_>);

    /// Adds a chain, counted as `op`; [`Op::Push`] is for a chain of one.
    fn push_chain(&self, shared: &Self::Shared, chain: Chain, op: Op, site: Site<'_>);

    /// Adds a batch that is not linked yet, counted as `op`.
    fn push_batch(&self, shared: &Self::Shared, batch: Batch, op: Op, site: Site<'_>) {
        if let Some(chain) = batch.into_chain(site.links) {
            self.push_chain(shared, chain, op, site);
        }
    }

    /// Whether nothing was there a moment ago; takes part in the mask's protocol (mask.rs).
    fn looks_empty(&self) -> bool;
}

macro_rules! strategies {
    (
        lists { $($list_id:ident = $list_name:literal, $list_paper:literal, $shards:expr, $list:ty, $list_about:literal;)* }
        others { $($other_id:ident = $other_name:literal, $other_paper:literal, $other:ty, $other_about:literal;)* }
    ) => {
        strategies! {
            @all
            $($list_id = $list_name, $list_paper, $shards, Sharded<$list>, $list_about;)*
            $($other_id = $other_name, $other_paper, 1, $other, $other_about;)*
        }

        /// The lists by the names of their designs, for tests that step inside.
        #[cfg(test)]
        pub(crate) mod list {
            use super::*;
            $(pub(crate) type $list_id = $list;)*
        }

        /// One test for every design that shares lists: `$check::<its list>()`.
        #[cfg(all(test, not(feature = "uncounted")))]
        macro_rules! each_design {
            ($check:path) => {
                $(
                    #[test]
                    #[allow(non_snake_case, reason = "named as its design")]
                    fn $list_id() {
                        use $check as check;
                        check::<$crate::free_list::list::$list_id>();
                    }
                )*
            };
        }
        #[cfg(all(test, not(feature = "uncounted")))]
        pub(crate) use each_design;
    };
    (@all $($variant:ident = $name:literal, $paper:literal, $shards:expr, $design:ty, $about:literal;)*) => {
        /// A free-list design.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum StrategyId {
            $(#[doc = concat!("`", $name, "`: ", $about, ".")] $variant,)*
        }

        impl StrategyId {
            /// Every design.
            pub const ALL: &'static [StrategyId] = &[$(StrategyId::$variant,)*];

            /// The name on the command line and in the label `strategy`.
            pub const fn name(self) -> &'static str {
                match self { $(StrategyId::$variant => $name,)* }
            }

            /// Where the paper has it.
            pub const fn paper(self) -> &'static str {
                match self { $(StrategyId::$variant => $paper,)* }
            }

            /// What it does, in a few words, for tables and help.
            pub const fn about(self) -> &'static str {
                match self { $(StrategyId::$variant => $about,)* }
            }

            /// How many shards each class has; 1 where the design knows no shards.
            pub const fn shards(self) -> usize {
                match self { $(StrategyId::$variant => $shards,)* }
            }
        }

        #[cfg(not(loom))]
        /// What stands behind the rings, under one design.
        pub(crate) enum Strategy {
            $($variant(Box<$design>),)*
        }

        #[cfg(not(loom))]
        impl Strategy {
            pub(crate) fn new(id: StrategyId, region: &Region) -> Result<Strategy, PoolError> {
                Ok(match id { $(StrategyId::$variant => Strategy::$variant(Exchange::over(region)?),)* })
            }

            /// For one heap.
            pub(crate) fn attach(&self) -> Attached<'_> {
                match self { $(Strategy::$variant(exchange) => Attached::$variant(exchange, Default::default()),)* }
            }
        }

        #[cfg(not(loom))]
        /// A design, and what one heap keeps for it. The only place where the choice is a branch; it is on the slow path.
        pub(crate) enum Attached<'p> {
            $($variant(&'p $design, <$design as Exchange>::Local),)*
        }

        #[cfg(not(loom))]
        macro_rules! with_exchange {
            ($attached:expr, $exchange:ident, $local:ident => $body:expr) => {
                match $attached { $($crate::free_list::Attached::$variant($exchange, $local) => $body,)* }
            };
        }
        #[cfg(not(loom))]
        pub(crate) use with_exchange;
    };
}

strategies! {
    lists {
        Mutex = "mutex", "Phase 6.25", SHARDS, mutex::MutexList,
            "a padded mutex a shard; a batch is walked once, under the lock";
        LockfreeWalk = "lockfree-walk", "Phase 7.1", SHARDS, lockfree_walk::WalkStack,
            "a CAS stack; a batch is walked inside the CAS loop";
        LockfreeSingle = "lockfree-single", "Phase 7.1.1", SHARDS, lockfree_single::SingleStack,
            "a CAS stack; a batch is repeated single pops";
        WalkOnce = "walk-once", "option A1", SHARDS, walk_once::OnceStack,
            "a CAS stack; after a failed CAS only what has changed is walked again";
        SmallBatch = "small-batch", "option A1", SHARDS, small_batch::SmallBatchStack,
            "as lockfree-walk, in batches of 4";
        Relaxed = "relaxed", "option A2", SHARDS, relaxed::RelaxedStack,
            "as walk-once, with the weakest memory orderings that are right";
        Hybrid = "hybrid", "option A3", SHARDS, hybrid::HybridStack,
            "a CAS for single blocks, a mutex a shard for batches";
        Targeted = "targeted", "option C", SHARDS, targeted::TargetedList,
            "batches under a mutex a shard; single blocks go lock-free to an inbox that is taken whole";
        ClassLock = "class-lock", "option B2", 1, class_lock::ClassList,
            "a mutex a class, no shards";
        GlobalLock = "global-lock", "option B2", 1, global_lock::OptimisticStack,
            "one CAS attempt, no shards; who loses it queues behind one mutex for everything";
        Depot = "depot", "not in the paper", SHARDS, depot::Depot,
            "whole batches are handed over by one CAS, and nobody walks them";
    }
    others {
        Page = "page", "option B1, MF2", MidPages,
            "pages that one thread holds, with a map of free blocks each; nothing is shared but what others give back";
    }
}

impl StrategyId {
    /// The designs that the paper measured; the others it proposed, or are our own.
    pub const PAPER_TRIED: &'static [StrategyId] =
        &[StrategyId::Mutex, StrategyId::LockfreeWalk, StrategyId::LockfreeSingle];
}

impl fmt::Display for StrategyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for StrategyId {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<StrategyId, UnknownStrategy> {
        StrategyId::ALL
            .iter()
            .copied()
            .find(|id| id.name() == name)
            .ok_or_else(|| UnknownStrategy(name.to_owned()))
    }
}
