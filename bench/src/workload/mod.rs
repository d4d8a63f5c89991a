//! The workloads, one a file, and the one list that names them.
//!
//! Invariant: a workload sets itself up, starts the meter, works, stops the meter, and only then checks its answer:
//! neither set-up nor check is timed. A wrong answer is an error, never a fast result.

mod answer;
pub(crate) mod larson;
pub(crate) mod reach;
mod source;
mod storm;

use std::fmt;
use std::io;

use stormglass_allocator::{Class, Pool, PoolError};

pub(crate) use source::{Blocks, Source};

use crate::shape::Shape;

/// Every workload, in the order in which `watch` runs them.
pub static ALL: &[&dyn Workload] = &[&storm::Storm, &larson::Larson];

/// The workload of that name.
///
/// # Errors
/// If there is none; the sentence lists those that there are.
pub fn named(name: &str) -> Result<&'static dyn Workload, String> {
    among(ALL, Workload::name, name)
}

/// The one of that name among workloads of any kind, or a sentence that lists those that there are.
pub(crate) fn among<W: ?Sized>(
    all: &[&'static W],
    name_of: fn(&W) -> &'static str,
    name: &str,
) -> Result<&'static W, String> {
    all.iter().copied().find(|w| name_of(w) == name).ok_or_else(|| {
        let known: Vec<_> = all.iter().map(|w| name_of(w)).collect();
        format!("there is no workload `{name}`; the workloads are {}", known.join(", "))
    })
}

/// Something that allocates and frees as fast as it can.
pub trait Workload: Sync {
    /// Its name on the command line and in the report.
    fn name(&self) -> &'static str;

    /// What it does, in half a sentence.
    fn about(&self) -> &'static str;

    /// Its shape where the user says nothing.
    fn shape(&self) -> Shape;

    /// The home shard that all its threads share, if they do.
    fn home(&self) -> Option<usize> {
        None
    }

    /// Whether it can ever touch this shard's list; `true` where nobody can know beforehand.
    fn touches(&self, shape: &Shape, class: Class, shard: usize) -> bool;

    /// Whether it can run in this shape.
    ///
    /// # Errors
    /// A sentence that names the value, its limits and the option.
    fn check(&self, shape: &Shape) -> Result<(), String> {
        shape.check()
    }

    /// Runs for `shape.seconds` and returns the number of allocations between the meter's start and stop. At the
    /// end every block has been given back to `pool`.
    ///
    /// # Errors
    /// If memory or threads ran out, or its answer was wrong.
    fn run(&self, pool: &Pool, shape: &Shape, meter: &mut dyn Meter) -> Result<u64, Trouble>;
}

impl fmt::Debug for dyn Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Takes the time and the counts of the part between `start` and `stop`.
pub trait Meter {
    /// The work begins.
    fn start(&mut self);
    /// The work is over.
    fn stop(&mut self);
}

/// Why a workload has no result.
#[derive(Debug)]
pub enum Trouble {
    /// An allocation failed.
    Memory {
        /// Bytes asked for.
        size: usize,
    },
    /// A thread got no heap.
    Heap(PoolError),
    /// A thread could not be started.
    Thread(io::Error),
    /// A process that a workload is made of failed: why.
    Process(String),
    /// A thread ended in a panic.
    Panic,
    /// The allocator's answer was wrong: what, in a sentence.
    Answer(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Memory { size } => write!(
                f,
                "an allocation of {size} bytes failed: memory or the pool's region is used up; take fewer threads or \
                 chunks"
            ),
            Trouble::Heap(error) => error.fmt(f),
            Trouble::Thread(error) => {
                write!(f, "a thread could not be started ({error}): take fewer threads")
            }
            Trouble::Process(why) => write!(f, "a short process failed: {why}"),
            Trouble::Panic => f.write_str("a thread of the workload panicked; this is a bug"),
            Trouble::Answer(what) => write!(f, "the allocator's answer was wrong: {what}"),
        }
    }
}

impl std::error::Error for Trouble {}

/// A value on cache lines of its own, so that its neighbours' writes do not disturb its readers. 128 bytes, because
/// processors fetch lines in pairs.
#[repr(align(128))]
#[derive(Debug)]
pub(crate) struct OwnLine<T>(pub(crate) T);

#[cfg(test)]
mod tests {
    use super::*;
    use stormglass_allocator::{PoolConfig, StrategyId};
    use stormglass_telemetry::Writer;

    #[derive(Default)]
    struct Calls(Vec<&'static str>);

    impl Meter for Calls {
        fn start(&mut self) {
            self.0.push("start");
        }

        fn stop(&mut self) {
            self.0.push("stop");
        }
    }

    #[test]
    fn every_workload_runs_under_every_design_in_a_small_shape() {
        for workload in ALL {
            for &strategy in StrategyId::ALL {
                let config = PoolConfig { strategy, home: workload.home(), ..PoolConfig::default() };
                let pool = Pool::new(config, Writer::detached()).expect("a pool");
                let shape = Shape { seconds: 0.02, chunks: 50, rounds: 3, threads: 3, ..workload.shape() };
                let mut calls = Calls::default();
                let operations = workload
                    .run(&pool, &shape, &mut calls)
                    .unwrap_or_else(|e| panic!("{} under {strategy}: {e}", workload.name()));
                assert!(operations > 0, "{} under {strategy}", workload.name());
                assert_eq!(calls.0, ["start", "stop"]);
            }
        }
    }

    #[test]
    fn defaults_pass_their_own_check_and_names_are_found() {
        for workload in ALL {
            workload.check(&workload.shape()).expect("a default that is allowed");
            assert_eq!(named(workload.name()).expect("a listed name").name(), workload.name());
        }
        let error = named("lorson").expect_err("no such workload");
        assert_eq!(error, "there is no workload `lorson`; the workloads are storm, larson");
    }
}
