//! Large blocks against a model, and what must hold of spans, cache, limit and misuse.

mod warmth;

use std::collections::BTreeMap;
use std::thread;

use proptest::prelude::*;

use super::granule::{GRANULE_PAGES, MAX_SIZE};
use super::growing::SMALL;
use super::record::Age;
use super::*;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Small enough that every way is gone: spans, leaving, mappings of their own, a cache that is full.
const TIGHT: Bounds = Bounds { reserve: 32 * MIB, direct: 2 * MIB, cache: MIB, leave: 256 * KIB };
const ROOMY: Bounds = Bounds { reserve: 256 * MIB, ..Bounds::DEFAULT };

pub(super) fn large(bounds: Bounds) -> Large {
    Large::new(bounds, Box::leak(Box::new(Limit::none())))
}

impl Large {
    /// Walks over all spans and compares with the sums and the bins. Nobody else may be at work.
    pub(super) fn check(&self) {
        let figures = self.figures();
        assert_eq!(self.limit.taken(), figures.mapped, "what is charged is what is mapped");
        let Some(reservation) = self.reservation() else { return };
        let (mut at, mut free_spans) = (0, Vec::new());
        let (mut live, mut cached, mut mapped, mut after_free) = (0, 0, 0, false);
        while at < reservation.frontier() {
            let record = reservation.record(at);
            let (len, free) = match record.tag() {
                Tag::Live(len) => (len as usize, false),
                Tag::Free(len) => (len as usize, true),
                other => panic!("{other:?} where a span should start"),
            };
            assert!(!(free && after_free), "two free spans are neighbours");
            after_free = free;
            for granule in at..at + len {
                let last = granule + 1 == at + len;
                match reservation.record(granule).tag() {
                    Tag::Inside => assert!(granule > at && !(last && free)),
                    Tag::FreeEnd(end) => assert!(free && last && end as usize == len),
                    _ => assert_eq!(granule, at),
                }
                let memory = reservation.memory(granule);
                mapped += memory.touched();
                cached += if free { memory.touched() } else { 0 };
                assert_eq!(memory.age() != Age::None, free && memory.touched() > 0);
            }
            if free {
                free_spans.push((at, len));
            } else {
                live += record.pages();
                assert!(record.pages() <= len * GRANULE_PAGES);
            }
            at += len;
        }
        assert_eq!(at, reservation.frontier());
        self.shared.with(None, |shared| {
            let spans = &shared.spans;
            assert_eq!((spans.live, spans.cached, spans.mapped), (live, cached, mapped));
            let mut binned = spans.free_spans(reservation);
            binned.sort_unstable();
            assert_eq!(binned, free_spans, "the bins hold the free spans");
        });
    }

    fn take(&self, size: usize) -> NonNull<u8> {
        self.allocate(size, 1, false, &Totals::default()).expect("memory")
    }

    fn give(&self, block: NonNull<u8>) {
        // SAFETY: the tests free what they took.
        unsafe { self.free(block, &Totals::default()) }.expect("a block");
    }

    fn change(&self, block: NonNull<u8>, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the tests resize what they took.
        unsafe { self.reallocate(block, size, 16, &Totals::default()) }
    }
}

/// Writes `stamp` over the first `len` bytes.
fn stamp(block: NonNull<u8>, len: usize, stamp: u8) {
    // SAFETY: the tests stamp no more than a block's usable bytes.
    unsafe { block.write_bytes(stamp, len) };
}

/// Whether both ends of each page of the first `len` bytes say `stamp`.
fn has_stamp(block: NonNull<u8>, len: usize, stamp: u8) -> bool {
    let ends = (0..len).step_by(PAGE).flat_map(|page| [page, (page + PAGE - 1).min(len - 1)]);
    // SAFETY: inside the block.
    ends.into_iter().all(|at| unsafe { block.add(at).read() } == stamp)
}

#[derive(Clone, Debug)]
enum Step {
    Allocate { size: usize, align: u32, zeroed: bool },
    Free(usize),
    Reallocate(usize, usize),
    Purge { later: u64, delay: u64 },
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        1 => 0_usize..40 * KIB,
        4 => 32 * KIB..300 * KIB,
        3 => 200 * KIB..1500 * KIB,
        1 => 1500 * KIB..4000 * KIB,
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (size(), prop_oneof![5 => Just(4), 2 => 12_u32..19, 1 => 19_u32..23], any::<bool>())
            .prop_map(|(size, align, zeroed)| Step::Allocate { size, align, zeroed }),
        4 => any::<usize>().prop_map(Step::Free),
        4 => (any::<usize>(), size()).prop_map(|(which, size)| Step::Reallocate(which, size)),
        1 => (0_u64..30, 0_u64..20).prop_map(|(later, delay)| Step::Purge { later, delay }),
    ]
}

/// What the model knows of a block.
struct Known {
    block: NonNull<u8>,
    len: usize,
    stamp: u8,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn blocks_behave_as_the_model_says(steps in prop::collection::vec(step(), 1..120)) {
        let (large, counters) = (large(TIGHT), Totals::default());
        // By address, so that neighbours can be compared.
        let mut model: BTreeMap<usize, Known> = BTreeMap::new();
        let (mut now, mut next_stamp) = (1_u64, 1_u8);
        let (mut allocated, mut freed) = (0_u64, 0_u64);
        for step in steps {
            next_stamp = next_stamp.checked_add(1).unwrap_or(1);
            let nth = |which: usize| which % model.len().max(1);
            match step {
                Step::Allocate { size, align, zeroed } => {
                    let block = large.allocate(size, 1 << align, zeroed, &counters).expect("memory");
                    allocated += 1;
                    prop_assert!(block.addr().get().is_multiple_of(1 << align));
                    let len = large.size_of(block).expect("a live block");
                    prop_assert!(len >= size.max(1));
                    if zeroed {
                        prop_assert!(has_stamp(block, len, 0));
                        // SAFETY: the block has `len` bytes, all written by the allocator or the kernel.
                        let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), len) };
                        prop_assert!(bytes.chunks(8).all(|chunk| chunk.iter().all(|&byte| byte == 0)));
                    }
                    stamp(block, len, next_stamp);
                    model.insert(block.addr().get(), Known { block, len, stamp: next_stamp });
                }
                Step::Free(which) => {
                    let Some(&address) = model.keys().nth(nth(which)) else { continue };
                    let known = model.remove(&address).expect("it is there");
                    prop_assert!(has_stamp(known.block, known.len, known.stamp));
                    // SAFETY: live, by the model.
                    prop_assert_eq!(unsafe { large.free(known.block, &counters) }, Ok(()));
                    freed += 1;
                    prop_assert_eq!(large.size_of(known.block), None);
                    // SAFETY: it is refused, or the test fails. Its place may have been joined to a neighbour, or be unmapped.
                    prop_assert_eq!(unsafe { large.free(known.block, &counters) }, Err(Misuse::FreedTwice));
                }
                Step::Reallocate(which, size) => {
                    let Some(&address) = model.keys().nth(nth(which)) else { continue };
                    let known = model.remove(&address).expect("it is there");
                    // SAFETY: live, by the model.
                    let moved = unsafe { large.reallocate(known.block, size, 16, &counters) };
                    let block = moved.unwrap_or(known.block);
                    let len = large.size_of(block).expect("a live block");
                    if moved.is_some() {
                        prop_assert!(len >= size && size > SMALL);
                    } else {
                        prop_assert_eq!(len, known.len);
                    }
                    prop_assert!(has_stamp(block, len.min(known.len), known.stamp), "contents are kept");
                    stamp(block, len, known.stamp);
                    model.insert(block.addr().get(), Known { block, len, stamp: known.stamp });
                }
                Step::Purge { later, delay } => {
                    now += later;
                    let cached = large.figures().cached;
                    let back = large.purge(now, delay, &counters);
                    prop_assert_eq!(cached - large.figures().cached, back as usize);
                    prop_assert!(delay > 0 || large.figures().cached == 0);
                }
            }
            large.check();
            let mut end = 0;
            for (&address, known) in &model {
                prop_assert!(address >= end, "blocks overlap");
                end = address + known.len;
                prop_assert_eq!(large.size_of(known.block), Some(known.len));
                // SAFETY: inside the block.
                let (inside, page) = unsafe { (known.block.add(1), known.block.add(known.len - PAGE)) };
                prop_assert_eq!(large.size_of(inside), None);
                prop_assert!(known.len == PAGE || large.size_of(page).is_none());
            }
            let [mapped, unmapped, purged, retaken] = [
                &counters.large_mapped_bytes,
                &counters.large_unmapped_bytes,
                &counters.large_purged_bytes,
                &counters.large_retaken_bytes,
            ]
            .map(stormglass_telemetry::Cell::get);
            prop_assert!(purged >= retaken);
            prop_assert_eq!(mapped + retaken - purged - unmapped, large.figures().mapped as u64);
            let live: usize = model.values().map(|known| known.len).sum();
            prop_assert_eq!(large.figures().live, live);
            prop_assert!(large.figures().cached <= live.max(TIGHT.cache));
            prop_assert_eq!(
                counters.large_allocated_bytes.get() - counters.large_freed_bytes.get(),
                live as u64
            );
        }
        for known in model.values() {
            prop_assert!(has_stamp(known.block, known.len, known.stamp));
            // SAFETY: live, by the model, and the model ends.
            prop_assert_eq!(unsafe { large.free(known.block, &counters) }, Ok(()));
        }
        freed += model.len() as u64;
        prop_assert_eq!((counters.large_allocations.get(), counters.large_frees.get()), (allocated, freed));
        let (_, at_end) = (large.purge(now, 0, &counters), large.figures());
        prop_assert_eq!((at_end.live, at_end.cached, at_end.mapped, at_end.mappings), (0, 0, 0, 0));
    }
}

#[test]
fn freed_neighbours_become_one_span() {
    let large = large(ROOMY);
    let blocks: Vec<_> = (1..200).map(|i| large.take(i * 3 * KIB)).collect();
    for block in blocks.iter().step_by(2) {
        large.give(*block);
    }
    large.check();
    for block in blocks.iter().skip(1).step_by(2) {
        large.give(*block);
    }
    large.check();
    let reservation = large.reservation().expect("reserved");
    let free = large.shared.with(None, |shared| shared.spans.free_spans(reservation));
    assert_eq!(free, [(0, reservation.frontier())]);
}

#[test]
fn a_freed_block_is_used_again_and_its_memory_is_kept() {
    let large = large(ROOMY);
    let first = large.take(MIB);
    let wall = large.take(MIB);
    large.give(first);
    assert_eq!(large.figures().cached, MIB);
    assert_eq!(large.take(MIB), first);
    assert_eq!((large.figures().cached, large.figures().mapped), (0, 2 * MIB));
    large.give(wall);
}

#[test]
fn idle_memory_is_bounded() {
    let large = large(Bounds { cache: 4 * MIB, ..ROOMY });
    let blocks: Vec<_> = (0..100).map(|_| large.take(MIB)).collect();
    for (freed, block) in blocks.into_iter().enumerate() {
        large.give(block);
        let Figures { cached, live, .. } = large.figures();
        assert_eq!(live, (99 - freed) * MIB);
        let allowed = live.min(125 * MIB - live);
        assert!(cached <= allowed.max(4 * MIB), "{cached} bytes idle, {live} live");
    }
    assert!(large.figures().cached > 0, "what the bound allows is kept");
    large.check();
}

#[test]
fn idle_memory_goes_back_after_the_delay_and_not_before() {
    let large = large(ROOMY);
    let (block, wall) = (large.take(MIB), large.take(MIB));
    assert_eq!(large.purge(1000, 100, &Totals::default()), 0);
    large.give(block);
    assert_eq!(large.purge(1099, 100, &Totals::default()), 0, "too early to look");
    assert_eq!(large.purge(1100, 100, &Totals::default()), 0, "seen idle for the first time");
    assert_eq!(large.purge(1199, 100, &Totals::default()), 0);
    assert_eq!(large.purge(1200, 100, &Totals::default()), MIB as u64);
    assert_eq!(large.figures().cached, 0);
    // What is used again in between starts anew.
    large.give(wall);
    assert_eq!(large.purge(1300, 100, &Totals::default()), 0);
    let again = large.take(MIB);
    large.give(again);
    assert_eq!(large.purge(1400, 100, &Totals::default()), MIB as u64, "the other half stayed idle");
    assert_eq!(large.purge(1500, 100, &Totals::default()), MIB as u64);
    assert_eq!(large.purge(9999, u64::MAX, &Totals::default()), 0, "never");
    large.check();
}

#[test]
fn memory_that_went_back_reads_as_zeroes_without_being_cleared() {
    let large = large(ROOMY);
    let block = large.take(MIB);
    stamp(block, MIB, 7);
    large.give(block);
    assert_eq!(large.purge(0, 0, &Totals::default()), MIB as u64);
    let again = large.allocate(MIB, 1, true, &Totals::default()).expect("memory");
    assert_eq!(again, block);
    assert!(has_stamp(again, MIB, 0));
}

#[test]
fn a_block_shrinks_and_grows_in_place() {
    let large = large(ROOMY);
    let block = large.take(4 * MIB);
    stamp(block, 4 * MIB, 9);
    assert_eq!(large.change(block, MIB), Some(block));
    assert_eq!(large.size_of(block), Some(MIB));
    assert_eq!((large.figures().live, large.figures().cached), (MIB, 3 * MIB));
    let tail = large.take(2 * MIB);
    assert_eq!(
        tail.addr().get(),
        block.addr().get() + 2 * MIB,
        "the tail serves others, aligned for huge pages"
    );
    assert_eq!(large.change(block, 2 * MIB), Some(block), "up to the neighbour");
    assert_eq!(large.change(block, 2 * MIB + 1), None, "and no further");
    assert_eq!(large.size_of(block), Some(2 * MIB), "a refusal changes nothing");
    assert!(has_stamp(block, MIB, 9));
    large.give(tail);
    assert_eq!(large.change(block, 5 * MIB), Some(block), "into what was never used");
    assert!(has_stamp(block, MIB, 9));
    large.check();
}

#[test]
fn a_block_that_outgrows_its_place_leaves_the_reservation_with_its_pages() {
    let (large, counters) = (large(ROOMY), Totals::default());
    let block = large.take(5 * MIB);
    let wall = large.take(MIB);
    stamp(block, 5 * MIB, 3);
    // SAFETY: it is live.
    let moved = unsafe { large.reallocate(block, 9 * MIB, 16, &counters) }.expect("moved");
    assert_ne!(moved, block);
    assert_eq!((counters.large_moved.get(), counters.large_direct_mappings.get()), (1, 1));
    assert_eq!(large.size_of(moved), Some(9 * MIB));
    assert_eq!(large.size_of(block), None);
    assert!(has_stamp(moved, 5 * MIB, 3));
    assert_eq!(large.figures().mapped, 10 * MIB, "nothing is behind the span that it left");
    large.check();
    // The span still is one of ours: nobody else's mapping can be there, and it is clean.
    let next = large.allocate(5 * MIB, 1, true, &counters).expect("memory");
    assert_eq!(next, block);
    assert!(has_stamp(next, 5 * MIB, 0));
    // From now on the kernel grows it.
    // SAFETY: it is live.
    let further = unsafe { large.reallocate(moved, 300 * MIB, 16, &counters) }.expect("moved");
    assert!(has_stamp(further, 5 * MIB, 3));
    stamp(further, 300 * MIB, 4);
    // SAFETY: it is live.
    let shrunk = unsafe { large.reallocate(further, MIB, 16, &counters) }.expect("shrunk");
    assert_eq!((shrunk, large.size_of(shrunk)), (further, Some(MIB)));
    assert!(has_stamp(shrunk, MIB, 4));
    for block in [wall, next, shrunk] {
        large.give(block);
    }
    large.check();
}

#[test]
fn what_the_kernel_will_not_move_stays_where_it_is() {
    let (large, counters) = (large(ROOMY), Totals::default());
    let block = large.take(5 * MIB);
    let wall = large.take(MIB);
    stamp(block, 5 * MIB, 3);
    // From here on the span is two mappings to the kernel.
    // SAFETY: inside the block; a child of this process would not have it, and there is none.
    unsafe {
        let inside = block.add(MIB).as_ptr().cast();
        rustix::mm::madvise(inside, MIB, rustix::mm::Advice::LinuxDontFork).expect("advice that Linux knows");
    }
    assert_eq!(large.change(block, 9 * MIB), None);
    assert!(has_stamp(block, 5 * MIB, 3));
    assert_eq!(large.size_of(block), Some(5 * MIB));
    large.check();
    assert!(!large.copies.load(Ordering::Relaxed), "others may still be moved");
    // Where the kernel does not know how.
    large.copies.store(true, Ordering::Relaxed);
    let other = large.take(5 * MIB);
    let other_wall = large.take(MIB);
    // SAFETY: it is live.
    assert_eq!(unsafe { large.reallocate(other, 9 * MIB, 16, &counters) }, None);
    assert_eq!(counters.large_moved.get(), 0);
    for block in [block, wall, other, other_wall] {
        large.give(block);
    }
    large.check();
}

#[test]
fn a_block_keeps_its_alignment_or_stays() {
    let (large, counters) = (large(TIGHT), Totals::default());
    for align in [64 * KIB, MIB, 4 * MIB, 64 * MIB, 1 << 30] {
        for size in [1, 100 * KIB, 3 * MIB] {
            let block = large.allocate(size, align, true, &counters).expect("memory");
            assert!(block.addr().get().is_multiple_of(align));
            stamp(block, large.size_of(block).expect("live"), 5);
            for size in [size * 2, size * 20, 1] {
                // SAFETY: it is live.
                let changed = unsafe { large.reallocate(block, size, align, &counters) };
                assert!(changed.is_none_or(|changed| changed == block));
            }
            large.give(block);
            large.check();
        }
    }
    let block = large.take(100 * KIB);
    let wall = large.take(100 * KIB);
    // SAFETY: both are live.
    let both = [block, wall].map(|block| unsafe { large.reallocate(block, 90 * KIB, 2 * MIB, &counters) });
    assert!(both.contains(&None), "neighbours are not both aligned to 2 MiB");
}

#[test]
fn absurd_sizes_and_alignments_are_refused() {
    let (large, counters) = (large(TIGHT), Totals::default());
    let block = large.take(100 * KIB);
    for size in
        [MAX_SIZE, MAX_SIZE + 1, isize::MAX as usize, isize::MAX as usize + 1, usize::MAX - 4095, usize::MAX]
    {
        for align in [1, 4096, 1 << 21, 1 << 62, 1 << 63] {
            assert_eq!(large.allocate(size, align, true, &counters), None);
            // SAFETY: it is live.
            assert_eq!(unsafe { large.reallocate(block, size, align.min(16), &counters) }, None);
        }
    }
    assert_eq!(large.allocate(1, 1 << 63, false, &counters), None);
    assert_eq!(large.allocate(1 << 40, 1 << 62, false, &counters), None);
    assert_eq!(counters.large_failures.get(), 6 * 5 + 2);
    assert_eq!(large.size_of(block), Some(100 * KIB));
    large.check();
}

#[test]
fn misuse_is_told_apart() {
    let (large, counters) = (large(TIGHT), Totals::default());
    // SAFETY: no live block starts at these addresses, so all are refused.
    let free = |block: NonNull<u8>| unsafe { large.free(block, &counters) };
    let local = 0_u8;
    assert_eq!(free(NonNull::from(&local)), Err(Misuse::Foreign), "before the first block");
    for size in [100 * KIB, 5 * MIB] {
        let block = large.take(size);
        // SAFETY: inside the block.
        let inside = [1, 16, 4096, 64 * KIB, 96 * KIB].map(|at| unsafe { block.add(at) });
        for inside in inside {
            assert_eq!(free(inside), Err(Misuse::Interior));
        }
        assert_eq!(free(NonNull::from(&local)), Err(Misuse::Foreign));
        large.give(block);
        assert_eq!(free(block), Err(Misuse::FreedTwice));
        if size < TIGHT.direct {
            assert_eq!(free(inside[1]), Err(Misuse::Interior), "of a freed one");
        }
    }
    let reservation = large.reservation().expect("reserved");
    let beyond = reservation.address(reservation.frontier());
    assert_eq!(free(beyond), Err(Misuse::Foreign), "never used");
    assert_eq!(large.size_of(beyond), None);
    assert_eq!((counters.large_frees.get(), large.figures().live), (0, 0));
}

#[test]
fn the_limit_refuses_and_recovers() {
    let (large, counters) = (large(TIGHT), Totals::default());
    large.limit.set(4 * MIB);
    let block = large.take(MIB);
    let other = large.take(MIB);
    assert_eq!(large.allocate(3 * MIB, 1, false, &counters), None, "a mapping of its own");
    assert_eq!(large.allocate(2 * MIB - PAGE, 1, false, &counters).map(|block| large.give(block)), Some(()));
    assert_eq!(large.change(block, 5 * MIB), None);
    large.check();
    // What freed spans keep gives way: 3 MiB fit only without it.
    large.give(block);
    assert!(large.figures().cached > 0);
    let mapping = large.allocate(3 * MIB, 1, false, &counters).expect("room was made");
    assert_eq!(large.figures().mapped, 4 * MIB);
    assert_eq!(large.allocate(1, 1, false, &counters), None, "full to the byte");
    assert_eq!(large.change(other, MIB + 1), None);
    assert_eq!(large.change(mapping, 3 * MIB + 1), None);
    assert_eq!(large.size_of(mapping), Some(3 * MIB), "still registered");
    let smaller = large.change(mapping, 2 * MIB).expect("shrunk");
    let last = large.allocate(MIB, 1, false, &counters).expect("what was given back can be had");
    for block in [smaller, other, last] {
        large.give(block);
    }
    large.check();
}

#[test]
fn when_the_reservation_is_used_up_blocks_get_mappings() {
    let (large, counters) = (large(Bounds { reserve: 16 * MIB, ..TIGHT }), Totals::default());
    let blocks: Vec<_> = (0..40).map(|_| large.allocate(MIB, 1, true, &counters).expect("memory")).collect();
    assert!(counters.large_direct_mappings.get() >= 24, "16 MiB hold no more than 16 of them");
    assert!(counters.large_direct_mappings.get() <= 25);
    for &block in &blocks {
        stamp(block, MIB, 8);
    }
    large.check();
    for block in blocks {
        large.give(block);
    }
    large.check();
    assert_eq!(large.figures().mappings, 0);
}

/// A block on its way to another thread.
struct Sent(NonNull<u8>);

// SAFETY: the block belongs to whoever has this value.
unsafe impl Send for Sent {}

#[test]
fn threads_share_and_swap_blocks() {
    let large = large(TIGHT);
    let inboxes: [ForkLock<Vec<(Sent, usize, u8)>>; 4] = core::array::from_fn(|_| ForkLock::new(Vec::new()));
    let (threads, rounds) = (inboxes.len(), if cfg!(debug_assertions) { 300 } else { 3000 });
    thread::scope(|scope| {
        for me in 0..threads {
            let (large, inboxes) = (&large, &inboxes);
            scope.spawn(move || {
                let counters = Totals::default();
                let mut random = me as u64 + 1;
                for round in 0..rounds {
                    // xorshift: any sequence does, if it is the same each time.
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let size = 33 * KIB
                        + random as usize % (if random.is_multiple_of(16) { 3 * MIB } else { 300 * KIB });
                    let block =
                        large.allocate(size, 16, random.is_multiple_of(3), &counters).expect("memory");
                    assert!(!random.is_multiple_of(3) || has_stamp(block, size, 0));
                    let mark = (random >> 32) as u8;
                    stamp(block, size, mark);
                    let to = &inboxes[(me + random as usize) % inboxes.len()];
                    to.with(None, |inbox| inbox.push((Sent(block), size, mark)));
                    for _ in 0..2 {
                        let Some((Sent(block), size, mark)) = inboxes[me].with(None, Vec::pop) else { break };
                        assert!(has_stamp(block, size, mark));
                        // SAFETY: sent to this thread.
                        let grown = unsafe { large.reallocate(block, size * 2, 16, &counters) };
                        let block = grown.unwrap_or(block);
                        assert!(has_stamp(block, size, mark));
                        stamp(block, if grown.is_some() { size * 2 } else { size }, mark ^ 1);
                        // SAFETY: sent to this thread.
                        unsafe { large.free(block, &counters) }.expect("a block");
                    }
                    if round % 64 == me {
                        large.purge(round as u64, random % 50, &Totals::default());
                    }
                }
            });
        }
    });
    for inbox in &inboxes {
        while let Some((Sent(block), size, mark)) = inbox.with(None, Vec::pop) {
            assert!(has_stamp(block, size, mark));
            large.give(block);
        }
    }
    large.check();
    assert_eq!((large.figures().live, large.figures().mappings), (0, 0));
}
