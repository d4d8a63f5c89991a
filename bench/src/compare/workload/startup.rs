//! `startup`: a program that allocates and ends, as compilers and command-line tools do, again and again. What counts is the
//! whole process: loading the library, the allocator's own start, first touches, and the end.
//!
//! ```text
//! the measured process:  until the time is over { start a short process, wait for its end }
//! a short process:       allocate `chunks` blocks, 16 B - 4 KiB, mark and check them, end; nothing is freed
//! ```

use std::env;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{SHAPE, Workload, sizes};
use crate::child::blame;
use crate::compare::c::Whose;
use crate::compare::memory::Memory;
use crate::random::Random;
use crate::shape::Shape;
use crate::workload::{Meter, Trouble};

/// The option, beside those of the measured process, that makes a process a short one.
pub(in super::super) const ALONE: &str = "--alone";

pub(in super::super) struct Startup;

impl Workload for Startup {
    fn name(&self) -> &'static str {
        "startup"
    }

    fn about(&self) -> &'static str {
        "whole short processes that allocate, free nothing and end"
    }

    fn shape(&self) -> Shape {
        Shape { chunks: 50_000, max: 4 << 10, ..SHAPE }
    }

    fn threads(&self) -> &'static [usize] {
        &[1]
    }

    fn whose(&self) -> Whose {
        Whose::Children
    }

    fn run(&self, _: &Memory, shape: &Shape, meter: &mut dyn Meter) -> Result<u64, Trouble> {
        let program = env::current_exe().map_err(|e| Trouble::Process(e.to_string()))?;
        let short = || {
            // With this process's own arguments and environment, so under the same library.
            let ended = Command::new(&program)
                .args(env::args_os().skip(1))
                .arg(ALONE)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .output()
                .map_err(|e| Trouble::Process(e.to_string()))?;
            if ended.status.success() {
                return Ok(());
            }
            Err(Trouble::Process(blame(ended.status, &String::from_utf8_lossy(&ended.stderr))))
        };
        // The first one warms the caches of the kernel, for every contender.
        short()?;
        let mut operations = 0;
        meter.start();
        let deadline = Instant::now() + Duration::from_secs_f64(shape.seconds);
        let mut ended = Ok(());
        while ended.is_ok() && Instant::now() < deadline {
            ended = short();
            operations += shape.chunks as u64;
        }
        meter.stop();
        ended.map(|()| operations)
    }
}

/// What a short process does.
///
/// # Errors
/// If memory ran out, or the allocator's answer was wrong.
pub(in super::super) fn alone(memory: &Memory, shape: &Shape) -> Result<(), Trouble> {
    let mut random = Random::new(shape.seed, 0);
    let mut blocks = Vec::with_capacity(shape.chunks);
    for at in 0..shape.chunks as u64 {
        let mut block = memory.alloc(sizes::power_law(&mut random, shape.min, shape.max))?;
        block.mark(at);
        blocks.push(block);
    }
    (0..).zip(&blocks).try_for_each(|(at, block)| block.check(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::memory::broken;

    #[test]
    fn a_short_process_checks_its_blocks() {
        let shape = Shape { chunks: 100, ..Startup.shape() };
        alone(&Memory::of_this_process(), &shape).expect("a right answer");
        let error = alone(&broken::hands_out_twice(), &shape).expect_err("handed out twice");
        assert!(matches!(error, Trouble::Answer(_)));
    }
}
