//! What must hold of the counters once all heaps are gone and all blocks are back: sums that every design keeps, and what
//! is true of each design alone.
//!
//! Invariant of the tables here: an equation stands wherever there is one; a bound only where the counters do not say how
//! often a thread found nothing, or how full a ring was at its end.

use stormglass_allocator::{Pool, StrategyId};
use stormglass_telemetry::schema::{CLASS_BYTES, SHARDS};
use stormglass_telemetry::{COUNTING, Metric, Op, Segment, Select, Snapshot};

/// Blocks of a batch.
const BATCH: u64 = 32;

/// What a pool has counted.
pub(crate) fn snapshot(pool: &Pool) -> Snapshot {
    let path = pool.writer().path().expect("a segment");
    Segment::open(path).and_then(|segment| segment.snapshot()).expect("readable")
}

/// The counts of some shards, all or one.
#[derive(Clone, Copy)]
struct Counts<'a> {
    snapshot: &'a Snapshot,
    select: Select,
}

impl Counts<'_> {
    fn of(self, metric: Metric) -> u64 {
        self.snapshot.counts.sum(metric, self.select).expect("own metric")
    }

    fn attempts(self, op: Op) -> u64 {
        Counts { select: self.select.op(op), ..self }.of(Metric::CasAttempts)
    }

    fn failures(self, op: Op) -> u64 {
        Counts { select: self.select.op(op), ..self }.of(Metric::CasFailures)
    }

    fn succeeded(self, op: Op) -> u64 {
        self.attempts(op) - self.failures(op)
    }

    /// Operations on shared lists that needed more than one attempt.
    fn beaten(self) -> u64 {
        let retries = self.snapshot.counts.histogram(Metric::CasRetries, self.select).expect("own metric");
        retries.count() - retries.buckets[0]
    }
}

/// Checks every sum that must hold, of all shards together and of each.
pub(crate) fn check(strategy: StrategyId, pool: &Pool, allocations: u64, frees: u64) {
    assert_eq!(allocations, frees);
    if !COUNTING {
        return;
    }
    let snapshot = snapshot(pool);
    let all = Counts { snapshot: &snapshot, select: Select::ALL };
    assert_eq!(snapshot.live_bytes(), Some(0));
    assert_eq!(
        all.of(Metric::RingHits) + all.of(Metric::RingMisses),
        allocations,
        "hits + misses = allocations"
    );
    assert_eq!(
        all.of(Metric::RingReturns) + all.of(Metric::RingSpills) + all.of(Metric::RingBypasses),
        frees,
        "returns + spills + bypasses = frees"
    );
    for class in 0..CLASS_BYTES.len() {
        rings(Counts { select: Select::ALL.class(class), ..all });
    }
    if strategy == StrategyId::Page {
        pages(all);
    } else {
        assert_eq!(
            all.of(Metric::RingBypasses),
            all.of(Metric::RemoteFrees),
            "blocks of other shards pass the ring by"
        );
        pushes(strategy, all);
    }
    for class in 0..CLASS_BYTES.len() {
        for shard in 0..SHARDS {
            let counts = Counts { select: Select::ALL.class(class).shard(shard), ..all };
            shared(strategy, counts);
            own(strategy, counts);
        }
    }
}

/// What a class's rings keep.
fn rings(class: Counts<'_>) {
    let of = |metric| class.of(metric);
    assert_eq!(
        of(Metric::RingRefilledBlocks),
        of(Metric::RefilledBlocks),
        "what leaves the shards reaches rings"
    );
    // Everything that came into a ring (refills, returns, freed blocks that spilled others) left it (hits, misses,
    // spills): all heaps are gone.
    assert_eq!(
        of(Metric::RingRefilledBlocks) + of(Metric::RingReturns) + of(Metric::RingSpills),
        of(Metric::RingHits) + of(Metric::RingMisses) + of(Metric::RingSpilledBlocks),
        "rings are empty"
    );
}

/// How often something was put on a list: for each page and each spill, and up to twice for each ring of a heap that went.
fn pushes(strategy: StrategyId, all: Counts<'_>) {
    let least = all.of(Metric::PagesMapped) + all.of(Metric::RingSpills);
    let most = least + all.snapshot.threads_started * 2 * CLASS_BYTES.len() as u64;
    let by_cas = all.succeeded(Op::Push) + all.succeeded(Op::BatchPush);
    match cas_of(strategy) {
        // Batches are pushed under the lock.
        [] | [Op::Push] => assert!(all.of(Metric::LockAcquisitions) >= least),
        _ => assert!((least..=most).contains(&by_cas), "{by_cas} pushes, not {least} to {most}"),
    }
}

/// What page heaps do: all threads are gone, so that every page was left behind once more than it was taken over.
fn pages(all: Counts<'_>) {
    assert_eq!(all.of(Metric::PagesAbandoned), all.of(Metric::PagesMapped) + all.of(Metric::PagesAdopted));
    assert_eq!(all.of(Metric::RingBypasses), 0, "without shards every free goes into the ring");
    assert!(all.of(Metric::RemoteFrees) <= all.of(Metric::RingSpilledBlocks), "and comes out of it");
}

/// What every design keeps in each shard.
fn shared(strategy: StrategyId, at: Counts<'_>) {
    let retries = at.snapshot.counts.histogram(Metric::CasRetries, at.select).expect("own metric");
    assert_eq!(retries.sum, at.of(Metric::CasFailures), "retries are failures");
    assert!(at.of(Metric::CasAttempts) >= at.of(Metric::CasFailures) + retries.buckets[0]);
    assert!(at.of(Metric::AbaAverted) <= at.of(Metric::CasFailures));

    let hold = at.snapshot.counts.histogram(Metric::LockHold, at.select).expect("own metric");
    assert_eq!(hold.count(), at.of(Metric::LockAcquisitions));
    let wait = at.snapshot.counts.histogram(Metric::LockWait, at.select).expect("own metric");
    assert_eq!(wait.count(), at.of(Metric::LockContended));
    assert!(at.of(Metric::LockContended) <= at.of(Metric::LockTryFailures));

    assert!(at.of(Metric::Refills) <= at.of(Metric::RefilledBlocks));
    assert!(at.of(Metric::RefilledBlocks) <= BATCH * at.of(Metric::Refills));
    assert!(at.of(Metric::RemoteDrainedBlocks) <= at.of(Metric::RemoteFrees));
    if strategy == StrategyId::Page {
        // Up to 64 blocks of a page go with one CAS.
        assert!(at.succeeded(Op::RemotePush) <= at.of(Metric::RemoteFrees));
    } else {
        assert_eq!(at.succeeded(Op::RemotePush), at.of(Metric::RemoteFrees));
    }
    if strategy.shards() == 1 {
        assert!(
            strategy == StrategyId::Page || at.of(Metric::RemoteFrees) == 0,
            "without shards no free is remote"
        );
        assert_eq!(at.of(Metric::StealScans), 0, "and there is nobody to steal from");
    }
    for op in Op::ALL {
        if op != Op::RemotePush && !cas_of(strategy).contains(&op) {
            assert_eq!(at.attempts(op), 0, "{strategy} makes no CAS to {}", op.name());
        }
    }
    if cas_of(strategy).contains(&Op::Drain) {
        assert_eq!(
            at.succeeded(Op::Drain),
            at.of(Metric::RemoteDrains),
            "a drained chain is put back by one CAS"
        );
    }
}

/// For what a design makes a CAS on a shard's list.
fn cas_of(strategy: StrategyId) -> &'static [Op] {
    match strategy {
        StrategyId::Mutex | StrategyId::ClassLock => &[],
        StrategyId::Targeted => &[Op::Push],
        // Of idle page heaps, and of pages onto pending queues.
        StrategyId::Page => &[Op::Pop, Op::Push],
        StrategyId::LockfreeSingle => &[Op::Pop, Op::Push, Op::BatchPush, Op::Drain],
        StrategyId::LockfreeWalk
        | StrategyId::WalkOnce
        | StrategyId::SmallBatch
        | StrategyId::Relaxed
        | StrategyId::Hybrid
        | StrategyId::GlobalLock
        | StrategyId::Depot => &[Op::BatchPop, Op::Push, Op::BatchPush, Op::Drain],
    }
}

/// What is true of one design, in each shard.
fn own(strategy: StrategyId, at: Counts<'_>) {
    let refills = at.of(Metric::Refills);
    let kept = at.of(Metric::WalkBlocksKept);
    let wasted = at.of(Metric::WalkBlocksWasted);
    let locked = at.of(Metric::LockAcquisitions);
    let lost = at.failures(Op::BatchPop);
    let batches = refills + at.of(Metric::RemoteDrains) + at.of(Metric::PagesMapped);

    let walks_nothing = || assert_eq!((kept, wasted), (0, 0), "{strategy} walks in no CAS loop");
    let takes_no_lock =
        || assert_eq!((locked, at.of(Metric::LockTryFailures)), (0, 0), "{strategy} has no lock");
    let pops_batches = || assert_eq!(at.succeeded(Op::BatchPop), refills, "a batch is one CAS");
    let keeps_what_it_takes =
        || assert_eq!(kept, at.of(Metric::RefilledBlocks), "kept blocks = blocks refilled");
    // Every failed CAS had walked at least one block, and at most `most`.
    let wastes_up_to =
        |most| assert!((lost..=lost * most).contains(&wasted), "{wasted} of {lost} walks in vain");

    match strategy {
        StrategyId::Mutex | StrategyId::ClassLock => {
            walks_nothing();
            assert!(locked >= batches, "every batch that moves takes the lock");
        }
        StrategyId::Targeted => {
            walks_nothing();
            assert!(locked >= batches, "every batch that moves takes the lock");
            assert_eq!(at.of(Metric::AbaAverted), 0, "an inbox has no version");
        }
        StrategyId::LockfreeWalk => {
            takes_no_lock();
            pops_batches();
            keeps_what_it_takes();
            wastes_up_to(BATCH);
        }
        StrategyId::SmallBatch => {
            takes_no_lock();
            pops_batches();
            keeps_what_it_takes();
            wastes_up_to(4);
            assert!(kept <= 4 * refills, "4 blocks a batch");
        }
        StrategyId::WalkOnce | StrategyId::Relaxed => {
            takes_no_lock();
            pops_batches();
            keeps_what_it_takes();
            assert!(wasted <= BATCH * lost, "only a failed CAS drops what was walked");
        }
        StrategyId::LockfreeSingle => {
            takes_no_lock();
            keeps_what_it_takes();
            assert_eq!(at.succeeded(Op::Pop), kept, "a block is one CAS");
            assert_eq!(wasted, at.failures(Op::Pop), "and a failed one wastes one");
        }
        StrategyId::Hybrid => {
            pops_batches();
            keeps_what_it_takes();
            assert!(locked >= batches + at.succeeded(Op::BatchPush) - at.of(Metric::PagesMapped));
            // Between the attempts of holders, which come one after another, a failure stands for a push that passed.
            let passed = at.succeeded(Op::Push);
            assert!(lost + at.failures(Op::BatchPush) + at.failures(Op::Drain) <= passed);
            assert!(wasted <= passed, "each of which moved one walked block out of the batch");
            assert!(at.of(Metric::AbaAverted) <= at.failures(Op::Push), "a holder is only covered up");
        }
        StrategyId::GlobalLock => {
            pops_batches();
            keeps_what_it_takes();
            wastes_up_to(BATCH);
            assert_eq!(locked, at.beaten(), "who loses queues, once, and nobody else does");
        }
        StrategyId::Depot => {
            takes_no_lock();
            pops_batches();
            walks_nothing();
        }
        StrategyId::Page => {
            takes_no_lock();
            walks_nothing();
            // One CAS takes an idle page heap over; others take the number of a heap that was merged, to found a new one.
            assert!(at.succeeded(Op::Pop) >= at.of(Metric::HeapsAdopted));
        }
    }
}
