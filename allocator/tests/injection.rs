//! An injected delay from the outside: it is felt where it is asked for, and never without being told.
#![cfg(not(loom))]

use stormglass_allocator::{Injection, Pool, PoolConfig, PoolError, StrategyId};
use stormglass_telemetry::{Directory, Identity, Metric, Op, Segment, Select, Writer};

const HOME: usize = 3;
const SIZE: usize = 8192;

fn injection(text: &str) -> Injection {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn writer(injected: &str) -> (tempfile::TempDir, Writer) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let directory = Directory::at(dir.path().join("segments"));
    let identity = Identity { strategy: "mutex", workload: "test", injected, ..Identity::default() };
    let writer = Writer::create(&directory, &identity).expect("a segment");
    (dir, writer)
}

/// Every lock and every CAS on the delayed shard lasts the delay at least, by the counters themselves. Only the lower bound
/// is certain, so only that is checked.
#[test]
fn each_pass_through_a_delayed_seam_takes_its_delay() {
    const NANOSECONDS: u64 = 20_000;
    let inject = injection("class=8192,shard=3,delay=20us");
    for strategy in [StrategyId::Mutex, StrategyId::LockfreeWalk, StrategyId::LockfreeSingle] {
        let (_dir, writer) = writer(&inject.to_string());
        let segment = Segment::open(writer.path().expect("a path")).expect("a segment");
        assert_eq!(segment.process().injected.as_deref(), Some("class=8192,shard=3,delay=20us"));
        let config = PoolConfig { strategy, home: Some(HOME), inject: Some(inject), ..PoolConfig::default() };
        let pool = match Pool::new(config, writer) {
            Err(PoolError::NoTicks) => return println!("skipped: {}", PoolError::NoTicks),
            pool => pool.expect("a pool"),
        };
        let mut heap = pool.heap().expect("a heap");
        let blocks: Vec<_> = (0..300).map(|_| heap.alloc(SIZE).expect("memory")).collect();
        for block in blocks {
            // SAFETY: the block came from this heap, and this is its only use.
            unsafe { heap.free(block) };
        }
        // Before the heap gives its rings back, which no slow path times.
        let counts = segment.snapshot().expect("readable").counts;
        let sum = |metric| counts.sum(metric, Select::ALL).expect("a metric of this build");
        let passes = sum(Metric::CasAttempts) + sum(Metric::LockAcquisitions);
        assert!(passes > 10, "{strategy}: the shard was hardly used");
        assert!(sum(Metric::SlowPath) >= passes * NANOSECONDS, "{strategy}: {passes} passes");
        let hold = counts.histogram(Metric::LockHold, Select::ALL).expect("a metric of this build");
        assert!(hold.sum >= sum(Metric::LockAcquisitions) * NANOSECONDS, "{strategy}: held {} ns", hold.sum);
        assert_eq!(counts.sum(Metric::CasFailures, Select::ALL.op(Op::Pop)), Some(0), "nobody else is there");
    }
}

#[test]
fn a_pool_and_a_segment_that_disagree_are_refused() {
    let inject = injection("class=8192,shard=3,delay=500ns");
    for (said, wanted) in [
        ("", Some(inject)),
        ("class=8192,shard=3,delay=501ns", Some(inject)),
        ("class=8192,shard=3,delay=500ns", None),
    ] {
        let (_dir, writer) = writer(said);
        let refused = Pool::new(PoolConfig { inject: wanted, ..PoolConfig::default() }, writer);
        let error = refused.err().unwrap_or_else(|| panic!("`{said}` was believed"));
        assert!(matches!(error, PoolError::Unmarked), "{error}");
    }
    // Nobody can see a detached writer's counts, so nobody can be misled by them.
    let config = PoolConfig { inject: Some(inject), ..PoolConfig::default() };
    assert!(!matches!(Pool::new(config, Writer::detached()), Err(PoolError::Unmarked)));
}
