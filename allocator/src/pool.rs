//! The pool: one region, one design, and the heaps of the threads that use them.

use core::sync::atomic::{AtomicUsize, Ordering};

use stormglass_telemetry::clock::Clock;
use stormglass_telemetry::schema::SHARDS;
use stormglass_telemetry::{Inside, Writer};

use crate::error::PoolError;
use crate::free_list::{Strategy, StrategyId};
use crate::heap::Heap;
use crate::injection::{Injection, Injector};
use crate::region::Region;

/// How a pool is made.
#[derive(Clone, Copy, Debug)]
pub struct PoolConfig {
    /// The free-list design.
    pub strategy: StrategyId,
    /// The home shard of every thread; `None` deals them out in turn. One shard for all makes the worst contention.
    /// A design with fewer shards takes it modulo their number.
    pub home: Option<usize>,
    /// Address space to reserve for blocks, in bytes. Only what is used takes memory.
    pub region_bytes: usize,
    /// A delay to inject. The pool's segment must tell of it (`Identity::injected`): nothing is injected in secret.
    pub inject: Option<Injection>,
    /// Which hardware counters the slow paths of its threads are sampled by: those that [`perf::inside`] finds, or none. The pool's
    /// segment must have been made for them (`Identity::inside`), or nobody sees them.
    ///
    /// [`perf::inside`]: stormglass_telemetry::perf::inside
    pub inside: Inside,
}

impl Default for PoolConfig {
    fn default() -> PoolConfig {
        PoolConfig {
            strategy: StrategyId::Mutex,
            home: None,
            region_bytes: 16 << 30,
            inject: None,
            inside: Inside::NONE,
        }
    }
}

/// A mid pool. Shared by threads, each of which has its own [`Heap`].
pub struct Pool {
    pub(crate) region: Region,
    pub(crate) strategy: Strategy,
    pub(crate) clock: Clock,
    pub(crate) inject: Option<Injector>,
    pub(crate) inside: Inside,
    home: Option<usize>,
    shards: usize,
    heaps: AtomicUsize,
    writer: Writer,
}

impl Pool {
    /// Reserves the address space; takes no memory yet.
    ///
    /// # Errors
    /// If not even the smallest region can be reserved, `config.home` is no shard, or a delay is to be injected that the
    /// segment does not tell of or that this machine cannot time.
    pub fn new(config: PoolConfig, writer: Writer) -> Result<Pool, PoolError> {
        if let Some(home) = config.home.filter(|&home| home >= SHARDS) {
            return Err(PoolError::NoSuchShard(home));
        }
        let wanted = config.inject.map(|injection| injection.to_string());
        if writer.path().is_some() && writer.injected() != wanted.as_deref() {
            return Err(PoolError::Unmarked);
        }
        let clock = Clock::calibrate();
        let inject = config
            .inject
            .map(|i| Injector::new(i.for_shards(config.strategy.shards()), clock).ok_or(PoolError::NoTicks));
        let region = Region::reserve(config.region_bytes)?;
        Ok(Pool {
            strategy: Strategy::new(config.strategy, &region)?,
            region,
            clock,
            inject: inject.transpose()?,
            inside: config.inside,
            home: config.home,
            shards: config.strategy.shards(),
            heaps: AtomicUsize::new(0),
            writer,
        })
    }

    /// The calling thread's part of the pool. What it holds goes to other threads when it is dropped.
    ///
    /// # Errors
    /// If there is no memory for the thread's counters.
    pub fn heap(&self) -> Result<Heap<'_>, PoolError> {
        // Relaxed: only deals out numbers.
        let number = self.heaps.fetch_add(1, Ordering::Relaxed);
        Ok(Heap::new(self, self.writer.claim()?, self.home.unwrap_or(number) % self.shards))
    }

    /// The counters' writer, whose path names the segment.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }
}
