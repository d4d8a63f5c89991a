//! What the tests of the pages play on: a region, its pages, and threads that take turns on one real thread.

use core::cell::RefCell;
use std::rc::Rc;

use stormglass_telemetry::schema::CLASSES;
use stormglass_telemetry::{Op, ShardCounters, SlotCounters};

use super::record::Records;
use super::{Held, MidPages, Pages};
use crate::batch::{BATCH, Batch};
use crate::block::Block;
use crate::injection::Delay;
use crate::region::Region;
use crate::site::{ShardId, Tally};
use crate::size_class::Class;

/// A pool of one class without rings.
pub(super) struct Scene {
    pub(super) region: Region,
    pub(super) pages: MidPages,
    pub(super) class: Class,
}

impl Scene {
    /// The smallest region there is, for blocks of `bytes`.
    pub(super) fn of(bytes: usize) -> Rc<Scene> {
        let region = Region::reserve(0).expect("address space");
        let pages = Pages::new(Records::reserve(region.pages(), region.pages()).expect("address space"));
        let class = Class::of(bytes).expect("class");
        Rc::new(Scene { region, pages, class })
    }

    pub(super) fn thread(self: &Rc<Scene>) -> Rc<Thread> {
        Rc::new(Thread { scene: Rc::clone(self), held: RefCell::default(), counters: SlotCounters::zeroed() })
    }
}

/// A thread, with counters of its own.
pub(super) struct Thread {
    scene: Rc<Scene>,
    held: RefCell<Held<CLASSES>>,
    counters: Box<SlotCounters>,
}

impl Thread {
    fn tally(&self) -> Tally<'_> {
        Tally { counters: self.counts(), delay: Delay::NONE }
    }

    pub(super) fn counts(&self) -> &ShardCounters {
        self.counters.shard(self.scene.class.index(), 0)
    }

    /// CAS attempts and failures of `op`.
    pub(super) fn cas(&self, op: Op) -> [u64; 2] {
        [self.counts().cas_attempts[op as usize].get(), self.counts().cas_failures[op as usize].get()]
    }

    /// The numbers of a batch, in the order in which a ring would give them out.
    pub(super) fn refill(&self) -> Vec<u32> {
        let at = ShardId { class: self.scene.class, shard: 0 };
        let fresh = || self.scene.region.take_page(at);
        let mut batch = Batch::new();
        let held = &mut self.held.borrow_mut();
        self.scene.pages.refill(at.class.index(), held, &mut batch, self.tally(), fresh);
        let mut numbers: Vec<u32> = core::iter::from_fn(|| batch.pop().map(|block| block.number())).collect();
        numbers.reverse();
        numbers
    }

    pub(super) fn spill(&self, numbers: &[u32]) {
        for numbers in numbers.chunks(BATCH) {
            let mut batch = Batch::new();
            for &number in numbers {
                batch.push(Block::claim(number));
            }
            self.scene.pages.spill(self.scene.class.index(), &self.held.borrow(), batch, self.tally());
        }
    }

    /// Lets whole pages go but for `keep`; their numbers.
    pub(super) fn shed(&self, keep: u32) -> Vec<u32> {
        let mut left = Vec::new();
        self.scene.pages.shed(self.scene.class.index(), &self.held.borrow(), keep, |page| left.push(page));
        left
    }

    /// Lets all whole pages go, after a look at what others have freed; their numbers.
    pub(super) fn release(&self) -> Vec<u32> {
        let mut left = Vec::new();
        let leave = |page| left.push(page);
        self.scene.pages.release_held(self.scene.class.index(), &self.held.borrow(), self.tally(), leave);
        left
    }

    /// The thread ends; its counts can still be read.
    pub(super) fn end(&self) {
        self.scene.pages.retire(self.scene.class.index(), &mut self.held.borrow_mut(), self.tally());
    }
}
