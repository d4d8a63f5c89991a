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
use crate::error::UnknownStrategy;
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
    ($($variant:ident = $name:literal, $paper:literal, $list:ty;)*) => {
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
        }

        #[cfg(not(loom))]
        /// The shards of every class under one design. The only place where the choice is a branch; it is on the slow path.
        pub(crate) enum Strategy {
            $($variant(Box<Sharded<$list>>),)*
        }

        #[cfg(not(loom))]
        impl Strategy {
            pub(crate) fn new(id: StrategyId) -> Strategy {
                match id { $(StrategyId::$variant => Strategy::$variant(Box::default()),)* }
            }
        }

        #[cfg(not(loom))]
        macro_rules! with_shards {
            ($strategy:expr, $shards:ident => $body:expr) => {
                match $strategy { $($crate::free_list::Strategy::$variant($shards) => $body,)* }
            };
        }
        #[cfg(not(loom))]
        pub(crate) use with_shards;
    };
}

strategies! {
    Mutex = "mutex", "Phase 6.25", mutex::MutexList;
    LockfreeWalk = "lockfree-walk", "Phase 7.1", lockfree_walk::WalkStack;
    LockfreeSingle = "lockfree-single", "Phase 7.1.1", lockfree_single::SingleStack;
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
