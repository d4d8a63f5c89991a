//! One sentence on what the counters show of a design.
//!
//! Invariant: a clause stands only on a measure that is there, and its words only on that measure's value; the
//! design's name decides nothing. A calm run is called calm, and a difference that the pairs do not show is not
//! claimed.

use stormglass_telemetry::Measures;

use crate::stats::Interval;

/// Failed CASes for each batch from which a sentence speaks of contention.
const CONTENDED: f64 = 0.1;
/// Failed share of CAS attempts from which each attempt is called contended.
const EACH: f64 = 0.05;
/// Blocks walked for each block kept from which a sentence speaks of waste.
const WASTEFUL: f64 = 1.05;
/// Share of lock acquisitions from which a sentence speaks of waiting.
const WAITING: f64 = 0.01;
/// Successful CASes for each batch from which one CAS "became many".
const MANY: f64 = 1.5;

/// What a sentence is about.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Name of the design.
    pub design: &'a str,
    /// Name of the design that it is compared with.
    pub baseline: &'a str,
    /// The comparison, if there is one.
    pub ratio: Option<&'a Interval>,
    /// What the counters say.
    pub measures: &'a Measures,
    /// Mean blocks in a batch, as counted.
    pub batch: Option<f64>,
    /// The delay that was injected into its runs.
    pub injected: Option<&'a str>,
}

/// What the counters show, in one sentence.
pub fn sentence(facts: &Facts<'_>) -> String {
    let m = facts.measures;
    let clauses: Vec<Clause> = [cas(m, facts.batch), walk(m), lock(m)].into_iter().flatten().collect();
    let seen = match clauses.as_slice() {
        [] if m.allocations_per_second.is_none() => {
            "was measured without its counters, so why it is as fast as it is remains unknown".to_owned()
        }
        [] => "reached no shared list: nothing to contend for".to_owned(),
        clauses => {
            let mut text = clauses.iter().map(|c| c.text.as_str()).collect::<Vec<_>>().join(", and ");
            if clauses.iter().all(|c| c.calm) {
                text.push_str(": calm");
            }
            text
        }
    };
    let compared = comparison(facts.ratio, facts.baseline).map_or_else(String::new, |c| format!("; {c}"));
    // What was caused is never told as if it had just happened.
    let cause = facts.injected.map_or_else(String::new, |text| format!(" (delay injected: {text})"));
    let inside = inside(m).map_or_else(String::new, |cost| format!("; {cost}"));
    format!("{}{cause} {seen}{compared}{inside}.", facts.design)
}

/// What a slow path costs by the processor's counters, where they are read.
fn inside(m: &Measures) -> Option<String> {
    let figures = [(m.cache_misses_per_slow_path, "cache misses"), (m.cycles_per_slow_path, "cycles")];
    let told: Vec<String> =
        figures.iter().filter_map(|(n, of)| n.map(|n| format!("{} {of}", number(n)))).collect();
    (!told.is_empty()).then(|| format!("a slow path took {}", told.join(" and ")))
}

struct Clause {
    text: String,
    calm: bool,
}

/// CASes of pops. A design that pops under a lock makes none, and then there is nothing to say.
fn cas(m: &Measures, batch: Option<f64>) -> Option<Clause> {
    m.attempts_per_batch.filter(|&n| n > 0.0)?;
    let failures = m.failures_per_batch?;
    let of = batch.map_or_else(String::new, |n| format!(" of {n:.0}"));
    if failures < CONTENDED {
        let text = if failures == 0.0 {
            "failed no CAS".to_owned()
        } else {
            format!("hardly failed a CAS ({} for each batch{of})", number(failures))
        };
        return Some(Clause { text, calm: true });
    }
    let many = many_successes(m).map_or_else(String::new, |successes| {
        let contended =
            if failures >= EACH * (successes + failures) { ", and each one is contended" } else { "" };
        format!(": one CAS became {successes:.0}{contended}")
    });
    Some(Clause { text: format!("failed {} CASes for each batch{of}{many}", number(failures)), calm: false })
}

/// Successful CASes for each batch, if they are more than the one that a batch needs.
fn many_successes(m: &Measures) -> Option<f64> {
    Some(m.attempts_per_batch? - m.failures_per_batch?).filter(|&n| n > MANY)
}

fn walk(m: &Measures) -> Option<Clause> {
    // Where a batch is many CASes, each walks one block: its waste is the failures, said already.
    if many_successes(m).is_some() {
        return None;
    }
    let walked = m.walked_per_kept?;
    let (text, calm) = if walked < WASTEFUL {
        (format!("walked hardly a block in vain ({walked:.2} for each block kept)"), true)
    } else {
        (format!("walked {} blocks for each block kept, as a failed CAS walks again", number(walked)), false)
    };
    Some(Clause { text, calm })
}

fn lock(m: &Measures) -> Option<Clause> {
    let contended = m.lock_contended_ratio?;
    let short = m.lock_wait_ratio.is_none_or(|wait| wait < WAITING);
    if contended < WAITING && short {
        let text = if contended == 0.0 {
            "never waited for a lock".to_owned()
        } else {
            format!("hardly waited for a lock ({} of the acquisitions)", percent(contended))
        };
        return Some(Clause { text, calm: true });
    }
    let share = percent(contended);
    let text = match m.lock_wait_ratio {
        Some(wait) => {
            format!("waited for {share} of its locks, {} in each second over all threads", seconds(wait))
        }
        None => format!("waited for {share} of its locks"),
    };
    Some(Clause { text, calm: false })
}

fn comparison(ratio: Option<&Interval>, baseline: &str) -> Option<String> {
    let ratio = ratio?;
    if !ratio.is_evidence() {
        let are =
            if ratio.pairs == 1 { "one pair is".to_owned() } else { format!("{} pairs are", ratio.pairs) };
        return Some(format!("{are} no evidence of a difference from {baseline}"));
    }
    if !ratio.differs() {
        return Some(format!("no difference from {baseline} that {} pairs can show", ratio.pairs));
    }
    Some(match ratio.median {
        r if r < 0.5 => format!("{} times slower than {baseline}", number(1.0 / r)),
        r if r < 1.0 => format!("{} slower than {baseline}", percent(1.0 - r)),
        r if r <= 2.0 => format!("{} faster than {baseline}", percent(r - 1.0)),
        r => format!("{} times as fast as {baseline}", number(r)),
    })
}

/// Two significant figures below 10, one decimal below 100, none above.
fn number(value: f64) -> String {
    match value {
        v if v < 0.1 => format!("{v:.3}"),
        v if v < 1.0 => format!("{v:.2}"),
        v if v < 100.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 10.0 { format!("{percent:.1}%") } else { format!("{percent:.0}%") }
}

fn seconds(value: f64) -> String {
    if value < 0.1 { format!("{:.1} ms", value * 1e3) } else { format!("{value:.2} s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ratio(median: f64, low: f64, high: f64) -> Interval {
        Interval { median, low, high, coverage: 0.9375, pairs: 5 }
    }

    fn say(design: &str, measures: &Measures, ratio: Option<&Interval>) -> String {
        sentence(&Facts { design, baseline: "mutex", ratio, measures, batch: Some(32.0), injected: None })
    }

    const COUNTED: Measures = Measures {
        allocations_per_second: Some(1e6),
        cas_attempts_per_second: Some(0.0),
        cas_failures_per_second: Some(0.0),
        failures_per_attempt: None,
        attempts_per_batch: Some(0.0),
        failures_per_batch: Some(0.0),
        walked_per_kept: None,
        wasted_walk_per_second: Some(0.0),
        lock_wait_ratio: Some(0.0),
        lock_contended_ratio: None,
        ring_hit_ratio: Some(0.9),
        aba_averted_per_second: Some(0.0),
        slow_path_nanoseconds_per_batch: None,
        cycles_per_slow_path: None,
        instructions_per_slow_path: None,
        cache_misses_per_slow_path: None,
    };

    #[test]
    fn what_the_processor_counted_comes_last() {
        let m =
            Measures { cache_misses_per_slow_path: Some(31.0), cycles_per_slow_path: Some(812.0), ..COUNTED };
        let said = say("mutex", &m, None);
        assert!(said.ends_with("; a slow path took 31.0 cache misses and 812 cycles."), "{said}");
        assert!(!say("mutex", &COUNTED, None).contains("slow path"));
    }

    #[test]
    fn single_pops_in_a_storm() {
        let m = Measures {
            attempts_per_batch: Some(58.1),
            failures_per_batch: Some(26.1),
            walked_per_kept: Some(1.8),
            ..COUNTED
        };
        assert_eq!(
            say("lockfree-single", &m, Some(&ratio(0.125, 0.12, 0.13))),
            "lockfree-single failed 26.1 CASes for each batch of 32: one CAS became 32, and each one is \
             contended; 8.0 times slower than mutex."
        );
    }

    #[test]
    fn a_walk_in_a_storm() {
        let m = Measures {
            attempts_per_batch: Some(2.8),
            failures_per_batch: Some(1.8),
            walked_per_kept: Some(2.81),
            ..COUNTED
        };
        assert_eq!(
            say("lockfree-walk", &m, Some(&ratio(0.8, 0.7, 0.9))),
            "lockfree-walk failed 1.8 CASes for each batch of 32, and walked 2.8 blocks for each block kept, as a \
             failed CAS walks again; 20% slower than mutex."
        );
    }

    #[test]
    fn locks_that_wait_and_the_baseline_is_not_compared_with_itself() {
        let m = Measures { lock_wait_ratio: Some(0.62), lock_contended_ratio: Some(0.31), ..COUNTED };
        assert_eq!(
            say("mutex", &m, None),
            "mutex waited for 31% of its locks, 0.62 s in each second over all threads."
        );
    }

    #[test]
    fn calm_is_said_and_noise_is_not_a_difference() {
        let m = Measures {
            attempts_per_batch: Some(1.01),
            failures_per_batch: Some(0.01),
            walked_per_kept: Some(1.004),
            ..COUNTED
        };
        assert_eq!(
            say("lockfree-walk", &m, Some(&ratio(0.97, 0.9, 1.02))),
            "lockfree-walk hardly failed a CAS (0.010 for each batch of 32), and walked hardly a block in vain (1.00 \
             for each block kept): calm; no difference from mutex that 5 pairs can show."
        );
    }

    #[test]
    fn one_pair_claims_nothing() {
        let one = Interval { pairs: 1, coverage: 0.0, ..ratio(0.1, 0.1, 0.1) };
        assert_eq!(
            say("x", &COUNTED, Some(&one)),
            "x reached no shared list: nothing to contend for; one pair is no evidence of a difference from mutex."
        );
    }

    #[test]
    fn without_counters_nothing_is_explained() {
        assert_eq!(
            say("x", &Measures::default(), Some(&ratio(3.0, 2.9, 3.1))),
            "x was measured without its counters, so why it is as fast as it is remains unknown; 3.0 times as fast \
             as mutex."
        );
    }

    fn maybe(range: core::ops::Range<f64>) -> impl Strategy<Value = Option<f64>> {
        prop::option::of(range)
    }

    proptest! {
        /// Whatever is missing, the words for it are missing too.
        #[test]
        fn nothing_is_claimed_that_was_not_measured(
            attempts in maybe(0.0..100.0), failures in maybe(0.0..100.0), walked in maybe(1.0..9.0),
            contended in maybe(0.0..1.0), wait in maybe(0.0..2.0), median in maybe(0.01..5.0),
        ) {
            let m = Measures {
                attempts_per_batch: attempts, failures_per_batch: failures, walked_per_kept: walked,
                lock_contended_ratio: contended, lock_wait_ratio: wait, ..Measures::default()
            };
            let interval = median.map(|r| ratio(r, r * 0.9, r * 1.1));
            let text = say("x", &m, interval.as_ref());
            prop_assert!(text.starts_with("x ") && text.ends_with('.') && !text.contains("NaN"), "{}", text);
            prop_assert!(attempts.is_some() && failures.is_some() || !text.contains("CASes for"), "{}", text);
            prop_assert!(walked.is_some() || !text.contains("walked"), "{}", text);
            prop_assert!(contended.is_some() || !text.contains("wait"), "{}", text);
            prop_assert!(wait.is_some() || !text.contains("in each second"), "{}", text);
            prop_assert!(median.is_some() || !text.contains("mutex"), "{}", text);
        }
    }
}
