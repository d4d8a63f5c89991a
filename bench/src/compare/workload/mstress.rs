//! `mstress`: trees of random sizes that threads build, hand to one another and fell, after the stress test of mimalloc and
//! `mstress` of its benchmarks.
//!
//! ```text
//! a thread's life:  LIFE times { build a tree; lay it into a random place that all share, and take what lay there;
//!                                fell that, or one in four times keep it and fell one kept earlier }
//! ```
//!
//! Then the thread ends, and another takes up its number: what it kept goes on to that one. So trees are built by one thread and
//! felled by another, live long or short, and outlive the thread that built them. A tree's nodes are allocated from the root
//! down and freed from the leaves up.

use std::sync::{Mutex, PoisonError};
use std::thread;

use super::crew::{Bell, crew};
use super::{SHAPE, Workload, sizes};
use crate::compare::memory::{Block, Memory};
use crate::random::Random;
use crate::shape::Shape;
use crate::workload::{Meter, OwnLine, Trouble};

/// Trees that a thread builds in its life.
const LIFE: usize = 500;
/// Depth of a tree, and the most children of a node.
const DEPTH: u32 = 4;
const CHILDREN: u32 = 4;
/// Nodes of a tree at most; the places for them are there beforehand.
const NODES: usize = 64;

pub(super) struct Mstress;

impl Workload for Mstress {
    fn name(&self) -> &'static str {
        "mstress"
    }

    fn about(&self) -> &'static str {
        "short-lived threads that hand trees of blocks to one another"
    }

    fn shape(&self) -> Shape {
        Shape { chunks: 100, max: 8 << 10, ..SHAPE }
    }

    fn threads(&self) -> &'static [usize] {
        &[1, 2, 4]
    }

    fn run(&self, memory: &Memory, shape: &Shape, meter: &mut dyn Meter) -> Result<u64, Trouble> {
        let places: Vec<Place> = (0..shape.chunks).map(|_| OwnLine(Mutex::new(Tree::bare()))).collect();
        let prepare = |number: usize| {
            let kept = (0..shape.chunks).map(|_| Tree::bare()).collect();
            Ok(Seat { random: Random::new(shape.seed, number as u64), spare: Tree::bare(), kept, built: 0 })
        };
        let work = |seat: &mut Seat, bell: &Bell| {
            let before = seat.built;
            while !bell.rang() {
                generation(memory, shape, &places, seat, bell)?;
            }
            Ok(seat.built - before)
        };
        let crew = crew(shape, meter, prepare, work)?;
        let operations = crew.iter().map(|(_, counted)| counted).sum();
        let lying =
            places.into_iter().map(|place| place.0.into_inner().unwrap_or_else(PoisonError::into_inner));
        for mut tree in crew.into_iter().flat_map(|(seat, _)| seat.kept).chain(lying) {
            tree.fell(memory)?;
        }
        Ok(operations)
    }
}

type Place = OwnLine<Mutex<Tree>>;

/// A tree: its nodes from the root down. The vector is made once and used again, so that it is not what is measured.
struct Tree {
    mark: u64,
    nodes: Vec<Block>,
}

/// What a thread leaves to the next of its number.
struct Seat {
    random: Random,
    /// Without nodes: the next tree is built here.
    spare: Tree,
    kept: Vec<Tree>,
    /// Nodes so far.
    built: u64,
}

/// A thread's whole life, on a thread of its own.
fn generation(
    memory: &Memory,
    shape: &Shape,
    places: &[Place],
    seat: &mut Seat,
    bell: &Bell,
) -> Result<(), Trouble> {
    thread::scope(|scope| {
        let life = || live(memory, shape, places, seat, bell);
        let thread = thread::Builder::new().spawn_scoped(scope, life).map_err(Trouble::Thread)?;
        thread.join().unwrap_or(Err(Trouble::Panic))
    })
}

fn live(
    memory: &Memory,
    shape: &Shape,
    places: &[Place],
    seat: &mut Seat,
    bell: &Bell,
) -> Result<(), Trouble> {
    for _ in 0..LIFE {
        if bell.rang() {
            break;
        }
        seat.spare.build(memory, shape, &mut seat.random)?;
        seat.built += seat.spare.nodes.len() as u64;
        let place = &places[seat.random.below(places.len() as u32) as usize];
        std::mem::swap(&mut seat.spare, &mut *place.0.lock().unwrap_or_else(PoisonError::into_inner));
        if seat.random.below(4) == 0 {
            let at = seat.random.below(seat.kept.len() as u32) as usize;
            std::mem::swap(&mut seat.spare, &mut seat.kept[at]);
        }
        seat.spare.fell(memory)?;
    }
    Ok(())
}

impl Tree {
    fn bare() -> Tree {
        Tree { mark: 0, nodes: Vec::with_capacity(NODES) }
    }

    fn build(&mut self, memory: &Memory, shape: &Shape, random: &mut Random) -> Result<(), Trouble> {
        self.mark = random.next_u64();
        self.grow(memory, shape, random, DEPTH)
    }

    /// A node and those below it.
    fn grow(
        &mut self,
        memory: &Memory,
        shape: &Shape,
        random: &mut Random,
        depth: u32,
    ) -> Result<(), Trouble> {
        if self.nodes.len() == NODES {
            return Ok(());
        }
        let mut node = memory.alloc(sizes::power_law(random, shape.min, shape.max))?;
        node.mark(self.mark ^ self.nodes.len() as u64);
        self.nodes.push(node);
        if depth > 0 {
            for _ in 0..random.below(CHILDREN + 1) {
                self.grow(memory, shape, random, depth - 1)?;
            }
        }
        Ok(())
    }

    /// Checks and frees every node, leaves first.
    fn fell(&mut self, memory: &Memory) -> Result<(), Trouble> {
        while let Some(node) = self.nodes.pop() {
            node.check(self.mark ^ self.nodes.len() as u64)?;
            memory.free(node);
        }
        Ok(())
    }
}
