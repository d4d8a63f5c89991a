use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _};

use rustix::io::Errno;

use super::*;
use crate::perf::fake::{Fake, Now};
use crate::slot::SlotCounters;

const HARDWARE: [(Event, Mode); 3] =
    [(Event::Cycles, Mode::User), (Event::Instructions, Mode::User), (Event::CacheMisses, Mode::User)];

fn at(fake: &Fake, value: u64) {
    fake.now.set(Now { enabled: 1, running: 1, value });
}

/// Begins slow paths until one is sampled.
fn begin<C: Counter>(sampler: &Sampler<C>) -> u32 {
    (1..1_000_000_u32)
        .find(|_| {
            sampler.begin(u64::MAX);
            sampler.sample.get().is_some()
        })
        .expect("one of them")
}

#[test]
fn a_slow_path_is_charged_to_the_shards_where_it_was() {
    let fake = Fake::new();
    let mut sampler = Sampler::off();
    sampler.start(&fake, &HARDWARE);
    let slot = SlotCounters::zeroed();
    let (home, other) = (slot.shard(1, 2), slot.shard(1, 5));
    at(&fake, 100);
    begin(&sampler);
    at(&fake, 107);
    sampler.lap(home);
    at(&fake, 120);
    sampler.visit(other);
    at(&fake, 121);
    sampler.end(home);
    // Not sampled: nothing is added.
    sampler.lap(home);
    sampler.end(home);
    for cell in [&home.slow_path_cycles, &home.slow_path_instructions, &home.slow_path_cache_misses] {
        assert_eq!(cell.get(), 8);
    }
    assert_eq!((other.slow_path_cycles.get(), other.slow_path_samples.get()), (13, 1));
    assert_eq!(home.slow_path_samples.get(), 1);
}

#[test]
fn one_in_64_is_sampled_and_not_before_its_cost_is_earned() {
    let fake = Fake::new();
    let mut sampler = Sampler::off();
    sampler.start(&fake, &HARDWARE);
    let slot = SlotCounters::zeroed();
    let mut slow_paths = 0;
    for _ in 0..2000 {
        slow_paths += begin(&sampler);
        sampler.end(slot.shard(0, 0));
    }
    let mean = f64::from(slow_paths) / 2000.0;
    assert!((f64::from(APART) - mean).abs() < 6.0, "one in {mean}");
    let due = sampler.due.get();
    assert!(due > clock::ticks().saturating_sub(1_000_000_000));
    for _ in 0..10 * APART {
        sampler.begin(due - 1);
    }
    assert!(sampler.sample.get().is_none(), "too soon");
}

#[test]
fn what_cannot_be_counted_is_left_out() {
    assert_eq!(found(&Fake::new()), Inside { cycles: true, instructions: true, cache_misses: true });
    assert_eq!(found(&Fake::new().without_pmu()), Inside::NONE);
    assert_eq!(found(&Fake::new().refusing(Errno::ACCESS)), Inside::NONE);
    let fake = Fake::new().unfit(Event::Instructions);
    assert_eq!(found(&fake), Inside { cycles: true, instructions: false, cache_misses: true });
    assert_eq!(fake.open_now(), 0);

    let mut sampler = Sampler::off();
    sampler.start(&fake, &HARDWARE);
    let slot = SlotCounters::zeroed();
    at(&fake, 1);
    begin(&sampler);
    at(&fake, 4);
    let shard = slot.shard(0, 0);
    sampler.end(shard);
    let cells = [&shard.slow_path_cycles, &shard.slow_path_instructions, &shard.slow_path_cache_misses];
    assert_eq!(cells.map(crate::Cell::get), [3, 0, 3]);
}

#[test]
fn another_thread_is_not_sampled() {
    let software =
        [(Event::TaskClock, Mode::User), (Event::PageFaults, Mode::User), (Event::Migrations, Mode::User)];
    let mut sampler: Sampler = Sampler::off();
    sampler.start(&Kernel::here(), &software);
    let elsewhere = std::thread::spawn(move || {
        (0..10 * APART).for_each(|_| sampler.begin(u64::MAX));
        sampler.sample.get().is_some()
    });
    assert!(!elsewhere.join().expect("a thread"));
}

#[test]
fn closing_leaves_nothing_open_and_may_be_followed_by_another_life() {
    let fake = Fake::new();
    let mut sampler = Sampler::off();
    for _ in 0..3 {
        sampler.start(&fake, &HARDWARE);
        sampler.start(&fake, &HARDWARE);
        assert_eq!(fake.open_now(), 3, "once");
        sampler.close();
        assert_eq!(fake.open_now(), 0);
    }
    sampler.start(&Fake::new().without_pmu(), &HARDWARE);
    sampler.begin(u64::MAX);
    assert!(sampler.is_settled() && sampler.sample.get().is_none());
}

#[test]
fn a_descriptor_that_is_another_file_by_now_is_neither_read_nor_closed() {
    let software =
        [(Event::TaskClock, Mode::User), (Event::PageFaults, Mode::User), (Event::Migrations, Mode::User)];
    let mut sampler: Sampler = Sampler::off();
    sampler.start(&Kernel::here(), &software);
    let slot = SlotCounters::zeroed();
    if sampler.own().is_none() {
        eprintln!("skipped: this kernel counts nothing for this user");
        return;
    }
    begin(&sampler);
    sampler.end(slot.shard(0, 0));
    assert_eq!(slot.shard(0, 0).slow_path_samples.get(), 1);
    // Somebody closes what is not his, and opens a file of his own in its place.
    let own = sampler.own().expect("open");
    let Reader::Group(group) = &own.reader else { panic!("software events are read by a system call") };
    let stolen = group.leader().expect("open").as_fd().as_raw_fd();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), [0xFF; 4096]).expect("written");
    // SAFETY: both are open; the sampler is what is being tested.
    assert_eq!(unsafe { dup2(file.as_file().as_raw_fd(), stolen) }, stolen);
    for _ in 0..10 * APART {
        sampler.begin(u64::MAX);
    }
    assert!(sampler.sample.get().is_none());
    drop(sampler);
    // SAFETY: it is open still, and this test's.
    let theirs = unsafe { std::os::fd::OwnedFd::from_raw_fd(stolen) };
    let read = rustix::io::read(&theirs, &mut [0_u8; 8192]).expect("still open");
    assert_eq!(read, 4096, "from its start");
}

unsafe extern "C" {
    fn dup2(from: i32, to: i32) -> i32;
}
