//! Exact counts of races that are special to a design.

use std::rc::Rc;

use stormglass_telemetry::Op;

use super::{Scene, other};
use crate::batch::BATCH;
use crate::block::{Block, Chain};
use crate::free_list::{FreeList, Patience, list};
use crate::seam::script;

/// Thread 0 takes a batch while `disturb` happens at its first attempt, and must get `expected`; its counts.
fn pop_disturbed<L: FreeList + 'static>(
    scene: &Rc<Scene<L>>,
    room: usize,
    disturb: impl FnOnce(&Scene<L>) + 'static,
    expected: impl IntoIterator<Item = u32>,
) -> [u64; 5] {
    script::write([other(scene, disturb)]);
    assert_eq!(scene.pop(0, room), expected.into_iter().collect::<Vec<_>>());
    assert!(script::is_done());
    scene.counts(0, Op::BatchPop)
}

fn a_walk_is_used_again<L: FreeList + 'static>() {
    // A push on top: 100 is chased, 0 is met and 30 more are predicted; 31 falls out of the batch.
    let scene = Scene::<L>::with_blocks(64);
    let counts = pop_disturbed(&scene, BATCH, |s| s.push(1, 100), [100].into_iter().chain(0..31));
    assert_eq!(counts, [2, 1, 32, 1, 0]);

    // Two blocks are taken: 2 to 31 are met again, 32 and 33 are chased.
    let scene = Scene::<L>::with_blocks(64);
    let counts = pop_disturbed(&scene, BATCH, |s| assert_eq!(s.pop(1, 2), [0, 1]), 2..34);
    assert_eq!(counts, [2, 1, 32, 2, 0]);

    // A whole batch is taken: nothing is met, and all that was walked was in vain.
    let scene = Scene::<L>::with_blocks(64);
    let counts = pop_disturbed(&scene, BATCH, |s| assert_eq!(s.pop(1, BATCH).len(), 32), 32..64);
    assert_eq!(counts, [2, 1, 32, 32, 0]);

    // Everything is taken.
    let scene = Scene::<L>::with_blocks(8);
    let counts = pop_disturbed(&scene, BATCH, |s| assert_eq!(s.pop(1, BATCH).len(), 8), []);
    assert_eq!(counts, [1, 1, 0, 8, 0]);

    // 0 and 1 are taken and 0 is put back: 0 is met, but its prediction is wrong; 2 and 3 are met after all.
    let scene = Scene::<L>::with_blocks(6);
    let swap = |s: &Scene<L>| {
        assert_eq!(s.pop(1, 2), [0, 1]);
        s.push(1, 0);
    };
    assert_eq!(pop_disturbed(&scene, 4, swap, [0, 2, 3, 4]), [2, 1, 4, 1, 1]);
}

#[test]
fn walk_once_uses_a_walk_again() {
    a_walk_is_used_again::<list::WalkOnce>();
}

#[test]
fn relaxed_uses_a_walk_again() {
    a_walk_is_used_again::<list::Relaxed>();
}

#[test]
fn a_walk_that_is_used_twice_is_counted_once() {
    let scene = Scene::<list::WalkOnce>::with_blocks(64);
    script::write([
        other(&scene, |s| s.push(1, 100)),
        other(&scene, |s| assert_eq!(s.pop(1, 1), [100])),
        other(&scene, |s| s.push(1, 101)),
    ]);
    assert_eq!(scene.pop(0, BATCH), [101].into_iter().chain(0..31).collect::<Vec<_>>());
    // Dropped: 31 for 100, 100 itself, then 31 (chased once more in between) for 101. Chased: 32 + 1 + 1 + 1.
    assert_eq!(scene.counts(0, Op::BatchPop), [4, 3, 32, 3, 0]);
}

#[test]
fn a_small_batch_walks_four_blocks_in_vain() {
    let scene = Scene::<list::SmallBatch>::with_blocks(64);
    assert_eq!(
        pop_disturbed(&scene, BATCH, |s| assert_eq!(s.pop(1, BATCH), [0, 1, 2, 3]), 4..8),
        [2, 1, 4, 4, 0]
    );
    assert_eq!(scene.counts(1, Op::BatchPop), [1, 0, 4, 0, 0]);
}

#[test]
fn a_magazine_is_one_attempt_and_no_walk() {
    let scene = Scene::<list::Depot>::with_chain(70);
    let counts =
        pop_disturbed(&scene, BATCH, |s| assert_eq!(s.pop(1, BATCH), (0..32).collect::<Vec<_>>()), 32..64);
    assert_eq!(counts, [2, 1, 0, 0, 0]);
    assert_eq!(scene.counts(1, Op::BatchPop), [1, 0, 0, 0, 0]);
    assert_eq!(scene.pop(0, BATCH), (64..70).collect::<Vec<_>>(), "the end of a chain is a short magazine");
    assert!(scene.list.looks_empty());
}

#[test]
fn a_long_chain_becomes_magazines_by_one_cas() {
    let scene = Scene::<list::Depot>::empty();
    let links = scene.region.links();
    let chain = (0..99)
        .rev()
        .fold(Chain::one(Block::claim(99)), |chain, number| chain.prepend(Block::claim(number), links));
    scene.list.push_chain(&(), chain, Op::Drain, scene.site(0));
    assert_eq!(scene.counts(0, Op::Drain), [1, 0, 0, 0, 0]);
    let magazines: Vec<_> = (0..4).map(|_| scene.pop(0, BATCH).len()).collect();
    assert_eq!(magazines, [32, 32, 32, 4]);
    assert_eq!(scene.counts(0, Op::BatchPop), [4, 0, 0, 0, 0]);
}

#[test]
fn the_version_alone_keeps_magazines_apart() {
    let scene = Scene::<list::Depot>::with_chain(64);
    // While thread 0 looks at the first magazine, on top of the second, thread 1 takes both and puts the first back. Without
    // the version thread 0 would leave the second as the list, and it has another owner.
    let swap = |s: &Scene<list::Depot>| {
        let first = s.pop(1, BATCH);
        assert_eq!(s.pop(1, BATCH).len(), 32);
        s.push_batch(1, &first);
    };
    assert_eq!(pop_disturbed(&scene, BATCH, swap, 0..32), [2, 1, 0, 0, 1]);
    assert!(scene.pop(0, BATCH).is_empty());
}

#[test]
fn a_single_push_passes_a_batch_under_the_lock() {
    let scene = Scene::<list::Hybrid>::with_blocks(64);
    // The first seam is the lock's: a thief finds it held. The second is the attempt's: a single push beats it.
    script::write([
        other(&scene, |s| assert!(s.pop_with(Patience::Try, 1, BATCH).is_empty())),
        other(&scene, |s| s.push(1, 100)),
    ]);
    assert_eq!(scene.pop(0, BATCH), [100].into_iter().chain(0..31).collect::<Vec<_>>());
    assert!(script::is_done());
    assert_eq!(scene.counts(0, Op::BatchPop), [2, 1, 32, 1, 0]);
    assert_eq!((scene.locks(0), scene.locks(1)), ([1, 0], [0, 1]), "the push took no lock");

    script::write([None, other(&scene, |s| s.push(1, 101))]);
    scene.push_batch(0, &[102, 103]);
    assert_eq!(scene.counts(0, Op::BatchPush)[..2], [2, 1]);
    assert_eq!(scene.pop(0, 4), [102, 103, 101, 31]);
}

#[test]
fn an_inbox_is_emptied_by_a_holder_whose_list_is_short() {
    let scene = Scene::<list::Targeted>::with_chain(40);
    scene.push(1, 100);
    assert_eq!(scene.pop(0, BATCH), (0..32).collect::<Vec<_>>(), "the list was not short");
    // While thread 0 holds the lock, thread 1 pushes one more, which it finds.
    script::write([other(&scene, |s| s.push(1, 101))]);
    assert_eq!(scene.pop(0, 9), [32, 33, 34, 35, 36, 37, 38, 39, 101]);
    assert!(!scene.list.looks_empty(), "the rest of the inbox is the list now");
    assert_eq!(scene.pop(0, BATCH), [100]);
    assert!(scene.list.looks_empty());
    assert_eq!(scene.counts(0, Op::BatchPop), [0; 5], "batches make no CAS");
    assert_eq!(scene.counts(1, Op::Push), [2, 0, 0, 0, 0]);
    assert_eq!((scene.locks(0), scene.locks(1)), ([3, 0], [0, 0]));
}

#[test]
fn a_single_push_to_an_inbox_is_beaten_by_another() {
    let scene = Scene::<list::Targeted>::with_chain(2);
    script::write([other(&scene, |s| s.push(1, 100))]);
    scene.push(0, 101);
    assert_eq!(scene.counts(0, Op::Push), [2, 1, 0, 0, 0]);
    assert_eq!(scene.pop(0, BATCH), [0, 1, 101, 100]);
}

#[test]
fn the_loser_of_an_optimistic_attempt_queues_behind_the_global_lock() {
    let scene = Scene::<list::GlobalLock>::with_blocks(128);
    script::write([
        // The attempt is beaten; the lock is taken; an optimist passes once more.
        other(&scene, |s| assert_eq!(s.pop(1, BATCH).len(), 32)),
        None,
        other(&scene, |s| s.push(1, 200)),
        None,
    ]);
    assert_eq!(scene.pop(0, BATCH), [200].into_iter().chain(32..63).collect::<Vec<_>>());
    assert!(script::is_done());
    assert_eq!(scene.counts(0, Op::BatchPop), [3, 2, 32, 64, 0]);
    assert_eq!((scene.locks(0), scene.locks(1)), ([1, 0], [0, 0]), "only the loser took the lock");
    assert_eq!(scene.site(0).counters.cas_retries.counts()[2], 1, "one operation, two retries");
}

#[test]
fn a_thief_that_loses_and_finds_the_global_lock_held_goes_on() {
    let scene = Scene::<list::GlobalLock>::with_blocks(64);
    script::write([
        other(&scene, |s| s.push(2, 100)),
        // Thread 0 holds the lock now. A thief's attempt is beaten in its turn.
        {
            let inner = Rc::clone(&scene);
            other(&scene, move |s| {
                script::write([other(&inner, |s| s.push(2, 101))]);
                assert!(s.pop_with(Patience::Try, 1, BATCH).is_empty());
            })
        },
    ]);
    assert_eq!(scene.pop(0, 2), [101, 100]);
    assert_eq!(scene.counts(1, Op::BatchPop), [1, 1, 0, 32, 0]);
    assert_eq!((scene.locks(0), scene.locks(1), scene.locks(2)), ([1, 0], [0, 1], [0, 0]));
}
