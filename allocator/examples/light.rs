//! A load that nobody should be warned of, under every design: what `e2e/record-counts` records, and a test holds the verdicts
//! against. Its segments go where STORMGLASS_DIR says.
//!
//! `light SECONDS` runs, for so long and all at once, each design with one thread and with two that have a shard each, think
//! between their turns and hand a few blocks to each other; `light SECONDS full` each design in turn with one thread that
//! does not think.

use std::num::NonZero;
use std::process::ExitCode;
use std::ptr::{self, NonNull};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use stormglass_allocator::{Heap, Pool, PoolConfig, StrategyId};
use stormglass_telemetry::{Directory, Identity, Writer};

/// Sizes of blocks: two classes.
const SIZES: [usize; 2] = [3000, 8000];
/// Blocks that a thread holds.
const HELD: usize = 1000;
/// Blocks that it replaces in a turn, and how long it thinks afterwards.
const TURN: usize = 200;
const THOUGHT: Duration = Duration::from_millis(2);
/// One block in so many is freed by the other thread.
const HANDED: usize = 16;

/// A block on its way to another thread; its address alone, for a pointer may not be sent.
type Address = NonZero<usize>;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(seconds) = words.next().and_then(|word| word.parse().ok()) else {
        eprintln!("usage: light SECONDS [full]");
        return ExitCode::from(2);
    };
    let span = Duration::from_secs_f64(seconds);
    if words.next().as_deref() == Some("full") {
        for &design in StrategyId::ALL {
            run(design, "one thread at full speed", 1, None, span);
        }
        return ExitCode::SUCCESS;
    }
    thread::scope(|scope| {
        for &design in StrategyId::ALL {
            scope.spawn(move || run(design, "one thread", 1, Some(THOUGHT), span));
            scope.spawn(move || run(design, "two threads", 2, Some(THOUGHT), span));
        }
    });
    ExitCode::SUCCESS
}

/// Runs a design in a pool and a segment of its own.
fn run(design: StrategyId, workload: &str, threads: usize, thought: Option<Duration>, span: Duration) {
    let identity = Identity { strategy: design.name(), workload, injected: "", ..Identity::default() };
    let writer = Writer::create(&Directory::from_env(), &identity).expect("a segment");
    let config = PoolConfig { strategy: design, region_bytes: 1 << 30, ..PoolConfig::default() };
    let pool = Pool::new(config, writer).expect("a pool");
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..threads).map(|_| channel::<Address>()).unzip();
    thread::scope(|scope| {
        for (number, inbox) in receivers.into_iter().enumerate() {
            // To the next thread; one that is alone keeps what it has.
            let next = (threads > 1).then(|| senders[(number + 1) % threads].clone());
            let pool = &pool;
            scope.spawn(move || work(&mut pool.heap().expect("a heap"), next, &inbox, thought, span));
        }
    });
}

fn work(
    heap: &mut Heap<'_>,
    next: Option<Sender<Address>>,
    inbox: &Receiver<Address>,
    thought: Option<Duration>,
    span: Duration,
) {
    let start = Instant::now();
    let mut held: Vec<Option<Address>> = vec![None; HELD];
    let mut turns = 0_usize;
    while start.elapsed() < span {
        for step in 0..TURN {
            let at = (turns * TURN + step).wrapping_mul(7919) % HELD;
            if let Some(address) = held[at].take() {
                match &next {
                    // Its receiver lives as long as this thread; what it does not take is lost with the pool.
                    Some(next) if step % HANDED == 0 => drop(next.send(address)),
                    _ => free(heap, address),
                }
            }
            held[at] = heap.alloc(SIZES[(turns + step) % SIZES.len()]).map(NonNull::expose_provenance);
        }
        for address in inbox.try_iter() {
            free(heap, address);
        }
        turns += 1;
        if let Some(thought) = thought {
            thread::sleep(thought);
        }
    }
    for address in held.into_iter().flatten() {
        free(heap, address);
    }
}

fn free(heap: &mut Heap<'_>, address: Address) {
    let block = ptr::with_exposed_provenance_mut::<u8>(address.get());
    let Some(block) = NonNull::new(block) else { return };
    // SAFETY: the block is from this pool, and the address was its only handle: it was taken out of `held` or of the inbox.
    unsafe { heap.free(block) };
}
