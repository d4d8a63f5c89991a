//! Scripts that are random but repeatable, and an independent recount of every counter.
//!
//! Thread 0 does random operations; at each of their seams thread 1 may do whole operations of its own. A model beside it, which
//! knows nothing but what a design promises (a row of units, of which a pop takes the topmost), says which blocks each
//! must get, which attempt was beaten, and so what each thread must have counted. A seed names a script; a failure prints it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use stormglass_telemetry::Op;

use super::Scene;
use crate::batch::BATCH;
use crate::free_list::{FreeList, Patience, each_design, list};
use crate::seam::script;

const SEEDS: u64 = 30;
const STEPS: usize = 200;
const BLOCKS: u32 = 160;

/// How a design behaves, as far as its counts go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// All under a lock.
    Locked,
    /// A batch of up to so many is one CAS, walked anew at each attempt.
    Walk(usize),
    /// The same, walked once.
    Once,
    /// Each block is a CAS.
    Single,
    /// As `Once`, batches under a lock.
    Hybrid,
    /// As `Walk`, after the first failure under a lock.
    Global,
    /// Batches under a lock, single pushes by CAS to an inbox.
    Inbox,
    /// A magazine is one CAS.
    Depot,
}

trait Counted: FreeList + 'static {
    const KIND: Kind;
}

/// A new design says here what it counts, or the tests do not compile.
macro_rules! counted {
    ($($list:ty: $kind:expr;)*) => { $(impl Counted for $list { const KIND: Kind = $kind; })* };
}

counted! {
    // And ClassLock, whose list is the same.
    list::Mutex: Kind::Locked;
    list::LockfreeWalk: Kind::Walk(32);
    list::LockfreeSingle: Kind::Single;
    list::WalkOnce: Kind::Once;
    list::SmallBatch: Kind::Walk(4);
    list::Relaxed: Kind::Once;
    list::Hybrid: Kind::Hybrid;
    list::Targeted: Kind::Inbox;
    list::GlobalLock: Kind::Global;
    list::Depot: Kind::Depot;
}

/// What a list holds.
#[derive(Clone, Default)]
struct Model {
    /// What a pop takes one or more of, topmost first: a block, or a depot's magazine.
    units: VecDeque<Vec<u32>>,
    /// The inbox of those that have one, topmost first.
    inbox: VecDeque<u32>,
    /// Successful changes of what a CAS looks at.
    version: u64,
}

impl Model {
    fn top(&self, kind: Kind) -> Option<u32> {
        if kind == Kind::Inbox { self.inbox.front().copied() } else { self.units.front().map(|unit| unit[0]) }
    }

    /// The blocks that an attempt looks at.
    fn walk(&self, kind: Kind) -> Vec<u32> {
        let most = match kind {
            Kind::Walk(most) => most,
            Kind::Single => 1,
            _ => BATCH,
        };
        self.units.iter().flatten().take(most).copied().collect()
    }

    /// One success of a pop: all of a batch, or the one block or magazine that a CAS takes.
    fn take(&mut self, kind: Kind) -> Vec<u32> {
        let most = match kind {
            Kind::Walk(most) => most,
            Kind::Single | Kind::Depot => 1,
            _ => BATCH,
        };
        let mut taken: Vec<u32> = self.units.drain(..most.min(self.units.len())).flatten().collect();
        if kind == Kind::Inbox && taken.len() < BATCH {
            self.units = self.inbox.drain(..).map(|number| vec![number]).collect();
            let rest = (BATCH - taken.len()).min(self.units.len());
            taken.extend(self.units.drain(..rest).flatten());
        }
        self.version += u64::from(!taken.is_empty());
        taken
    }

    fn put(&mut self, kind: Kind, blocks: &[u32]) {
        match kind {
            Kind::Inbox if blocks.len() == 1 => self.inbox.push_front(blocks[0]),
            Kind::Depot => self.units.push_front(blocks.to_vec()),
            _ => blocks.iter().rev().for_each(|&number| self.units.push_front(vec![number])),
        }
        self.version += 1;
    }
}

/// What a thread must have counted.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    attempts: [u64; Op::ALL.len()],
    failures: [u64; Op::ALL.len()],
    aba: u64,
    kept: u64,
    wasted: u64,
    /// Operations that made attempts.
    operations: u64,
    /// Lock acquisitions, and try-locks that found it held.
    locks: [u64; 2],
}

impl Tally {
    fn read<L: FreeList + 'static>(scene: &Scene<L>, thread: usize) -> Tally {
        let c = scene.site(thread).counters;
        Tally {
            attempts: core::array::from_fn(|op| c.cas_attempts[op].get()),
            failures: core::array::from_fn(|op| c.cas_failures[op].get()),
            aba: c.aba_averted.get(),
            kept: c.walk_blocks_kept.get(),
            wasted: c.walk_blocks_wasted.get(),
            operations: c.cas_retries.counts().iter().sum(),
            locks: scene.locks(thread),
        }
    }
}

/// Thread 0's operation, while it goes on.
struct Current {
    op: Op,
    /// What it pushes; nothing for a pop.
    blocks: Vec<u32>,
    /// What it must have taken when it ends.
    taken: Vec<u32>,
    /// What its last attempt looked at.
    walked: Vec<u32>,
    seams: usize,
    /// Failures since its last success.
    beaten: u64,
}

struct Replay<L: FreeList> {
    scene: Scene<L>,
    state: RefCell<State>,
}

struct State {
    random: u64,
    model: Model,
    /// Blocks that are on no list.
    outside: Vec<u32>,
    current: Option<Current>,
    tallies: [Tally; 2],
}

impl State {
    /// SplitMix64, as in the conformance tests.
    fn below(&mut self, n: usize) -> usize {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    /// Up to a batch of blocks to push.
    fn some_blocks(&mut self) -> Vec<u32> {
        let most = BATCH.min(self.outside.len());
        let n = if most > 1 && self.below(2) == 0 { 2 + self.below(most - 1) } else { 1.min(most) };
        self.outside.split_off(self.outside.len() - n)
    }
}

impl<L: Counted> Replay<L> {
    fn run(seed: u64) {
        let state = State {
            random: seed,
            model: Model::default(),
            outside: (0..BLOCKS).collect(),
            current: None,
            tallies: [Tally::default(), Tally::default()],
        };
        let replay = Rc::new(Replay { scene: Scene::<L>::empty(), state: RefCell::new(state) });
        let at_seam = Rc::clone(&replay);
        script::always(Some(Rc::new(move || at_seam.seam())));
        for step in 0..STEPS {
            replay.operation();
            for thread in 0..2 {
                let (counted, expected) =
                    (Tally::read(&replay.scene, thread), &replay.state.borrow().tallies[thread]);
                assert_eq!(&counted, expected, "thread {thread}, seed {seed}, step {step}");
            }
        }
        script::always(None);
        let lost: u64 = replay.state.borrow().tallies[0].failures.iter().sum();
        assert!(L::KIND == Kind::Locked || lost > 10, "seed {seed}: hardly anything was beaten");
    }

    /// A random operation of thread 0.
    fn operation(&self) {
        let mut state = self.state.borrow_mut();
        let pushes = state.below(5) < 3;
        let blocks = if pushes { state.some_blocks() } else { Vec::new() };
        let op = match (blocks.len(), L::KIND) {
            (0, Kind::Single) => Op::Pop,
            (0, _) => Op::BatchPop,
            (1, _) => Op::Push,
            _ => Op::BatchPush,
        };
        let current = Current { op, blocks, taken: vec![], walked: vec![], seams: 0, beaten: 0 };
        let blocks = state.current.insert(current).blocks.clone();
        drop(state);
        let taken = match *blocks {
            [] => self.scene.pop(0, BATCH),
            [number] => {
                self.scene.push(0, number);
                vec![]
            }
            _ => {
                self.scene.push_batch(0, &blocks);
                vec![]
            }
        };
        let mut state = self.state.borrow_mut();
        let end = state.current.take().expect("it went on until now");
        assert_eq!(taken, end.taken);
        state.outside.extend(taken);
        // It was beaten, and then there was nothing left.
        let tally = &mut state.tallies[0];
        tally.operations += u64::from(end.beaten > 0);
        if matches!(L::KIND, Kind::Once | Kind::Hybrid) && end.beaten > 0 {
            tally.wasted += end.walked.len() as u64;
        }
    }

    /// Thread 0 has come to a seam: thread 1 does something, or not, and then thread 0 must succeed, or not.
    fn seam(&self) {
        let mut state = self.state.borrow_mut();
        let current = state.current.as_mut().expect("thread 1 has no hook");
        let (op, nth) = (current.op, current.seams);
        current.seams += 1;
        let batch = op != Op::Push;
        let (is_lock, held) = match L::KIND {
            Kind::Locked => (true, true),
            Kind::Inbox => (batch, batch),
            Kind::Hybrid => (batch && nth == 0, batch),
            Kind::Global => (nth == 1, nth >= 1),
            _ => (false, false),
        };
        let before = state.model.clone();
        drop(state);
        if self.state.borrow_mut().below(2) == 0 {
            self.interrupt(held);
        }
        let state = &mut *self.state.borrow_mut();
        if is_lock {
            state.tallies[0].locks[0] += 1;
            if matches!(L::KIND, Kind::Locked | Kind::Inbox) {
                succeed::<L>(state);
            }
        } else {
            attempt::<L>(state, op, &before);
        }
    }

    /// Thread 1 does something that it can do without waiting.
    fn interrupt(&self, held: bool) {
        let locked = matches!(L::KIND, Kind::Locked | Kind::Hybrid | Kind::Inbox);
        let choice = self.state.borrow_mut().below(5);
        match choice {
            0 if held && locked => {
                assert!(self.scene.pop_with(Patience::Try, 1, BATCH).is_empty());
                self.state.borrow_mut().tallies[1].locks[1] += 1;
            }
            // A single push needs the lock of one kind only, everything else that of all three.
            _ if held && L::KIND == Kind::Locked => {}
            1 => self.push(|state| state.outside.pop().into_iter().collect()),
            _ if held && locked => {}
            2 => self.push(State::some_blocks),
            3 => {
                let taken = self.pop();
                self.state.borrow_mut().outside.extend(taken);
            }
            // All but the first are kept: the top is what it was, and what is below is not.
            4 => {
                let mut taken = self.pop();
                if !taken.is_empty() {
                    let first = taken.remove(0);
                    self.state.borrow_mut().outside.extend(taken);
                    self.push(|_| vec![first]);
                }
            }
            _ => {}
        }
    }

    fn pop(&self) -> Vec<u32> {
        let taken = self.scene.pop(1, BATCH);
        let State { model, tallies: [_, tally], .. } = &mut *self.state.borrow_mut();
        tally.locks[0] += u64::from(matches!(L::KIND, Kind::Locked | Kind::Hybrid | Kind::Inbox));
        let mut expected = model.take(L::KIND);
        let mut successes = u64::from(!expected.is_empty());
        while L::KIND == Kind::Single && expected.len() < BATCH && !model.units.is_empty() {
            expected.extend(model.take(L::KIND));
            successes += 1;
        }
        assert_eq!(taken, expected);
        if !matches!(L::KIND, Kind::Locked | Kind::Inbox) {
            let op = if L::KIND == Kind::Single { Op::Pop } else { Op::BatchPop };
            tally.attempts[op as usize] += successes;
            tally.operations += successes;
            tally.kept += if L::KIND == Kind::Depot { 0 } else { taken.len() as u64 };
        }
        taken
    }

    fn push(&self, blocks: impl FnOnce(&mut State) -> Vec<u32>) {
        let blocks = blocks(&mut self.state.borrow_mut());
        let op = match *blocks {
            [] => return,
            [number] => {
                self.scene.push(1, number);
                Op::Push
            }
            _ => {
                self.scene.push_batch(1, &blocks);
                Op::BatchPush
            }
        };
        let State { model, tallies: [_, tally], .. } = &mut *self.state.borrow_mut();
        model.put(L::KIND, &blocks);
        let locked = match L::KIND {
            Kind::Locked => true,
            Kind::Hybrid | Kind::Inbox => op == Op::BatchPush,
            _ => false,
        };
        tally.locks[0] += u64::from(locked);
        if !locked || L::KIND == Kind::Hybrid {
            tally.attempts[op as usize] += 1;
            tally.operations += 1;
        }
    }
}

/// Thread 0's attempt at a CAS, on a list that was `before` when it looked and is `state.model` now.
fn attempt<L: Counted>(state: &mut State, op: Op, before: &Model) {
    let State { model, current: Some(current), tallies: [tally, _], .. } = state else { unreachable!() };
    let same_top = before.top(L::KIND) == model.top(L::KIND);
    let beaten = if L::KIND == Kind::Inbox { !same_top } else { before.version != model.version };
    let pops = matches!(op, Op::Pop | Op::BatchPop) && L::KIND != Kind::Depot;
    let walked = if pops { before.walk(L::KIND) } else { Vec::new() };
    tally.attempts[op as usize] += 1;
    tally.failures[op as usize] += u64::from(beaten);
    tally.aba += u64::from(beaten && same_top);
    if matches!(L::KIND, Kind::Once | Kind::Hybrid) {
        tally.wasted += current.walked.iter().filter(|block| !walked.contains(block)).count() as u64;
    } else if beaten {
        tally.wasted += walked.len() as u64;
    }
    tally.kept += if beaten { 0 } else { walked.len() as u64 };
    current.walked = walked;
    if beaten {
        current.beaten += 1;
    } else {
        tally.operations += 1;
        current.beaten = 0;
        succeed::<L>(state);
    }
}

/// Thread 0 changes the list.
fn succeed<L: Counted>(state: &mut State) {
    let State { model, current: Some(current), .. } = state else { unreachable!() };
    if current.blocks.is_empty() {
        current.taken.extend(model.take(L::KIND));
    } else {
        model.put(L::KIND, &current.blocks);
    }
}

fn replay<L: Counted>() {
    for seed in 0..SEEDS {
        Replay::<L>::run(seed);
    }
}

each_design!(self::replay);
