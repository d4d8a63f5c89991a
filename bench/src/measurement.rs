//! The result of one run, and the line of JSON in which a child process hands it to its parent.
//!
//! The counts travel as counts, not as ratios: the parent adds up those of several runs before it divides, so that a
//! long run weighs more than a short one and a ratio without a denominator in one run does not spoil the rest. The
//! line has the measures and the retries too, for whoever reads it with their own eyes.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use stormglass_telemetry::{Counts, Delta, Inside, Metric, Schema, Select, Shape};

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Allocations in the timed part.
    pub ops: u64,
    /// Length of the timed part.
    pub seconds: f64,
    /// Their quotient.
    pub ops_per_second: f64,
    /// What was counted in the timed part; `None` without shared memory.
    pub counted: Option<Counted>,
    /// Share of the machine's time in the timed part that other programs took, 0 to 1; `None` if nobody knows.
    #[serde(default)]
    pub others: Option<f64>,
    /// Something that the user should know although the run succeeded.
    pub warning: Option<String>,
}

/// Counts of the timed part, without the zeros.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// Length of the span in nanoseconds, by the segment's clock.
    pub nanoseconds: u64,
    /// Cells of the writer's schema.
    pub cells: usize,
    /// Which hardware counters are among them.
    #[serde(default)]
    pub inside: Inside,
    /// Index and value of each cell that is not 0.
    pub values: Vec<(usize, u64)>,
}

impl Counted {
    /// What a delta says.
    pub fn of(delta: &Delta) -> Counted {
        let values =
            delta.counts.values.iter().copied().enumerate().filter(|(_, value)| *value != 0).collect();
        Counted {
            nanoseconds: delta.elapsed.map_or(0, |span| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)),
            cells: delta.counts.values.len(),
            inside: delta.counts.schema.inside(),
            values,
        }
    }

    /// The counts of several runs added up, by this build's schema. `None` of nothing, and of counts by another schema,
    /// which a binary that was rebuilt meanwhile would send.
    pub fn pooled<'a>(runs: impl IntoIterator<Item = &'a Counted>) -> Option<Delta> {
        let mut runs = runs.into_iter().peekable();
        let shape = Shape { inside: runs.peek()?.inside, ..Shape::MID };
        let mut pooled = Counts::zero(Arc::new(Schema::of(shape)));
        let mut nanoseconds = 0_u64;
        for run in runs {
            if run.cells != pooled.values.len() || run.inside != shape.inside {
                return None;
            }
            nanoseconds = nanoseconds.saturating_add(run.nanoseconds);
            for &(cell, value) in &run.values {
                let sum = pooled.values.get_mut(cell)?;
                *sum = sum.saturating_add(value);
            }
        }
        (nanoseconds > 0).then(|| Delta { elapsed: Some(Duration::from_nanos(nanoseconds)), counts: pooled })
    }
}

impl Measurement {
    /// A run of `ops` allocations.
    #[must_use]
    pub fn new(
        ops: u64,
        elapsed: Duration,
        counted: Option<Counted>,
        warning: Option<String>,
    ) -> Measurement {
        let seconds = elapsed.as_secs_f64();
        Measurement {
            ops,
            seconds,
            ops_per_second: ops as f64 / seconds.max(1e-9),
            counted,
            others: None,
            warning,
        }
    }

    /// The measurement as one line of JSON, with the measures and the histogram of retries besides.
    pub fn line(&self) -> String {
        let mut line = json!(self);
        if let Some(delta) = Counted::pooled(&self.counted) {
            line["measures"] = json!(delta.measures(Select::ALL));
            if let Some(retries) = delta.counts.histogram(Metric::CasRetries, Select::ALL) {
                line["retries"] =
                    json!({ "bounds": retries.bounds, "buckets": retries.buckets, "sum": retries.sum });
            }
        }
        line.to_string()
    }

    /// The measurement in what a child printed: the last line that is one.
    ///
    /// # Errors
    /// A sentence on what came instead.
    pub fn parse(printed: &str) -> Result<Measurement, String> {
        parse_result(printed, |m: &Measurement| m.seconds > 0.0 && m.ops_per_second.is_finite())
    }
}

/// The result in what a child printed: the last line, if it makes sense.
pub(crate) fn parse_result<T: DeserializeOwned>(
    printed: &str,
    sensible: impl Fn(&T) -> bool,
) -> Result<T, String> {
    let last = printed.lines().rev().find(|line| !line.trim().is_empty());
    let Some(last) = last else { return Err("it printed no result".to_owned()) };
    let parsed: T = serde_json::from_str(last)
        .map_err(|error| format!("its result cannot be read ({error}): `{}`", shorten(last)))?;
    if !sensible(&parsed) {
        return Err(format!("its result makes no sense: `{}`", shorten(last)));
    }
    Ok(parsed)
}

/// At most 80 characters of a text.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(values: Vec<(usize, u64)>) -> Counted {
        Counted { nanoseconds: 1_000, cells: Schema::own().len, inside: Inside::NONE, values }
    }

    proptest! {
        #[test]
        fn a_line_says_what_it_was_made_from(
            ops in 0_u64..1 << 50, nanos in 1_u64..1 << 40, cell in 0..Schema::own().len, value in 1_u64..1 << 60,
            known in any::<bool>(), warning in prop::option::of(".*"),
        ) {
            let run = known.then(|| counted(vec![(cell, value)]));
            let before = Measurement::new(ops, Duration::from_nanos(nanos), run, warning);
            let line = before.line();
            prop_assert!(!line.contains('\n'));
            let after = Measurement::parse(&format!("some noise\n{line}\n\n")).expect("its own line");
            prop_assert_eq!((before.ops, before.counted, before.warning), (after.ops, after.counted, after.warning));
            // The last digit of a float may change on its way through text.
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-12 * a.abs();
            prop_assert!(close(before.seconds, after.seconds));
            prop_assert!(close(before.ops_per_second, after.ops_per_second));
        }

        #[test]
        fn nothing_that_a_child_prints_is_a_panic(printed in ".*") {
            let _ = Measurement::parse(&printed);
        }
    }

    #[test]
    fn runs_are_added_up() {
        let delta =
            Counted::pooled(&[counted(vec![(3, 5)]), counted(vec![(3, 7), (4, 1)])]).expect("two runs");
        assert_eq!(delta.elapsed, Some(Duration::from_micros(2)));
        assert_eq!((delta.counts.values[3], delta.counts.values[4]), (12, 1));
        assert!(Counted::pooled(&[]).is_none());
    }

    #[test]
    fn counts_with_hardware_counters_are_of_a_schema_that_has_them() {
        let inside = Inside { cycles: true, ..Inside::NONE };
        let schema = Schema::of(Shape { inside, ..Shape::MID });
        let counts = Counts::zero(Arc::new(schema));
        let delta = Delta { elapsed: Some(Duration::from_secs(1)), counts };
        let run = Counted::of(&delta);
        assert_eq!(run.inside, inside);
        assert!(Counted::pooled([&run, &run]).is_some());
        assert!(Counted::pooled([&run, &counted(vec![])]).is_none(), "of two kinds");
    }

    #[test]
    fn counts_of_another_build_are_not_guessed_at() {
        let other = Counted { cells: 7, ..counted(vec![]) };
        assert!(Counted::pooled(&[other]).is_none());
        assert!(Counted::pooled(&[counted(vec![(usize::MAX, 1)])]).is_none());
    }

    #[test]
    fn what_is_no_result_is_quoted() {
        assert_eq!(Measurement::parse(" \n"), Err("it printed no result".to_owned()));
        let error = Measurement::parse("hello").expect_err("no JSON");
        assert!(error.contains("cannot be read") && error.ends_with("`hello`"), "{error}");
        let nonsense = r#"{"ops":1,"seconds":0,"ops_per_second":1,"counted":null,"warning":null}"#;
        assert!(Measurement::parse(nonsense).expect_err("no time").contains("makes no sense"));
    }
}
