//! What a block costs the kernel: which memory is taken, which is kept, which is given up.

use super::*;

/// Blocks of the same size with something between them, so that they stay apart when they are freed.
fn apart<const N: usize>(large: &Large, sizes: [usize; N]) -> [NonNull<u8>; N] {
    sizes.map(|size| {
        let block = large.take(size);
        large.take(64 * KIB);
        block
    })
}

#[test]
fn memory_that_is_there_is_taken_before_a_span_that_fits_and_has_none() {
    let large = large(ROOMY);
    let [cold, warm] = apart(&large, [MIB, MIB + MIB / 2]);
    large.give(cold);
    large.purge(0, 0, &Totals::default());
    large.give(warm);
    assert_eq!(large.take(MIB), warm);
    assert_eq!(large.take(MIB), cold, "before what was never used");
    large.check();
}

#[test]
fn of_spans_that_lack_as_little_the_lowest_is_taken_and_the_highest_given_up() {
    let large = large(ROOMY);
    let blocks = apart(&large, [MIB; 8]);
    for at in [1, 0, 2] {
        large.give(blocks[at]);
    }
    assert_eq!(large.take(MIB), blocks[0]);
    for at in [0, 3, 4, 5] {
        large.give(blocks[at]);
    }
    assert_eq!(large.give_up(MIB, &Totals::default()), MIB as u64, "no more than is asked for");
    let mapped = large.figures().mapped;
    for at in [0, 1, 2, 3, 4] {
        assert_eq!(large.take(MIB), blocks[at]);
    }
    assert_eq!(large.figures().mapped, mapped, "all of them had kept their memory");
    large.check();
}

#[test]
fn what_is_idle_within_the_budget_is_not_given_up() {
    let (large, counters) = (large(ROOMY), Totals::default());
    let blocks = apart(&large, [4 * MIB; 8]);
    large.give(blocks[0]);
    assert_eq!(large.give_up(usize::MAX, &counters), 0, "below the most that was live, and a quarter");
    for &block in &blocks[1..6] {
        large.give(block);
    }
    // 8.5 MiB are live, with what keeps them apart.
    assert_eq!(large.give_up(usize::MAX, &counters), (24 - 8) * MIB as u64 - 512 * KIB as u64);
    large.check();
    for &block in &blocks[6..] {
        large.give(block);
    }
    large.give_up(usize::MAX, &counters);
    assert_eq!(large.figures().cached, 512 * KIB, "no more than is live");
}

#[test]
fn a_block_leaves_the_reservation_only_where_there_is_no_warm_place_for_it() {
    let (large, counters) = (large(ROOMY), Totals::default());
    let [block, warm] = apart(&large, [5 * MIB, 6 * MIB]);
    large.give(warm);
    assert_eq!(large.change(block, 6 * MIB), None, "to be copied");
    large.purge(0, 0, &counters);
    // SAFETY: it is live.
    let moved = unsafe { large.reallocate(block, 6 * MIB, 16, &counters) }.expect("moved");
    assert_eq!(counters.large_moved.get(), 1);
    large.give(moved);
    large.check();
}

/// As the C functions do it: where it is, or allocated, copied and freed.
fn grown(large: &Large, block: NonNull<u8>, size: usize, counters: &Totals) -> NonNull<u8> {
    // SAFETY: the test's block.
    if let Some(block) = unsafe { large.reallocate(block, size, 16, counters) } {
        return block;
    }
    let new = large.allocate(size, 16, false, counters).expect("memory");
    large.give(block);
    new
}

/// `stormglass compare --workload large`, in small: 16 blocks of 32 KiB - 4 MiB that are replaced at random, half of them grown.
#[test]
fn blocks_that_come_and_go_find_their_memory_again() {
    const ROUNDS: u64 = 4000;
    let (large, counters) = (large(ROOMY), Totals::default());
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let (mut blocks, mut most_live, mut most_mapped): (Vec<NonNull<u8>>, _, _) = (Vec::new(), 0, 0);
    for _ in 0..ROUNDS {
        let low = (33 * KIB) << next(7);
        let size = low + next(low as u64) as usize;
        let mut len = if next(2) == 0 { size } else { (size / 8).max(33 * KIB) };
        let mut block = large.allocate(len, 16, false, &counters).expect("memory");
        while len < size {
            len = (len + len / 2).min(size);
            block = grown(&large, block, len, &counters);
        }
        // What the heap of a thread does after each allocation (upkeep.rs).
        if let Some(growth) = large.limit.growth() {
            large.give_up(growth.bytes, &counters);
            large.limit.settle(&growth);
        }
        blocks.push(block);
        most_live = most_live.max(large.figures().live);
        most_mapped = most_mapped.max(large.figures().mapped);
        if blocks.len() > 16 {
            large.give(blocks.swap_remove(next(16) as usize));
        }
    }
    large.check();
    let brought = counters.large_mapped_bytes.get() + counters.large_retaken_bytes.get();
    let given_out = counters.large_allocated_bytes.get();
    assert!(brought * 50 < given_out, "{brought} bytes brought by the kernel for {given_out} given out");
    assert!(most_mapped <= most_live * 7 / 5, "{most_mapped} bytes mapped, {most_live} live");
    for block in blocks {
        large.give(block);
    }
}
