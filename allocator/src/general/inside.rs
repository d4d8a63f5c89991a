//! `STORMGLASS_PERF=1`: hardware counters inside slow paths, each thread its own.
//!
//! What can be counted is found out when the segment is made, which must say it; from then on each thread opens its counters at its
//! next slow path. Invariant: a thread that has a heap borrowed does nothing for it but system calls.

use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use stormglass_telemetry::Inside;
use stormglass_telemetry::perf::{self, Event, Kernel, Mode, Sampler};

use super::errno;
use crate::misuse;

/// Not yet known.
const OPEN: u8 = 0;
/// Known; three bits say what is counted.
const KNOWN: u8 = 1;

static INSIDE: AtomicU8 = AtomicU8::new(OPEN);

/// Events that every machine counts, and whether they stand for those that take a PMU.
const SOFTWARE: [(Event, Mode); 3] =
    [(Event::TaskClock, Mode::User), (Event::PageFaults, Mode::User), (Event::Migrations, Mode::User)];
static BY_SOFTWARE: AtomicBool = AtomicBool::new(false);

/// Samples slow paths by software events in place of cycles, instructions and cache misses: what opens, reads and closes them is then
/// the same, and can be tested where there is no PMU. To be called before the first allocation.
pub(super) fn sample_software_events() {
    BY_SOFTWARE.store(true, Ordering::Relaxed);
}

/// Finds out what is counted, and remembers it for the threads. May allocate.
pub(super) fn decide(wanted: bool) -> Inside {
    if BY_SOFTWARE.load(Ordering::Relaxed) {
        let all = Inside { cycles: true, instructions: true, cache_misses: true };
        INSIDE.store(encode(all), Ordering::Relaxed);
        return all;
    }
    let inside = if wanted { perf::inside() } else { Inside::NONE };
    let first = INSIDE.swap(encode(inside), Ordering::Relaxed) == OPEN;
    if wanted
        && first
        && let Some(why) = perf::why_not_inside()
    {
        misuse::say(format_args!("STORMGLASS_PERF=1: slow paths are not counted: {why}"));
    }
    inside
}

/// Opens the calling thread's counters, once it is known which.
#[cold]
pub(super) fn settle(sampler: &mut Sampler) {
    // Relaxed: a preference; who sees it late opens late.
    if let Some(inside) = decode(INSIDE.load(Ordering::Relaxed)) {
        errno::kept(|| {
            if BY_SOFTWARE.load(Ordering::Relaxed) {
                sampler.start(&Kernel::here(), &SOFTWARE);
            } else {
                sampler.settle(inside);
            }
        });
    }
}

fn encode(inside: Inside) -> u8 {
    KNOWN
        | u8::from(inside.cycles) << 1
        | u8::from(inside.instructions) << 2
        | u8::from(inside.cache_misses) << 3
}

fn decode(bits: u8) -> Option<Inside> {
    let has = |bit: u8| bits & 1 << bit != 0;
    has(0).then_some(Inside { cycles: has(1), instructions: has(2), cache_misses: has(3) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_was_found() {
        assert_eq!(decode(OPEN), None);
        for bits in 0..8_u8 {
            let has = |bit: u8| bits & 1 << bit != 0;
            let inside = Inside { cycles: has(0), instructions: has(1), cache_misses: has(2) };
            assert_eq!(decode(encode(inside)), Some(inside));
        }
    }
}
