//! `web`: what a web service asks of its allocator, as a trace that is made up as it goes.
//!
//! ```text
//! a request:  8-23 header strings; one in four a body, a buffer that doubles by realloc to 1-32 KiB; 16-127 nodes of a parsed
//!             document; a response of 4-64 KiB.  All of that is freed when it is answered, half of the time in the order in
//!             which it came, else backwards.
//! beside it:  one in four requests puts an entry into a cache that all threads share, and frees the entry that was there;
//!             one block in 64 outlives its request, in a session of its thread, until another takes its place.
//! ```
//!
//! The numbers are round and stand for nobody's service: bursts, a lifetime that most blocks share, a few that mix with them and
//! stay, and entries that another thread frees.

use std::sync::{Mutex, PoisonError};

use super::crew::{Bell, crew};
use super::{SHAPE, Workload, sizes};
use crate::compare::memory::{Block, Memory};
use crate::random::Random;
use crate::shape::Shape;
use crate::workload::{Meter, Trouble};

/// Blocks of a request at most: headers, body, nodes, response.
const MOST: usize = 23 + 1 + 127 + 1;

pub(super) struct Web;

impl Workload for Web {
    fn name(&self) -> &'static str {
        "web"
    }

    fn about(&self) -> &'static str {
        "requests: bursts of mixed sizes that end together, some survivors, a shared cache"
    }

    fn shape(&self) -> Shape {
        // `chunks` is entries of the cache and, each thread, of the session; `max` is the largest entry.
        Shape { chunks: 2000, max: 16 << 10, ..SHAPE }
    }

    fn threads(&self) -> &'static [usize] {
        &[1, 2, 4]
    }

    fn run(&self, memory: &Memory, shape: &Shape, meter: &mut dyn Meter) -> Result<u64, Trouble> {
        let cache: Vec<Entry> = (0..shape.chunks).map(|_| Mutex::new(None)).collect();
        let prepare = |number: usize| {
            let session = (0..shape.chunks).map(|_| None).collect();
            let random = Random::new(shape.seed, number as u64);
            Ok(Worker { memory, shape, random, session, request: Vec::with_capacity(MOST), counted: 0 })
        };
        let crew = crew(shape, meter, prepare, |worker, bell| worker.serve(&cache, bell))?;
        let operations = crew.iter().map(|(_, counted)| counted).sum();
        let cached =
            cache.into_iter().map(|entry| entry.into_inner().unwrap_or_else(PoisonError::into_inner));
        let sessions = crew.into_iter().flat_map(|(worker, _)| worker.session);
        for item in sessions.chain(cached).flatten() {
            item.end(memory)?;
        }
        Ok(operations)
    }
}

type Entry = Mutex<Option<Item>>;

/// A block and the mark in it.
struct Item {
    block: Block,
    mark: u64,
}

impl Item {
    #[inline]
    fn end(self, memory: &Memory) -> Result<(), Trouble> {
        self.block.check(self.mark)?;
        memory.free(self.block);
        Ok(())
    }
}

struct Worker<'w> {
    memory: &'w Memory,
    shape: &'w Shape,
    random: Random,
    session: Vec<Option<Item>>,
    /// The blocks of the request; empty between two.
    request: Vec<Item>,
    counted: u64,
}

impl Worker<'_> {
    fn serve(&mut self, cache: &[Entry], bell: &Bell) -> Result<u64, Trouble> {
        while !bell.rang() {
            self.parse()?;
            self.respond()?;
            if self.random.below(4) == 0 {
                self.remember(cache)?;
            }
            self.finish()?;
        }
        Ok(self.counted)
    }

    fn item(&mut self, size: usize) -> Result<Item, Trouble> {
        let mark = self.random.next_u64();
        let mut block = self.memory.alloc(size)?;
        block.mark(mark);
        self.counted += 1;
        Ok(Item { block, mark })
    }

    fn parse(&mut self) -> Result<(), Trouble> {
        for _ in 0..8 + self.random.below(16) {
            let header = sizes::power_law(&mut self.random, 16, 256);
            let item = self.item(header)?;
            self.request.push(item);
        }
        if self.random.below(4) == 0 {
            let body = self.body()?;
            self.request.push(body);
        }
        for _ in 0..16 + self.random.below(112) {
            let node = sizes::power_law(&mut self.random, 16, 512);
            let item = self.item(node)?;
            self.request.push(item);
        }
        Ok(())
    }

    /// A buffer that doubles while it is read into.
    fn body(&mut self) -> Result<Item, Trouble> {
        let size = sizes::even(&mut self.random, 1 << 10, 32 << 10);
        let mut item = self.item(1 << 10)?;
        while item.block.size() < size {
            let before = item.block.size();
            item.block = self.memory.resize(item.block, before * 2)?;
            if item.block.begins() != item.mark || item.block.ends(before) != item.mark {
                return Err(item.block.overwritten());
            }
            item.block.mark(item.mark);
            self.counted += 1;
        }
        Ok(item)
    }

    fn respond(&mut self) -> Result<(), Trouble> {
        let size = sizes::even(&mut self.random, 4 << 10, 64 << 10);
        let response = self.item(size)?;
        self.request.push(response);
        Ok(())
    }

    fn remember(&mut self, cache: &[Entry]) -> Result<(), Trouble> {
        let size =
            sizes::power_law(&mut self.random, self.shape.min.max(64).min(self.shape.max), self.shape.max);
        let item = self.item(size)?;
        let entry = &cache[self.random.below(cache.len() as u32) as usize];
        let old = entry.lock().unwrap_or_else(PoisonError::into_inner).replace(item);
        old.map_or(Ok(()), |old| old.end(self.memory))
    }

    /// Frees what does not stay.
    fn finish(&mut self) -> Result<(), Trouble> {
        let mut request = std::mem::take(&mut self.request);
        let ended = if self.random.below(2) == 0 {
            request.drain(..).try_for_each(|item| self.part(item))
        } else {
            request.drain(..).rev().try_for_each(|item| self.part(item))
        };
        // The room of the vector is kept for the next request.
        self.request = request;
        ended
    }

    #[inline]
    fn part(&mut self, item: Item) -> Result<(), Trouble> {
        if self.random.below(64) != 0 {
            return item.end(self.memory);
        }
        let at = self.random.below(self.session.len() as u32) as usize;
        let old = self.session[at].replace(item);
        old.map_or(Ok(()), |old| old.end(self.memory))
    }
}
