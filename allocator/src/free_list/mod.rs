//! The free-list designs, one a file, and the one list that names them.
//!
//! Tests, models, benchmark, command line and docs read [`StrategyId::ALL`]; a design is one file and one line here.

mod lockfree_single;
mod lockfree_walk;
mod mutex;

#[cfg(test)]
pub(crate) use self::{lockfree_single::SingleStack, lockfree_walk::WalkStack, mutex::MutexList};

use core::fmt;
use core::str::FromStr;

use crate::batch::Batch;
use crate::block::Chain;
#[cfg(not(loom))]
use crate::error::PoolError;
use crate::error::UnknownStrategy;
#[cfg(not(loom))]
use crate::exchange::Exchange;
#[cfg(not(loom))]
use crate::page::Pages;
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
    /// A list without blocks.
    fn empty() -> Self;

    /// Takes blocks until `batch` is full or the list is empty (or busy, where the caller has no patience).
    fn pop_batch(&self, batch: &mut Batch, patience: Patience, site: Site<'_>);

    /// Adds a chain, counted as `op`.
    fn push_chain(&self, chain: Chain, op: stormglass_telemetry::Op, site: Site<'_>);

    /// Whether nothing was there a moment ago; takes part in the mask's protocol (mask.rs).
    fn looks_empty(&self) -> bool;
}

macro_rules! strategies {
    ($($variant:ident = $name:literal, $paper:literal, $shards:literal, $design:ty;)*) => {
        /// A free-list design.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum StrategyId {
            $(#[doc = concat!("`", $name, "`: ", $paper, " of the paper.")] $variant,)*
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
    Mutex = "mutex", "Phase 6.25", 8, Sharded<mutex::MutexList>;
    LockfreeWalk = "lockfree-walk", "Phase 7.1", 8, Sharded<lockfree_walk::WalkStack>;
    LockfreeSingle = "lockfree-single", "Phase 7.1.1", 8, Sharded<lockfree_single::SingleStack>;
    Page = "page", "option B1 (MF2)", 1, Pages;
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
