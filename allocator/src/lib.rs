//! The mid pool of stormglass: blocks of 2 to 32 KiB in 7 size classes, under a design that is chosen when the pool is
//! made (8 shards a class that threads share, or pages that one thread has to itself), and every contended step of it
//! counted.
//!
//! Invariant of the whole crate: *a block is in exactly one place*: with a caller, in a ring, on a shard's list, on a
//! remote-free stack, or in one of its page's maps. [`block::Block`] is that place's token; it cannot be copied.
//!
//! ```
//! use stormglass_allocator::{Pool, PoolConfig};
//! use stormglass_telemetry::Writer;
//!
//! let pool = Pool::new(PoolConfig::default(), Writer::detached())?;
//! let mut heap = pool.heap()?;
//! let block = heap.alloc(5000).expect("memory");
//! // SAFETY: the block came from this pool and is not used any more.
//! unsafe { heap.free(block) };
//! # Ok::<(), stormglass_allocator::PoolError>(())
//! ```

#![cfg_attr(
    all(test, feature = "uncounted"),
    allow(dead_code, unused_imports, reason = "used by the tests of what is counted alone")
)]

mod attempts;
mod batch;
mod block;
mod error;
#[cfg(not(loom))]
mod exchange;
mod free_list;
mod futex;
#[cfg(not(loom))]
pub mod general;
// What needs a real mapping or a real thread-local world is not there under loom: the models in models.rs take the
// protocols one by one.
#[cfg(not(loom))]
mod heap;
mod inbox;
mod injection;
mod links;
mod lock;
mod mask;
#[cfg(not(loom))]
mod misuse;
mod page;
#[cfg(not(loom))]
mod pool;
#[cfg(not(loom))]
mod region;
mod remote;
#[cfg(not(loom))]
mod ring;
mod seam;
#[cfg(not(loom))]
mod sharded;
mod site;
mod size_class;
mod sync;
mod try_lock;
mod versioned;

#[cfg(all(test, loom))]
mod models;
// Each of its tests is about what is counted.
#[cfg(all(test, not(loom), not(feature = "uncounted")))]
mod scripted;

pub use error::{PoolError, UnknownStrategy};
pub use free_list::StrategyId;
#[cfg(not(loom))]
pub use heap::Heap;
pub use injection::{Injection, InjectionError};
#[cfg(not(loom))]
pub use pool::{Pool, PoolConfig};
pub use size_class::{Class, MAX_SIZE};
