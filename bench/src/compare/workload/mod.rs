//! The workloads of a comparison, one a file, and the one list that names them.
//!
//! Invariant: all their blocks come from the [`Memory`] they are given, through C's functions; what a workload needs for
//! itself in its timed part is there before, as far as that can be. Every block is marked when it is allocated and checked
//! before it is freed: an overwritten one is an error, never a fast result.

mod churn;
mod crew;
mod large;
mod larson;
mod mstress;
mod sizes;
pub(super) mod startup;
mod web;
mod xmalloc;

use std::fmt;

use super::c::Whose;
use super::memory::{Memory, SMALLEST};
use crate::shape::Shape;
use crate::workload::{Meter, Trouble, among};

/// Every workload, in the order in which they run.
pub static ALL: &[&dyn Workload] = &[
    &larson::STEADY,
    &larson::SHORT,
    &xmalloc::Xmalloc,
    &mstress::Mstress,
    &churn::Churn,
    &large::Large,
    &web::Web,
    &startup::Startup,
];

/// The workload of that name.
///
/// # Errors
/// If there is none; the sentence lists those that there are.
pub fn named(name: &str) -> Result<&'static dyn Workload, String> {
    among(ALL, Workload::name, name)
}

/// Something that allocates and frees as programs do.
pub trait Workload: Sync {
    /// Its name on the command line and in the report.
    fn name(&self) -> &'static str;

    /// What it does, in half a sentence.
    fn about(&self) -> &'static str;

    /// Its shape where the user says nothing; its number of threads is the least of [`Workload::threads`].
    fn shape(&self) -> Shape;

    /// The numbers of threads with which it runs.
    fn threads(&self) -> &'static [usize];

    /// Largest size that a block may have, in bytes.
    fn largest(&self) -> usize {
        32 << 10
    }

    /// Whether blocks only ever go from the threads that allocate to those that free. An allocator that cannot bring them
    /// back, as `limit`, is then of no use.
    fn one_way(&self) -> bool {
        false
    }

    /// Whose use of memory is measured.
    fn whose(&self) -> Whose {
        Whose::Own
    }

    /// Whether it can run in this shape.
    ///
    /// # Errors
    /// A sentence that names the value, its limits and the option.
    fn check(&self, shape: &Shape) -> Result<(), String> {
        shape.check_limits(self.largest())?;
        let (name, least) = (self.name(), self.shape().threads);
        if shape.threads < least {
            return Err(format!(
                "--threads {} is too few for {name}: it takes at least {least}",
                shape.threads
            ));
        }
        if shape.min < SMALLEST {
            return Err(format!(
                "--min {} is out of range: every block is marked, which takes {SMALLEST} bytes",
                shape.min
            ));
        }
        Ok(())
    }

    /// Runs for `shape.seconds` and returns the number of allocations between the meter's start and stop.
    ///
    /// # Errors
    /// If memory or threads ran out, or the allocator's answer was wrong.
    fn run(&self, memory: &Memory, shape: &Shape, meter: &mut dyn Meter) -> Result<u64, Trouble>;
}

impl fmt::Debug for dyn Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The shape that most workloads change a little.
const SHAPE: Shape =
    Shape { threads: 1, seconds: 0.4, min: 16, max: 32 << 10, chunks: 1000, rounds: 0, seed: 42 };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::limit;
    use crate::compare::memory::broken;

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

    /// Those that run within this process.
    fn here() -> impl Iterator<Item = &'static dyn Workload> {
        ALL.iter().copied().filter(|w| w.whose() == Whose::Own)
    }

    fn small(workload: &dyn Workload, threads: usize) -> Shape {
        let rounds = workload.shape().rounds.min(3);
        Shape { threads, seconds: 0.03, chunks: 40, rounds, ..workload.shape() }
    }

    #[test]
    fn every_workload_runs_and_its_answer_is_right() {
        for workload in here() {
            for memory in [Memory::of_this_process(), limit::open().expect("address space")] {
                for threads in [workload.shape().threads, 3] {
                    // On a busy machine the time may be over before any thread has had its turn: then longer.
                    let done = [0.03, 0.5, 10.0].into_iter().any(|seconds| {
                        let mut calls = Calls::default();
                        let shape = Shape { seconds, ..small(workload, threads) };
                        let operations = workload
                            .run(&memory, &shape, &mut calls)
                            .unwrap_or_else(|e| panic!("{}, {threads} threads: {e}", workload.name()));
                        assert_eq!(calls.0, ["start", "stop"], "{}", workload.name());
                        operations > 0
                    });
                    assert!(done, "{}, {threads} threads", workload.name());
                }
            }
        }
    }

    #[test]
    fn an_allocator_that_hands_a_block_out_twice_is_found_by_every_workload() {
        for workload in here() {
            let shape = small(workload, workload.shape().threads);
            let result = workload.run(&broken::hands_out_twice(), &shape, &mut Calls::default());
            assert!(matches!(result, Err(Trouble::Answer(_))), "{}: {result:?}", workload.name());
        }
    }

    #[test]
    fn defaults_pass_their_own_check_and_names_are_found() {
        for workload in ALL {
            for &threads in workload.threads() {
                workload.check(&Shape { threads, ..workload.shape() }).expect("a default that is allowed");
            }
            assert_eq!(workload.threads()[0], workload.shape().threads);
            assert_eq!(named(workload.name()).expect("a listed name").name(), workload.name());
        }
        let error = named("lorson").expect_err("no such workload");
        assert!(
            error.starts_with(
                "there is no workload `lorson`; the workloads are larson, larson-short, xmalloc"
            )
        );
        let xmalloc = named("xmalloc").expect("listed");
        let error = xmalloc.check(&Shape { threads: 1, ..xmalloc.shape() }).expect_err("one way");
        assert_eq!(error, "--threads 1 is too few for xmalloc: it takes at least 2");
    }
}
