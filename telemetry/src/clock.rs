//! Time for the slow path: processor ticks, turned into nanoseconds by one multiplication.
//!
//! A `clock_gettime` on both sides of a lock would cost as much as the work that it times; a tick counter costs
//! a third of that. Where the processor does not promise that its counter runs at one rate, ticks are the nanoseconds of
//! `CLOCK_MONOTONIC` all the same: dear rather than wrong. Invariants: `nanoseconds` never panics and is monotone in its
//! argument, and a span is never negative: a counter that is a tick behind on another core makes it 0, not 584 years.

#[cfg(target_arch = "x86_64")]
use core::sync::atomic::{AtomicBool, Ordering};

use crate::cell::COUNTING;

/// Turns differences of [`ticks`] into nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Nanoseconds a tick, times 2^32.
    scale: u64,
}

impl Clock {
    /// Measures the tick rate against `CLOCK_MONOTONIC`; takes about 10 microseconds where the processor does
    /// not say its rate.
    #[must_use]
    pub fn calibrate() -> Clock {
        Clock { scale: scale() }
    }

    /// The length of a span of `ticks`, in nanoseconds.
    #[inline]
    pub fn nanoseconds(self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.scale)) >> 32) as u64
    }

    /// The length of the span from `start` to `end`, both from [`ticks`], in nanoseconds.
    #[inline]
    pub fn between(self, start: u64, end: u64) -> u64 {
        self.nanoseconds(end.saturating_sub(start))
    }

    /// The time since `start`, which is from [`stamp`], in nanoseconds.
    #[inline]
    pub fn since(self, start: u64) -> u64 {
        self.between(start, stamp())
    }

    /// The shortest span of ticks that is at least so many nanoseconds long; none if ticks have no length.
    pub fn ticks_of(self, nanoseconds: u64) -> Option<u64> {
        let scale = u128::from(self.scale);
        (scale > 0).then(|| (u128::from(nanoseconds) << 32).div_ceil(scale).try_into().unwrap_or(u64::MAX))
    }
}

/// [`ticks`] at an end of a span that is only counted: 0, without a look at the clock, in a build that counts nothing.
#[inline]
pub fn stamp() -> u64 {
    if COUNTING { ticks() } else { 0 }
}

/// Nanoseconds of `CLOCK_MONOTONIC`, which all processes of the machine share.
pub fn monotonic() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Nanoseconds of processor time that this process has taken, over all its threads.
pub fn process_time() -> u64 {
    let taken = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    taken.tv_sec as u64 * 1_000_000_000 + taken.tv_nsec as u64
}

#[cfg(target_arch = "x86_64")]
fn invariant() -> bool {
    use core::arch::x86_64::__cpuid;
    // Leaf 0x8000_0007, EDX bit 8: the counter runs at one rate in all power states (AMD APM vol. 3, Intel SDM
    // vol. 3 "Invariant TSC").
    __cpuid(0x8000_0000).eax >= 0x8000_0007 && __cpuid(0x8000_0007).edx & (1 << 8) != 0
}

/// Whether [`ticks`] has to ask the kernel; found out by the first [`Clock`], before any tick is turned into time.
#[cfg(target_arch = "x86_64")]
static UNSTEADY: AtomicBool = AtomicBool::new(false);

/// The tick counter now. Only differences on one thread mean anything.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn ticks() -> u64 {
    // Relaxed: a fact of the machine, which publishes nothing.
    counter(UNSTEADY.load(Ordering::Relaxed))
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn counter(unsteady: bool) -> u64 {
    if unsteady {
        return monotonic();
    }
    // SAFETY: RDTSC exists on every x86-64 processor and touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "x86_64")]
fn scale() -> u64 {
    let unsteady = !invariant();
    UNSTEADY.store(unsteady, Ordering::Relaxed);
    scale_of(unsteady)
}

#[cfg(target_arch = "x86_64")]
fn scale_of(unsteady: bool) -> u64 {
    if unsteady {
        return 1 << 32;
    }
    let start = reading();
    let mut end = reading();
    while end.nanoseconds - start.nanoseconds < SPAN {
        end = reading();
    }
    let ticks = end.ticks.saturating_sub(start.ticks).max(1);
    ((u128::from(end.nanoseconds - start.nanoseconds) << 32) / u128::from(ticks)) as u64
}

/// Nanoseconds over which the tick rate is measured. Every process waits for them as it starts; two readings are off by some 20 each, so the
/// rate is right to half a per cent, and durations are counted in buckets that are much wider.
#[cfg(target_arch = "x86_64")]
const SPAN: u64 = 10_000;

/// Both clocks at one time, about.
#[cfg(target_arch = "x86_64")]
struct Reading {
    ticks: u64,
    nanoseconds: u64,
}

/// The closest of a few readings: an interrupt between the two clocks would pass for time.
#[cfg(target_arch = "x86_64")]
fn reading() -> Reading {
    let once = || {
        let before = counter(false);
        let nanoseconds = monotonic();
        (counter(false).saturating_sub(before), Reading { ticks: before, nanoseconds })
    };
    let closer = |a: (u64, Reading), b: (u64, Reading)| if b.0 < a.0 { b } else { a };
    closer(closer(once(), once()), once()).1
}

/// The tick counter now. Only differences on one thread mean anything.
#[cfg(target_arch = "aarch64")]
#[inline]
pub fn ticks() -> u64 {
    let value: u64;
    // SAFETY: CNTVCT_EL0 is readable from user space under Linux, and the instruction touches no memory.
    unsafe { core::arch::asm!("mrs {}, cntvct_el0", out(reg) value, options(nomem, nostack)) };
    value
}

#[cfg(target_arch = "aarch64")]
fn scale() -> u64 {
    let hertz: u64;
    // SAFETY: CNTFRQ_EL0 is readable from user space under Linux, and the instruction touches no memory.
    unsafe { core::arch::asm!("mrs {}, cntfrq_el0", out(reg) hertz, options(nomem, nostack)) };
    ((1_000_000_000_u128 << 32) / u128::from(hertz.max(1))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_monotone_and_does_not_overflow() {
        let clock = Clock { scale: 1 << 32 };
        assert_eq!(clock.nanoseconds(17), 17);
        assert_eq!(clock.nanoseconds(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_counter_that_falls_back_makes_a_span_of_nothing() {
        let clock = Clock::calibrate();
        assert_eq!(clock.between(1000, 999), 0);
        assert_eq!(clock.since(u64::MAX), 0);
        assert!(clock.since(0) > 0);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn without_a_steady_counter_time_passes_all_the_same() {
        let clock = Clock { scale: scale_of(true) };
        let (start, before) = (counter(true), monotonic());
        while monotonic() == before {}
        let least = monotonic() - before;
        assert!(clock.between(start, counter(true)) >= least);
        assert_eq!(clock.ticks_of(500), Some(500));
    }

    #[test]
    fn ticks_are_enough_and_not_one_too_many() {
        for scale in [1, 7, (1 << 32) / 3, 1 << 32, 40 << 32] {
            let clock = Clock { scale };
            for nanoseconds in [1, 500, 10_000_000] {
                let ticks = clock.ticks_of(nanoseconds).expect("a steady counter");
                assert!(clock.nanoseconds(ticks) >= nanoseconds, "{scale} {nanoseconds}");
                assert!(clock.nanoseconds(ticks - 1) < nanoseconds, "{scale} {nanoseconds}");
            }
        }
        assert_eq!(Clock { scale: 0 }.ticks_of(1), None, "it would spin for ever");
        assert_eq!(Clock { scale: 1 }.ticks_of(u64::MAX), Some(u64::MAX));
    }
}
