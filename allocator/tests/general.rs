//! The general allocator as a program sees it: sizes, alignments, contents, threads that come and go.
#![cfg(not(loom))]

use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;

use proptest::prelude::*;
use stormglass_allocator::general;

/// A block that a caller has, with a stamp at both ends.
#[derive(Debug)]
struct Mine {
    block: *mut u8,
    size: usize,
    stamp: u8,
}

// SAFETY: the block belongs to whoever has this value.
unsafe impl Send for Mine {}

impl Mine {
    fn new(block: *mut u8, size: usize, align: usize, stamp: u8) -> Mine {
        assert!(!block.is_null(), "{size} at {align}");
        assert!(block.addr().is_multiple_of(align), "{size} at {align}");
        // SAFETY: a live block.
        assert!(unsafe { general::usable_size(block) } >= size);
        let mine = Mine { block, size, stamp };
        mine.write();
        mine
    }

    fn take(size: usize, align: usize, stamp: u8) -> Mine {
        Mine::new(general::allocate(size, align), size, align, stamp)
    }

    fn ends(&self) -> [*mut u8; 2] {
        [self.block, self.block.wrapping_add(self.size.saturating_sub(1))]
    }

    fn write(&self) {
        if self.size > 0 {
            // SAFETY: the first and the last byte of the caller's block.
            self.ends().into_iter().for_each(|end| unsafe { end.write(self.stamp) });
        }
    }

    fn check(&self) {
        if self.size > 0 {
            // SAFETY: as in `write`.
            assert!(self.ends().into_iter().all(|end| unsafe { end.read() } == self.stamp), "{self:?}");
        }
    }

    fn resize(self, size: usize, align: usize) -> Mine {
        self.check();
        // SAFETY: a live block, used at its new place from now on.
        let block = unsafe { general::reallocate(self.block, size, align) };
        assert!(!block.is_null());
        if self.size > 0 && size > 0 {
            // SAFETY: a live block of `size` bytes.
            assert_eq!(unsafe { block.read() }, self.stamp, "contents come along");
        }
        Mine::new(block, size, align, self.stamp)
    }

    fn give(self) {
        self.check();
        // SAFETY: a live block, and the value goes with it.
        unsafe { general::free(self.block) };
    }
}

fn zeroes(size: usize, align: usize) -> Mine {
    let block = general::allocate_zeroed(size, align);
    assert!(!block.is_null());
    // SAFETY: a live block of `size` bytes.
    assert!(unsafe { core::slice::from_raw_parts(block, size) }.iter().all(|&byte| byte == 0), "{size}");
    // Dirty, for whoever gets it next.
    // SAFETY: as above.
    unsafe { block.write_bytes(0xEE, size) };
    Mine::new(block, size, align, 1)
}

#[test]
fn every_size_to_70_kib() {
    let mut all = Vec::new();
    for size in 0..=70 << 10 {
        all.push(Mine::take(size, 16, size as u8));
        if size % 3 == 0 {
            all.swap_remove(size % all.len()).give();
        }
    }
    all.into_iter().for_each(Mine::give);
}

#[test]
fn every_alignment_to_2_mib() {
    for shift in 0..=21 {
        let mut all = Vec::new();
        for size in [0, 1, 15, 16, 100, 1000, 4096, 5000, 32 << 10, (32 << 10) + 1, 70_000] {
            all.push(Mine::take(size, 1 << shift, shift as u8));
        }
        all.into_iter().for_each(Mine::give);
    }
}

#[test]
fn no_size_is_too_large_to_be_refused() {
    for size in [usize::MAX, isize::MAX as usize, isize::MAX as usize - 4096, 1 << 47] {
        assert!(general::allocate(size, 16).is_null(), "{size}");
        assert!(general::allocate_zeroed(size, 4096).is_null(), "{size}");
    }
    let kept = Mine::take(100, 16, 7);
    // SAFETY: a live block, which stays.
    assert!(unsafe { general::reallocate(kept.block, usize::MAX, 16) }.is_null());
    kept.give();
}

#[test]
fn zeroed_is_zeroed_after_use_and_after_a_trim() {
    for round in 0..3 {
        let all: Vec<_> = (0..3000).map(|i| zeroes(i * 29 % (48 << 10) + 1, 16)).collect();
        all.into_iter().for_each(Mine::give);
        if round == 1 {
            assert!(general::trim());
        }
    }
}

#[test]
fn a_null_pointer_is_nothing_to_free_and_all_to_reallocate() {
    // SAFETY: null is allowed.
    unsafe {
        general::free(core::ptr::null_mut());
        assert_eq!(general::usable_size(core::ptr::null_mut()), 0);
        Mine::new(general::reallocate(core::ptr::null_mut(), 10, 16), 10, 16, 3).give();
    }
}

#[derive(Clone, Debug)]
enum Act {
    Take(usize, u32),
    Zeroed(usize),
    Resize(prop::sample::Index, usize),
    Give(prop::sample::Index),
    /// Another thread frees it.
    Pass(prop::sample::Index),
    Trim,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let size = || prop_oneof![6 => 0..300_usize, 3 => 0..9000_usize, 1 => 0..200_000_usize];
    let act = prop_oneof![
        6 => (size(), 0..13_u32).prop_map(|(size, shift)| Act::Take(size, shift)),
        2 => size().prop_map(Act::Zeroed),
        3 => (any::<prop::sample::Index>(), size()).prop_map(|(which, size)| Act::Resize(which, size)),
        5 => any::<prop::sample::Index>().prop_map(Act::Give),
        2 => any::<prop::sample::Index>().prop_map(Act::Pass),
        1 => Just(Act::Trim),
    ];
    prop::collection::vec(act, 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn blocks_do_not_overlap_and_keep_their_contents(acts in acts()) {
        let (send, receive) = mpsc::channel::<Mine>();
        let helper = thread::spawn(move || receive.into_iter().for_each(Mine::give));
        let mut all: Vec<Mine> = Vec::new();
        // Who has which addresses, by start.
        let mut ranges: BTreeMap<usize, usize> = BTreeMap::new();
        let mut stamp = 0_u8;
        for act in acts {
            stamp = stamp.wrapping_add(1);
            let got = match act {
                Act::Take(size, shift) => Some(Mine::take(size, 1 << shift, stamp)),
                Act::Zeroed(size) => Some(zeroes(size, 16)),
                Act::Trim => { general::trim(); None }
                _ if all.is_empty() => None,
                Act::Resize(which, size) => {
                    let mine = all.swap_remove(which.index(all.len()));
                    ranges.remove(&mine.block.addr());
                    Some(mine.resize(size, 16))
                }
                Act::Give(which) => {
                    let mine = all.swap_remove(which.index(all.len()));
                    ranges.remove(&mine.block.addr());
                    mine.give();
                    None
                }
                Act::Pass(which) => {
                    let mine = all.swap_remove(which.index(all.len()));
                    ranges.remove(&mine.block.addr());
                    send.send(mine).expect("the helper listens");
                    None
                }
            };
            if let Some(mine) = got {
                let (start, end) = (mine.block.addr(), mine.block.addr() + mine.size.max(1));
                let below = ranges.range(..end).next_back();
                prop_assert!(below.is_none_or(|(_, &other)| other <= start), "two blocks in one place");
                ranges.insert(start, end);
                all.push(mine);
            }
        }
        all.into_iter().for_each(Mine::give);
        drop(send);
        helper.join().expect("no panic");
    }
}

/// A short random sequence.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

/// Blocks in the middle of a room, behind a lock of atomics: a sanitizer does not see into the standard library's.
struct Heap {
    taken: AtomicBool,
    blocks: UnsafeCell<Vec<Mine>>,
}

// SAFETY: the blocks are reached by who has set `taken`.
unsafe impl Sync for Heap {}

impl Heap {
    fn with<R>(&self, f: impl FnOnce(&mut Vec<Mine>) -> R) -> R {
        while self.taken.swap(true, Ordering::Acquire) {
            thread::yield_now();
        }
        // SAFETY: see above.
        let result = f(unsafe { &mut *self.blocks.get() });
        self.taken.store(false, Ordering::Release);
        result
    }
}

#[test]
fn threads_pass_blocks_round_while_pages_leave_and_come_back() {
    let shared = Heap { taken: AtomicBool::new(false), blocks: UnsafeCell::new(Vec::new()) };
    let work = |seed: u64| {
        let mut state = seed;
        let mut mine: Vec<Mine> = Vec::new();
        for step in 0..6000 {
            let size = match random(&mut state) % 10 {
                0 => random(&mut state) % 40_000,
                1..4 => random(&mut state) % 4000,
                _ => random(&mut state) % 200,
            };
            mine.push(Mine::take(size, 16, seed as u8 ^ step as u8));
            if mine.len() > 300 {
                let passed = mine.split_off(150);
                let taken = shared.with(|blocks| {
                    blocks.extend(passed);
                    if blocks.len() > 600 { blocks.split_off(300) } else { Vec::new() }
                });
                taken.into_iter().for_each(Mine::give);
            }
            if step % 500 == 499 {
                mine.drain(..).for_each(Mine::give);
                general::trim();
            }
        }
        mine.into_iter().for_each(Mine::give);
    };
    for round in 0..5 {
        thread::scope(|scope| {
            for thread in 0..4 {
                let work = &work;
                scope.spawn(move || work(round * 100 + thread + 1));
            }
        });
    }
    shared.blocks.into_inner().into_iter().for_each(Mine::give);
}

#[test]
fn thousands_of_threads_leave_nothing_behind() {
    let live_and_die = || {
        let all: Vec<_> = (1..200).map(|i| Mine::take(i * 53 % 5000, 16, i as u8)).collect();
        all.into_iter().for_each(Mine::give);
    };
    let round = |threads: usize| {
        for _ in 0..threads / 4 {
            thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(live_and_die))));
        }
    };
    round(200);
    let before = general::stats();
    round(3000);
    let after = general::stats();
    assert!(after.threads_started >= before.threads_started + 3000);
    // Other tests of this process take memory too; 3000 threads that leaked a page each would be 24 MiB at least, and each uses more
    // than forty pages.
    assert!(after.threads <= before.threads + 8, "{} heaps have a thread", after.threads);
}

thread_local! {
    static LAST: RefCell<Vec<Mine>> = const { RefCell::new(Vec::new()) };
    static KEEPER: Keeper = const { Keeper };
}

/// Works with the allocator when its thread ends.
struct Keeper;

impl Drop for Keeper {
    fn drop(&mut self) {
        for i in 0..100 {
            Mine::take(i * 100, 16, 9).give();
        }
        let _ = LAST.try_with(|last| last.borrow_mut().drain(..).for_each(Mine::give));
    }
}

#[test]
fn destructors_of_thread_locals_allocate_and_free() {
    for _ in 0..50 {
        thread::spawn(|| {
            KEEPER.with(|_| {});
            LAST.with_borrow_mut(|last| last.extend((0..100).map(|i| Mine::take(i * 77, 16, 4))));
        })
        .join()
        .expect("no panic");
    }
}

unsafe extern "C" {
    fn pthread_key_create(key: *mut u32, destructor: Option<unsafe extern "C" fn(*mut u8)>) -> i32;
    fn pthread_setspecific(key: u32, value: *const u8) -> i32;
}

/// How often [`late`] comes on a thread: as often as the C library lets it, or fewer times if the environment says so.
///
/// The sanitizers' run-time ends its own part of a thread in the last round, and a destructor that comes later crashes in it: one that
/// stores a number does, too. So .ci/tsan leaves that round out.
static ROUNDS: AtomicU32 = AtomicU32::new(u32::MAX);

thread_local! {
    static CAME: Cell<u32> = const { Cell::new(0) };
}

/// Frees what its thread has left, perhaps after the thread's heap has gone, and comes again as often as it may.
unsafe extern "C" fn late(block: *mut u8) {
    // SAFETY: what the test set: a live block.
    unsafe { general::free(block) };
    let all: Vec<_> = (0..200).map(|i| Mine::take(i * 50, 16, 2)).collect();
    all.into_iter().for_each(Mine::give);
    let came = CAME.get() + 1;
    CAME.set(came);
    if came == ROUNDS.load(Ordering::Relaxed) {
        return;
    }
    // SAFETY: the key is there since before the thread.
    unsafe { pthread_setspecific(LATE.load(Ordering::Relaxed), general::allocate(10, 16)) };
}

static LATE: AtomicU32 = AtomicU32::new(0);

#[test]
fn a_thread_allocates_and_frees_after_its_heap_has_gone() {
    // The allocator's own key comes first, and its destructor with it.
    Mine::take(1, 16, 1).give();
    let mut key = 0;
    // SAFETY: writes the key.
    assert_eq!(unsafe { pthread_key_create(&raw mut key, Some(late)) }, 0);
    LATE.store(key, Ordering::Relaxed);
    if let Some(rounds) = std::env::var("STORMGLASS_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()) {
        ROUNDS.store(rounds, Ordering::Relaxed);
    }
    for _ in 0..20 {
        thread::spawn(move || {
            // SAFETY: the key is there.
            assert_eq!(unsafe { pthread_setspecific(key, general::allocate(10_000, 16)) }, 0);
        })
        .join()
        .expect("no panic");
    }
}
