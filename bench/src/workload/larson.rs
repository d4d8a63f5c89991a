//! `larson`: the server that Larson and Krishnan (ISMM 1998) imagine, with the semantics of the program that the field
//! uses (`larson SECONDS MIN MAX CHUNKS ROUNDS SEED THREADS`).
//!
//! ```text
//! untimed   main allocates THREADS x CHUNKS blocks, permutes them, replaces 4 x as many at random, deals them out
//! timed     a thread: CHUNKS x ROUNDS times { free a random block of its own, allocate one, write two bytes }
//!           then it starts its successor, hands its blocks over, and exits
//! ```
//!
//! So blocks are freed by another thread than the one that allocated them, first the main thread's, then the
//! predecessors'. Throughput is allocations over wall time.
//!
//! What differs from the original, each time where the original is known to be at fault: threads are joined (there each
//! leaves its stack behind), a thread that cannot be started is an error (there it silently counts nothing), random
//! numbers have a long period, per-thread data do not share cache lines, and at the end the blocks are checked. The two
//! bytes written are the first two, as there, but they name the block's place rather than being `ab`.
//!
//! Invariant: each block lies in exactly one lane, and each lane is with exactly one thread.

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use stormglass_allocator::{Class, Pool};

use super::answer::{Held, distinct};
use super::{Blocks, Meter, OwnLine, Source, Trouble, Workload};
use crate::random::Random;
use crate::shape::Shape;

/// Times that the set-up replaces each block, on average.
const WARM_UP: usize = 4;

pub(super) struct Larson;

impl Workload for Larson {
    fn name(&self) -> &'static str {
        "larson"
    }

    fn about(&self) -> &'static str {
        "threads that replace random blocks and hand them to their successors"
    }

    fn shape(&self) -> Shape {
        Shape { threads: 4, seconds: 0.8, min: 2048, max: 32768, chunks: 1000, rounds: 100, seed: 42 }
    }

    fn touches(&self, shape: &Shape, class: Class, _shard: usize) -> bool {
        // Its threads come and go, and each takes the next home shard. Sizes end below `max`, but for a single size.
        let largest = shape.min.max(shape.max - 1);
        let of = |size| Class::of(size).map(Class::index);
        (of(shape.min)..=of(largest)).contains(&Some(class.index()))
    }

    fn run(&self, pool: &Pool, shape: &Shape, meter: &mut dyn Meter) -> Result<u64, Trouble> {
        run(pool, shape, meter)
    }
}

/// larson on any source of blocks; see [`Workload::run`].
pub(crate) fn run<S: Source>(source: &S, shape: &Shape, meter: &mut dyn Meter) -> Result<u64, Trouble> {
    let lanes = set_up(source, shape)?;
    let stop = OwnLine(AtomicBool::new(false));
    meter.start();
    let finished = thread::scope(|scope| work(scope, source, shape, &stop.0, lanes));
    meter.stop();
    let lanes = finished?;
    check(&lanes)?;
    let operations = lanes.iter().map(|lane| lane.allocations).sum();
    give_back(source, lanes)?;
    Ok(operations)
}

/// One thread's blocks and what belongs to them, handed from thread to thread. Aligned so that two lanes never share
/// a cache line; `blocks` points to memory of its own.
#[repr(align(128))]
struct Lane {
    random: Random,
    allocations: u64,
    blocks: Box<[Held]>,
}

/// A size of the original's distribution.
fn size(random: &mut Random, shape: &Shape) -> usize {
    match (shape.max - shape.min) as u32 {
        0 => shape.min,
        range => shape.min + random.below(range) as usize,
    }
}

fn allocate(blocks: &mut impl Blocks, size: usize) -> Result<Held, Trouble> {
    let address = blocks.alloc(size).ok_or(Trouble::Memory { size })?;
    Ok(Held { address, size })
}

/// The two bytes that stand in the block at `index` of a lane.
fn stamp(index: usize) -> [u8; 2] {
    (index as u16 ^ 0x6162).to_le_bytes()
}

fn write_stamp(block: &Held, index: usize) {
    let [first, second] = stamp(index);
    let at = block.address.as_ptr();
    // SAFETY: the block has at least two bytes (`Shape::check`), is held here alone, and may hold anything. Volatile, so
    // that the writes happen although nothing reads them until the end.
    unsafe {
        ptr::write_volatile(at, first);
        ptr::write_volatile(at.add(1), second);
    }
}

/// Untimed: the main thread's blocks, mixed so that neighbours in memory are not neighbours in a lane.
fn set_up(source: &impl Source, shape: &Shape) -> Result<Vec<Lane>, Trouble> {
    let mut heap = source.blocks()?;
    let mut random = Random::new(shape.seed, 0);
    let total = shape.threads * shape.chunks;
    let mut blocks = Vec::with_capacity(total);
    for _ in 0..total {
        blocks.push(allocate(&mut heap, size(&mut random, shape))?);
    }
    for left in (1..=total).rev() {
        blocks.swap(random.below(left as u32) as usize, left - 1);
    }
    for _ in 0..WARM_UP * total {
        let victim = random.below(total as u32) as usize;
        replace(&mut heap, &mut blocks[victim], size(&mut random, shape))?;
    }
    let mut lanes = Vec::with_capacity(shape.threads);
    for number in (1..=shape.threads).rev() {
        let blocks = blocks.split_off((number - 1) * shape.chunks).into_boxed_slice();
        for (index, block) in blocks.iter().enumerate() {
            write_stamp(block, index);
        }
        lanes.push(Lane { random: Random::new(shape.seed, number as u64), allocations: 0, blocks });
    }
    Ok(lanes)
}

/// Frees a block, then allocates the one that takes its place.
#[inline]
fn replace(heap: &mut impl Blocks, block: &mut Held, size: usize) -> Result<(), Trouble> {
    // SAFETY: the block is of this source and `block` is its only handle. If the allocation fails, the handle is stale,
    // but then the whole run is given up and no lane is used again.
    unsafe { heap.free(block.address) };
    *block = allocate(heap, size)?;
    Ok(())
}

/// What the threads tell the main thread.
enum Event<'scope> {
    Started(ScopedJoinHandle<'scope, ()>),
    Finished(Lane),
    Failed(Trouble),
}

/// What a thread needs to work and to start its successor.
struct Relay<'scope, 'env, S> {
    scope: &'scope Scope<'scope, 'env>,
    source: &'env S,
    shape: &'env Shape,
    stop: &'env AtomicBool,
    post: Sender<Event<'scope>>,
}

impl<S: Source> Relay<'_, '_, S> {
    /// Starts a thread on `lane`. The main thread joins it.
    fn start(self, lane: Lane) {
        let post = self.post.clone();
        let scope = self.scope;
        let event = match thread::Builder::new().spawn_scoped(scope, move || self.live(lane)) {
            Ok(handle) => Event::Started(handle),
            Err(error) => Event::Failed(Trouble::Thread(error)),
        };
        // The main thread listens until every sender is gone.
        let _ = post.send(event);
    }

    /// A thread's life.
    fn live(self, mut lane: Lane) {
        let mut heap = match self.source.blocks() {
            Ok(heap) => heap,
            Err(trouble) => {
                let _ = self.post.send(Event::Failed(trouble));
                return;
            }
        };
        match exercise(&mut heap, &mut lane, self.shape, self.stop) {
            Err(trouble) => {
                let _ = self.post.send(Event::Failed(trouble));
            }
            Ok(Life::Stopped) => {
                let _ = self.post.send(Event::Finished(lane));
            }
            // As in the original, the successor starts before this thread is gone.
            Ok(Life::Spent) => self.start(lane),
        }
    }
}

/// How a thread's work ended.
enum Life {
    /// It has done its rounds.
    Spent,
    /// The time is over.
    Stopped,
}

/// The timed loop.
fn exercise(
    heap: &mut impl Blocks,
    lane: &mut Lane,
    shape: &Shape,
    stop: &AtomicBool,
) -> Result<Life, Trouble> {
    let chunks = lane.blocks.len() as u32;
    let mut left = shape.life();
    // Relaxed: the flag publishes no memory, and a thread may see it a little late.
    while !stop.load(Ordering::Relaxed) {
        if left == 0 {
            return Ok(Life::Spent);
        }
        left -= 1;
        let victim = lane.random.below(chunks) as usize;
        let size = size(&mut lane.random, shape);
        let block = &mut lane.blocks[victim];
        replace(heap, block, size)?;
        write_stamp(block, victim);
        lane.allocations += 1;
    }
    Ok(Life::Stopped)
}

/// Timed: starts the first threads, joins those that exit, and ends the work after `shape.seconds`.
fn work<'scope, 'env, S: Source>(
    scope: &'scope Scope<'scope, 'env>,
    source: &'env S,
    shape: &'env Shape,
    stop: &'env AtomicBool,
    lanes: Vec<Lane>,
) -> Result<Vec<Lane>, Trouble> {
    let (post, events) = mpsc::channel();
    let deadline = Instant::now() + Duration::from_secs_f64(shape.seconds);
    for lane in lanes {
        Relay { scope, source, shape, stop, post: post.clone() }.start(lane);
    }
    // From here on only threads hold senders: when the last has ended, the channel ends.
    drop(post);

    let mut running = Vec::new();
    let mut finished = Vec::new();
    let mut trouble = None;
    let mut take = |event| match event {
        Event::Started(handle) => {
            running.push(handle);
            for gone in running.extract_if(.., |handle| handle.is_finished()) {
                // A panic shows as a lane that never finishes, below.
                let _ = gone.join();
            }
        }
        Event::Finished(lane) => finished.push(lane),
        Event::Failed(why) => {
            stop.store(true, Ordering::Relaxed);
            trouble.get_or_insert(why);
        }
    };
    // Ends when the time is over, or earlier if all threads have failed.
    while let Ok(event) = events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        take(event);
    }
    stop.store(true, Ordering::Relaxed);
    events.iter().for_each(take);
    for handle in running {
        let _ = handle.join();
    }
    match trouble {
        Some(why) => Err(why),
        None if finished.len() != shape.threads => Err(Trouble::Panic),
        None => Ok(finished),
    }
}

/// No block is held twice, and each still has the stamp of its place: nobody else has written to it.
fn check(lanes: &[Lane]) -> Result<(), Trouble> {
    distinct(lanes.iter().flat_map(|lane| lane.blocks.iter()))?;
    for lane in lanes {
        for (index, block) in lane.blocks.iter().enumerate() {
            let at = block.address.as_ptr();
            // SAFETY: the block is held here alone, and `write_stamp` has initialised both bytes.
            let found = unsafe { [ptr::read_volatile(at), ptr::read_volatile(at.add(1))] };
            if found != stamp(index) {
                return Err(Trouble::Answer(format!(
                    "the block of {} bytes at {:#x} was overwritten while it was held",
                    block.size,
                    block.address.addr()
                )));
            }
        }
    }
    Ok(())
}

fn give_back(source: &impl Source, lanes: Vec<Lane>) -> Result<(), Trouble> {
    let mut heap = source.blocks()?;
    for block in lanes.into_iter().flat_map(|lane| lane.blocks) {
        // SAFETY: the block is of this source, and its only handle ends here.
        unsafe { heap.free(block.address) };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stormglass_allocator::PoolConfig;
    use stormglass_telemetry::Writer;

    fn pool() -> Pool {
        Pool::new(PoolConfig::default(), Writer::detached()).expect("a pool")
    }

    fn shape() -> Shape {
        Shape { threads: 2, chunks: 40, ..Larson.shape() }
    }

    #[test]
    fn the_set_up_deals_out_every_block_once() {
        let pool = pool();
        let lanes = set_up(&pool, &shape()).expect("memory");
        assert_eq!(lanes.iter().map(|l| l.blocks.len()).collect::<Vec<_>>(), [40, 40]);
        check(&lanes).expect("a right answer");
        give_back(&pool, lanes).expect("a heap");
    }

    #[test]
    fn an_overwritten_block_is_found() {
        let pool = pool();
        let lanes = set_up(&pool, &shape()).expect("memory");
        write_stamp(&lanes[1].blocks[7], 8);
        assert!(matches!(check(&lanes), Err(Trouble::Answer(_))));
    }

    #[test]
    fn a_life_is_rounds_times_chunks_operations() {
        let pool = pool();
        let shape = Shape { rounds: 3, ..shape() };
        let mut lanes = set_up(&pool, &shape).expect("memory");
        let mut heap = pool.heap().expect("a heap");
        let stop = AtomicBool::new(false);
        let life = exercise(&mut heap, &mut lanes[0], &shape, &stop).expect("memory");
        assert!(matches!(life, Life::Spent));
        assert_eq!(lanes[0].allocations, 120);
        stop.store(true, Ordering::Relaxed);
        let life = exercise(&mut heap, &mut lanes[0], &shape, &stop).expect("memory");
        assert!(matches!(life, Life::Stopped));
        assert_eq!(lanes[0].allocations, 120);
        check(&lanes).expect("a right answer");
    }

    proptest! {
        #[test]
        fn sizes_are_from_min_to_below_max(seed in any::<u64>(), min in 2_usize..2000, range in 0_usize..30_000) {
            let shape = Shape { min, max: min + range, ..shape() };
            let mut random = Random::new(seed, 0);
            for _ in 0..50 {
                let size = size(&mut random, &shape);
                prop_assert!(size >= min && size < (min + range).max(min + 1));
            }
        }
    }
}
