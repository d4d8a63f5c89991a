//! `larson` and `larson-short`: the workload of `stormglass bench` ([`crate::workload`]), on C's functions.
//!
//! The one has threads that live as long as the run. In the other a thread hands its blocks to a successor after some
//! operations, and ends: what it had cached must come to whoever needs it.

use super::{SHAPE, Workload};
use crate::compare::memory::Memory;
use crate::shape::Shape;
use crate::workload::{Meter, Trouble, larson};

/// larson, by how long its threads live.
pub(super) struct Larson {
    name: &'static str,
    about: &'static str,
    rounds: usize,
}

pub(super) static STEADY: Larson =
    Larson { name: "larson", about: "threads that replace random blocks of 2-32 KiB", rounds: 0 };

pub(super) static SHORT: Larson = Larson {
    name: "larson-short",
    about: "the same, with threads that soon hand their blocks to a successor and end",
    rounds: 100,
};

impl Workload for Larson {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn shape(&self) -> Shape {
        Shape { min: 2 << 10, rounds: self.rounds, ..SHAPE }
    }

    fn threads(&self) -> &'static [usize] {
        &[1, 2, 4]
    }

    fn run(&self, memory: &Memory, shape: &Shape, meter: &mut dyn Meter) -> Result<u64, Trouble> {
        larson::run(memory, shape, meter)
    }
}
