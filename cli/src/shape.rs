//! The options that say what shape a load has, for every command that runs one.
//!
//! Invariant: an option that a parent and its child, or two commands, have in common is said once.

use clap::Args as Group;
use stormglass_bench::{Shape, SizeWishes};

/// What a user may ask of a load; the workload has the rest.
#[derive(Debug, Group)]
pub(crate) struct SizeArgs {
    /// Smallest size in bytes [default: the workload's own, of larson 2048]
    #[arg(long, value_name = "BYTES")]
    min: Option<usize>,
    /// Largest size in bytes; of larson, sizes are below it [default: the workload's own, of larson 32768]
    #[arg(long, value_name = "BYTES")]
    max: Option<usize>,
    /// Blocks that each thread holds; of storm on average, of mstress trees, of web entries, of startup blocks in all [default:
    /// the workload's own, of storm 1024, of larson 1000]
    #[arg(long, value_name = "N")]
    chunks: Option<usize>,
    /// larson: a thread hands over to a new one after this many times its chunks in operations, 0 for never [default: 100]
    #[arg(long, value_name = "ROUNDS")]
    life: Option<usize>,
    /// Seed of the random numbers [default: 42]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl SizeArgs {
    pub(crate) fn wishes(&self) -> SizeWishes {
        SizeWishes { min: self.min, max: self.max, chunks: self.chunks, life: self.life, seed: self.seed }
    }
}

/// A whole shape, as a parent tells it to the child that measures.
#[derive(Debug, Group)]
pub(crate) struct ShapeArgs {
    #[arg(long)]
    threads: usize,
    #[arg(long)]
    seconds: f64,
    #[arg(long)]
    min: usize,
    #[arg(long)]
    max: usize,
    #[arg(long)]
    chunks: usize,
    #[arg(long)]
    life: usize,
    #[arg(long)]
    seed: u64,
}

impl ShapeArgs {
    pub(crate) fn shape(&self) -> Shape {
        Shape {
            threads: self.threads,
            seconds: self.seconds,
            min: self.min,
            max: self.max,
            chunks: self.chunks,
            rounds: self.life,
            seed: self.seed,
        }
    }
}
