//! Carving, coming back, adoption and merging, one thread after the other.

use std::collections::BTreeSet;
use std::rc::Rc;

use proptest::prelude::*;
use stormglass_telemetry::{Op, schema::CLASS_BYTES};

use super::scene::{Scene, Thread};

/// Every block that can be had without a page that is not mapped yet.
fn take_all(thread: &Thread) -> Vec<u32> {
    let mapped = thread.counts().pages_mapped.get();
    let mut numbers = Vec::new();
    loop {
        let batch = thread.refill();
        if batch.is_empty() || thread.counts().pages_mapped.get() > mapped {
            thread.spill(&batch);
            return numbers;
        }
        numbers.extend(batch);
    }
}

fn cas_attempts(thread: &Thread) -> u64 {
    Op::ALL.iter().map(|&op| thread.cas(op)[0]).sum()
}

#[test]
fn a_fresh_page_gives_each_of_its_blocks_once_lowest_first() {
    for bytes in CLASS_BYTES {
        let scene = Scene::of(bytes as usize);
        let thread = scene.thread();
        let blocks = scene.class.blocks_per_page();
        let mut numbers = Vec::new();
        while numbers.len() < blocks {
            numbers.extend(thread.refill());
        }
        assert_eq!(numbers, (0..blocks as u32).collect::<Vec<_>>(), "class {bytes}");
        assert_eq!(thread.counts().pages_mapped.get(), 1);
        assert_eq!(thread.refill()[0], 512, "the next page");
        assert_eq!(thread.counts().pages_mapped.get(), 2);
    }
}

#[test]
fn own_blocks_come_back_without_any_cas() {
    let scene = Scene::of(5 << 10);
    let thread = scene.thread();
    let mut numbers = [thread.refill(), thread.refill()].concat();
    numbers.reverse();
    thread.spill(&numbers[10..42]);
    assert_eq!(thread.refill(), (22..54).collect::<Vec<_>>());
    assert_eq!(cas_attempts(&thread), 0);
    assert_eq!(thread.counts().remote_frees.get(), 0);
}

#[test]
fn a_thread_that_starts_has_the_blocks_of_the_one_that_ended_and_maps_no_page() {
    let scene = Scene::of(32 << 10);
    let first = scene.thread();
    let mut numbers: Vec<u32> = (0..10).flat_map(|_| first.refill()).collect();
    let pages = first.counts().pages_mapped.get();
    first.spill(&numbers);
    first.end();
    assert_eq!(first.cas(Op::Push), [1, 0], "one CAS for all");
    assert_eq!(first.counts().pages_abandoned.get(), pages);

    let second = scene.thread();
    let mut again: Vec<u32> = (0..10).flat_map(|_| second.refill()).collect();
    numbers.sort_unstable();
    again.sort_unstable();
    assert_eq!(again, numbers);
    assert_eq!(second.cas(Op::Pop), [1, 0], "one CAS for all");
    let c = second.counts();
    assert_eq!([c.heaps_adopted.get(), c.pages_adopted.get(), c.pages_mapped.get()], [1, pages, 0]);
    second.spill(&again);
    assert_eq!(c.remote_frees.get(), 0, "they are its own now");
}

#[test]
fn a_thread_that_runs_dry_takes_idle_heaps_before_it_maps_a_page() {
    let scene = Scene::of(32 << 10);
    let (dry, gone, exhausted) = (scene.thread(), scene.thread(), scene.thread());
    let own = dry.refill();
    let left = gone.refill();
    let out = exhausted.refill();
    gone.spill(&left);
    gone.end();
    exhausted.end();
    // The heap that was left last has nothing and is merged on the way to the one that has.
    assert_eq!(dry.refill(), left);
    let c = dry.counts();
    assert_eq!([c.heaps_adopted.get(), c.pages_adopted.get(), c.pages_mapped.get()], [2, 2, 1]);
    // Whatever heap the blocks came from, they are at home here now.
    dry.spill(&own);
    dry.spill(&left);
    dry.spill(&out);
    assert_eq!(c.remote_frees.get(), 0);
    assert_eq!(take_all(&dry).len(), 96);
}

#[test]
fn a_region_that_is_used_up_gives_an_empty_batch_and_blocks_that_come_back() {
    let scene = Scene::of(32 << 10);
    let thread = scene.thread();
    let mut numbers = Vec::new();
    loop {
        let batch = thread.refill();
        if batch.is_empty() {
            break;
        }
        numbers.extend(batch);
    }
    assert_eq!(numbers.len(), scene.region.pages() * scene.class.blocks_per_page());
    thread.spill(&numbers[3..5]);
    assert_eq!(thread.refill(), numbers[3..5]);
    assert!(thread.refill().is_empty());
}

/// Four pages of 32 blocks, all out, by page.
fn four_pages(thread: &Thread) -> [Vec<u32>; 4] {
    core::array::from_fn(|_| thread.refill())
}

#[test]
fn whole_pages_leave_the_newest_last() {
    let scene = Scene::of(32 << 10);
    let thread = scene.thread();
    let [first, second, third, fourth] = four_pages(&thread);
    thread.spill(&first[1..]);
    assert_eq!(thread.shed(0), [], "no page is whole");
    thread.spill(&third);
    thread.spill(&first[..1]);
    thread.spill(&fourth);
    assert_eq!(thread.shed(1), [0, 2], "all but the newest");
    assert_eq!(thread.shed(1), []);
    assert_eq!(thread.shed(0), [3]);
    thread.spill(&second);
    assert_eq!(thread.refill(), second, "the only page that is left");
}

#[test]
fn a_page_that_is_whole_is_broken_where_there_is_no_other_block() {
    let scene = Scene::of(32 << 10);
    let thread = scene.thread();
    let [first, second, third, _] = four_pages(&thread);
    thread.spill(&first);
    thread.spill(&second);
    thread.spill(&third[7..9]);
    assert_eq!(thread.refill(), third[7..9], "fewer than a batch, but no whole page");
    assert_eq!(thread.refill(), second, "the newest");
    assert_eq!(thread.shed(0), [0]);
}

#[test]
fn a_page_that_others_made_whole_leaves_once_that_was_looked_at() {
    let scene = Scene::of(32 << 10);
    let (thread, other) = (scene.thread(), scene.thread());
    let [first, ..] = four_pages(&thread);
    other.spill(&first);
    assert_eq!(thread.shed(0), []);
    assert_eq!(thread.release(), [0]);
    assert!(other.refill().len() == 32 && other.counts().pages_mapped.get() == 1, "it is not the other's");
}

#[test]
fn merged_heaps_know_which_pages_are_whole() {
    let scene = Scene::of(32 << 10);
    let (gone, thread) = (scene.thread(), scene.thread());
    let [first, second, third, fourth] = four_pages(&gone);
    let own = thread.refill();
    gone.spill(&[&first[..], &second[..1]].concat());
    gone.end();
    assert_eq!(thread.refill(), [second[0]]);
    assert_eq!(thread.shed(0), [0]);
    thread.spill(&[second, third, fourth, own].concat());
    let mut left = thread.shed(0);
    left.sort_unstable();
    assert_eq!(left, [1, 2, 3, 4]);
}

/// What threads may do, one after the other.
#[derive(Clone, Debug)]
enum Act {
    Refill(usize),
    /// A thread frees some of the blocks that are out, whoever took them.
    Spill(usize, Vec<prop::sample::Index>),
    /// A thread ends, and another takes its place.
    End(usize),
}

const THREADS: usize = 4;

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => (0..THREADS).prop_map(Act::Refill),
        3 => (0..THREADS, prop::collection::vec(any::<prop::sample::Index>(), 1..64))
            .prop_map(|(thread, which)| Act::Spill(thread, which)),
        1 => (0..THREADS).prop_map(Act::End),
    ];
    prop::collection::vec(act, 1..100)
}

proptest! {
    #[test]
    fn no_block_is_given_twice_and_all_come_back(bytes in prop::sample::select(&CLASS_BYTES[..]), acts in acts()) {
        let scene = Scene::of(bytes as usize);
        let mut threads: Vec<Rc<Thread>> = (0..THREADS).map(|_| scene.thread()).collect();
        let mut out = BTreeSet::new();
        let mut mapped = 0;
        for act in acts {
            match act {
                Act::Refill(thread) => {
                    for number in threads[thread].refill() {
                        prop_assert!(out.insert(number), "{} was given out already", number);
                    }
                }
                Act::Spill(thread, which) => {
                    let mut numbers: Vec<u32> = out.iter().copied().collect();
                    let mut freed = Vec::new();
                    let n = which.len().min(numbers.len());
                    for index in &which[..n] {
                        freed.push(numbers.swap_remove(index.index(numbers.len())));
                    }
                    out = numbers.into_iter().collect();
                    threads[thread].spill(&freed);
                }
                Act::End(thread) => {
                    threads[thread].end();
                    mapped += threads[thread].counts().pages_mapped.get();
                    threads[thread] = scene.thread();
                }
            }
        }
        for thread in &threads {
            thread.end();
            mapped += thread.counts().pages_mapped.get();
        }
        let last = scene.thread();
        for number in take_all(&last) {
            prop_assert!(out.insert(number), "{} was given out already", number);
        }
        prop_assert_eq!(out.len(), mapped as usize * scene.class.blocks_per_page());
    }
}
