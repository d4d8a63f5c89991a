//! A thread's own counters, read around a slow path now and then: what a refill or a spill costs, in cycles, instructions and cache
//! misses, by class and shard.
//!
//! ```text
//! begin --read--> refill from home --lap--> steal from another shard --lap--> ... --end--> home: + 1 sample
//!                 home: + the change        that shard: + the change, + 1 sample
//! ```
//!
//! Which slow paths are sampled is random, one in 64, lest the same class come up each time; and none is before the thread has
//! worked for 128 times as long as the last sample took: reading costs below 1% by construction, be it an instruction or a system call.
//!
//! Invariants: nothing here takes memory from the heap or leaves a borrowed heap waiting for one; a descriptor is read or closed only
//! while it is still the event that was opened, because a program may close what is not its own and open something else in
//! its place; counters belong to the thread that opened them, and a forked child has none.

use core::cell::{Cell as Plain, UnsafeCell};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;

use rustix::process::{Pid, getpid};
use rustix::thread::gettid;

use super::circumstances::Circumstances;
use super::event::{Event, MAX_GROUP};
use super::group::Group;
use super::opener::{Counter, Descriptor, Kernel, Mode, Opener, Target};
use super::page::Page;
use super::plan::{Plan, Standing};
use crate::clock;
use crate::schema::{Inside, ShardCounters};

/// Slow paths that are not sampled for each that is, at most twice and on average this many. A power of two.
const APART: u32 = 64;
/// Time between samples, in times that the last one took.
const REST: u64 = 128;

/// What a slow path is sampled for, in the order of the group.
const EVENTS: [Event; 3] = [Event::Cycles, Event::Instructions, Event::CacheMisses];

/// What can be counted inside slow paths here; found out once, by the first who asks. May allocate.
pub fn inside() -> Inside {
    static FOUND: OnceLock<Inside> = OnceLock::new();
    *FOUND.get_or_init(|| found(&Kernel::here()))
}

/// Why nothing can be counted inside slow paths here; none where something can be. May allocate.
pub fn why_not_inside() -> Option<String> {
    if inside() != Inside::NONE {
        return None;
    }
    let plan = Plan::probe(&Kernel::here(), Circumstances::here());
    match plan.standing(Event::Cycles) {
        Standing::Not(_, message) => Some(message.clone()),
        Standing::Here(_) => {
            Some("the processor's counters could not be opened; they may be in use".to_owned())
        }
    }
}

fn found(opener: &impl Opener) -> Inside {
    let events = EVENTS.map(|event| (event, Mode::User));
    let (_, counted) = open(opener, &events);
    let [cycles, instructions, cache_misses] = counted;
    Inside { cycles, instructions, cache_misses }
}

/// Opens those of the events that can be counted together, and says which.
fn open<O: Opener>(opener: &O, events: &[(Event, Mode); 3]) -> (Option<Group<O::Counter>>, [bool; 3]) {
    let mut counted = [true; 3];
    loop {
        let mut wanted = *events;
        let mut len = 0;
        for (&event, _) in events.iter().zip(counted).filter(|(_, counted)| *counted) {
            wanted[len] = event;
            len += 1;
        }
        if len == 0 {
            return (None, counted);
        }
        match Group::open(opener, Target::Caller, &wanted[..len]) {
            Ok(group) => return (Some(group), counted),
            Err((refused, _)) => {
                for ((event, _), counted) in events.iter().zip(&mut counted) {
                    *counted &= *event != refused;
                }
            }
        }
    }
}

/// How the counters are read.
enum Reader<C> {
    /// In user space; the descriptors are closed, the pages keep the events.
    Pages([Option<Page>; MAX_GROUP]),
    /// By a system call.
    Group(Group<C>),
}

struct Own<C: Counter> {
    reader: Reader<C>,
    /// Which of the three events are counted.
    counted: [bool; 3],
    /// Who opened them: they count this thread.
    thread: Pid,
    process: Pid,
}

/// One slow path that is being sampled.
#[derive(Clone, Copy)]
struct Sample {
    last: [u64; 3],
    /// Ticks that reading took.
    cost: u64,
}

/// The counters of one thread, or none.
pub struct Sampler<C: Counter = Descriptor> {
    /// Set after the counters are there and cleared before they go, so that a fork in between leaves the child with none rather than
    /// with half of them.
    ready: AtomicBool,
    own: UnsafeCell<MaybeUninit<Own<C>>>,
    tried: Plain<bool>,
    random: Plain<u32>,
    /// Slow paths to let pass.
    wait: Plain<u32>,
    /// Ticks before which none is sampled.
    due: Plain<u64>,
    sample: Plain<Option<Sample>>,
}

// SAFETY: it goes from thread to thread as a whole; counters and pages are reached through it alone.
unsafe impl<C: Counter + Send> Send for Sampler<C> {}

impl<C: Counter> Sampler<C> {
    /// One that counts nothing.
    pub const fn off() -> Sampler<C> {
        Sampler {
            ready: AtomicBool::new(false),
            own: UnsafeCell::new(MaybeUninit::uninit()),
            tried: Plain::new(false),
            random: Plain::new(0),
            wait: Plain::new(0),
            due: Plain::new(0),
            sample: Plain::new(None),
        }
    }

    /// Whether the calling thread's counters were asked for already.
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.tried.get()
    }

    /// Whether there are counters.
    pub fn is_counting(&self) -> bool {
        self.own().is_some()
    }

    fn own(&self) -> Option<&Own<C>> {
        // Acquire: pairs with the Release in `start`; on one thread, or in the only one of a forked child.
        // SAFETY: ready: it was written before.
        self.ready.load(Ordering::Acquire).then(|| unsafe { (*self.own.get()).assume_init_ref() })
    }

    /// Opens three events of the calling thread, or those of them that there are, in place of cycles, instructions and cache misses;
    /// the later calls do nothing.
    pub fn start<O: Opener<Counter = C>>(&mut self, opener: &O, events: &[(Event, Mode); 3]) {
        if self.tried.replace(true) {
            return;
        }
        let (Some(group), counted) = open(opener, events) else { return };
        let reader = pages(&group).map_or(Reader::Group(group), Reader::Pages);
        self.own.get_mut().write(Own { reader, counted, thread: gettid(), process: getpid() });
        self.random.set(clock::ticks() as u32 | 1);
        // Release: pairs with the Acquire in `own`.
        self.ready.store(true, Ordering::Release);
    }

    /// Gives the counters up; others may be asked for.
    pub fn close(&mut self) {
        self.tried.set(false);
        self.sample.set(None);
        if self.ready.swap(false, Ordering::AcqRel) {
            // SAFETY: it was ready, and is not any more.
            drop(unsafe { self.own.get_mut().assume_init_read() });
        }
    }

    /// A slow path begins, at these ticks.
    #[inline]
    pub fn begin(&self, now: u64) {
        // Relaxed: this thread's own.
        if self.ready.load(Ordering::Relaxed) {
            self.begin_counted(now);
        }
    }

    #[cold]
    fn begin_counted(&self, now: u64) {
        if self.wait.get() > 0 {
            return self.wait.set(self.wait.get() - 1);
        }
        if now < self.due.get() {
            return;
        }
        let Some(last) = self.own().and_then(Own::read) else {
            // Perhaps later: on no counter just now, or another thread's.
            return self.wait.set(APART);
        };
        self.wait.set(self.next_random() % (2 * APART));
        self.sample.set(Some(Sample { last, cost: clock::ticks().saturating_sub(now) }));
    }

    /// What was done since the beginning, or since the last lap, was done on that shard, and goes on.
    #[inline]
    pub fn lap(&self, shard: &ShardCounters) {
        if self.sample.get().is_some() {
            self.charge(shard);
        }
    }

    /// As [`Sampler::lap`], and it was a visit of its own to that shard.
    #[inline]
    pub fn visit(&self, shard: &ShardCounters) {
        if self.sample.get().is_some() && self.charge(shard) {
            shard.slow_path_samples.add(1);
        }
    }

    /// The slow path ends, on that shard.
    #[inline]
    pub fn end(&self, shard: &ShardCounters) {
        if self.sample.get().is_some() {
            self.end_counted(shard);
        }
    }

    #[cold]
    fn end_counted(&self, shard: &ShardCounters) {
        self.visit(shard);
        if let Some(sample) = self.sample.take() {
            self.due.set(clock::ticks().saturating_add(sample.cost.saturating_mul(REST)));
        }
    }

    /// Adds what was counted since; if that cannot be read, the sample ends without.
    #[cold]
    fn charge(&self, shard: &ShardCounters) -> bool {
        let start = clock::ticks();
        let (Some(sample), Some(own)) = (self.sample.get(), self.own()) else { return false };
        let Some(now) = own.read() else {
            self.sample.set(None);
            return false;
        };
        let cells = [&shard.slow_path_cycles, &shard.slow_path_instructions, &shard.slow_path_cache_misses];
        for ((cell, now), last) in cells.into_iter().zip(now).zip(sample.last) {
            cell.add(now.saturating_sub(last));
        }
        let cost = sample.cost.saturating_add(clock::ticks().saturating_sub(start));
        self.sample.set(Some(Sample { last: now, cost }));
        true
    }

    /// Marsaglia's xorshift: the next of a row in which every number but 0 comes up.
    fn next_random(&self) -> u32 {
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.random.set(x);
        x
    }
}

impl Sampler {
    /// Opens the calling thread's counters, those that [`inside`] has found. Makes system calls and takes nothing from the heap.
    #[cold]
    pub fn settle(&mut self, inside: Inside) {
        if inside == Inside::NONE {
            self.tried.set(true);
        } else {
            self.start(&Kernel::here(), &EVENTS.map(|event| (event, Mode::User)));
        }
    }
}

impl<C: Counter> Drop for Sampler<C> {
    fn drop(&mut self) {
        self.close();
    }
}

/// The pages of a group, if each of its events has one by which it can be read.
fn pages<C: Counter>(group: &Group<C>) -> Option<[Option<Page>; MAX_GROUP]> {
    let mut pages = [const { None }; MAX_GROUP];
    for (place, counter) in pages.iter_mut().zip(group.counters()) {
        *place = counter.page();
        if place.is_none() {
            pages.into_iter().flatten().for_each(Page::unmap);
            return None;
        }
    }
    Some(pages)
}

impl<C: Counter> Own<C> {
    /// What each of the three events has counted; 0 for one that is not counted. None on another thread, which that of a forked child is.
    fn read(&self) -> Option<[u64; 3]> {
        if gettid() != self.thread {
            return None;
        }
        let mut values = match &self.reader {
            Reader::Pages(pages) => {
                let mut values = [0; MAX_GROUP];
                for (value, page) in values.iter_mut().zip(pages.iter().flatten()) {
                    *value = page.value()?;
                }
                values
            }
            Reader::Group(group) => {
                let intact = group.leader().is_some_and(Counter::is_intact);
                intact.then(|| group.read().ok()).flatten()?.values
            }
        }
        .into_iter();
        Some(self.counted.map(|counted| if counted { values.next().unwrap_or(0) } else { 0 }))
    }
}

impl<C: Counter> Drop for Own<C> {
    fn drop(&mut self) {
        // The kernel gives a forked child no such mapping; what lies there is something else.
        if getpid() == self.process
            && let Reader::Pages(pages) = &mut self.reader
        {
            pages.iter_mut().filter_map(Option::take).for_each(Page::unmap);
        }
    }
}

#[cfg(test)]
mod tests;
