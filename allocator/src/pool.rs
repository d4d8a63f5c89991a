//! The pool: one region, one design, and the heaps of the threads that use them.

use core::sync::atomic::{AtomicUsize, Ordering};

use stormglass_telemetry::Writer;
use stormglass_telemetry::clock::Clock;
use stormglass_telemetry::schema::SHARDS;

use crate::error::PoolError;
use crate::free_list::{Strategy, StrategyId};
use crate::heap::Heap;
use crate::injection::{Delay, Injection, Injector};
use crate::region::Region;
use crate::site::ShardId;

/// How a pool is made.
#[derive(Clone, Copy, Debug)]
pub struct PoolConfig {
    /// The free-list design.
    pub strategy: StrategyId,
    /// The home shard of every thread; `None` deals them out in turn. One shard for all makes the worst contention.
    pub home: Option<usize>,
    /// Address space to reserve for blocks, in bytes. Only what is used takes memory.
    pub region_bytes: usize,
    /// A delay to inject. The pool's segment must tell of it (`Identity::injected`): nothing is injected in secret.
    pub inject: Option<Injection>,
}

impl Default for PoolConfig {
    fn default() -> PoolConfig {
        PoolConfig { strategy: StrategyId::Mutex, home: None, region_bytes: 16 << 30, inject: None }
    }
}

/// A mid pool. Shared by threads, each of which has its own [`Heap`].
pub struct Pool {
    pub(crate) region: Region,
    pub(crate) strategy: Strategy,
    pub(crate) clock: Clock,
    inject: Option<Injector>,
    home: Option<usize>,
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
        Ok(Pool {
            region: Region::reserve(config.region_bytes)?,
            strategy: Strategy::new(config.strategy),
            clock,
            inject: inject.transpose()?,
            home: config.home,
            heaps: AtomicUsize::new(0),
            writer,
        })
    }

    /// The calling thread's part of the pool. Its rings go back to their shards when it is dropped.
    ///
    /// # Errors
    /// If there is no memory for the thread's counters.
    pub fn heap(&self) -> Result<Heap<'_>, PoolError> {
        // Relaxed: only deals out numbers.
        let number = self.heaps.fetch_add(1, Ordering::Relaxed);
        Ok(Heap::new(self, self.writer.claim()?, self.home.unwrap_or(number % self.strategy.id().shards())))
    }

    /// What is injected on this shard.
    pub(crate) fn delay(&self, at: ShardId) -> Delay {
        self.inject.as_ref().map_or(Delay::NONE, |injector| injector.delay(at.class, at.shard))
    }

    /// The counters' writer, whose path names the segment.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }
}
