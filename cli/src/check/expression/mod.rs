//! The language of assertions: text in, an [`Assertion`] or a [`Mistake`] out. Pure.
//!
//! ```text
//! assertion  no verdict | no NAME LABELS? | NAME LABELS? | sum COMPARISON sum     NAME of a verdict
//! sum        product (('+' | '-') product)*
//! product    factor (('*' | '/') factor)*
//! factor     NUMBER UNIT? | '(' sum ')' | FOLD '(' counted ')' | counted
//! counted    rate '(' NAME LABELS? ')' | NAME LABELS?                             NAME of a figure or of a metric; of
//!                                                                                 perf_events, the label event must say which
//! FOLD       min | max | avg | sum | p50 | p90 | p99 | p999
//! LABELS     '{' LABEL ('=' | '!=') VALUE (',' ...)* '}'
//! COMPARISON '<' | '<=' | '>' | '>=' | '==' | '!='
//! ```
//!
//! Invariant: whatever the text, there is an answer and no panic; a mistake says at which characters it is.

mod lexer;
mod mistake;
mod names;
mod parser;
#[cfg(test)]
mod tests;
mod units;

use stormglass_telemetry::perf::Event;
use stormglass_telemetry::{Dimension, Figure, Inside, Metric, diagnosis};

pub(crate) use mistake::Mistake;
pub(crate) use names::{EVENT, Gauge, listed};

/// An assertion that was understood.
#[derive(Clone, Debug)]
pub(crate) struct Assertion {
    /// As it was written, in one line.
    pub(crate) text: String,
    pub(crate) claim: Claim,
}

/// What is asserted.
#[derive(Clone, Debug)]
pub(crate) enum Claim {
    /// That a verdict was raised, or that it was not.
    Verdict(Verdict),
    /// That two values compare so.
    Compare { left: Sum, comparison: Comparison, right: Sum },
}

/// A verdict by name, or any.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) raised: bool,
    /// `None` is any.
    pub(crate) which: Option<diagnosis::Verdict>,
    pub(crate) labels: Vec<Matcher>,
}

/// A value that is worked out.
#[derive(Clone, Debug)]
pub(crate) enum Sum {
    /// In base units, with what it is counted in where it says so.
    Number(f64, Option<Dimension>),
    /// A value for each process.
    Each(Counted),
    /// One value of many.
    Fold(Fold, Counted),
    /// For each process, the value that this share of a histogram's values is at or below.
    Quantile(f64, Counted),
    Two(Box<Sum>, Arithmetic, Box<Sum>),
}

impl Sum {
    /// What the value is counted in; `None` where that is left open, as after a multiplication.
    pub(crate) fn dimension(&self) -> Option<Dimension> {
        match self {
            Sum::Number(_, unit) => *unit,
            Sum::Each(counted) | Sum::Fold(_, counted) | Sum::Quantile(_, counted) => {
                Some(counted.what.dimension())
            }
            Sum::Two(left, Arithmetic::Add | Arithmetic::Subtract, right) => {
                left.dimension().or_else(|| right.dimension())
            }
            Sum::Two(..) => None,
        }
    }
}

impl Sum {
    /// Everything that is counted in it.
    fn counted(&self) -> Vec<&Counted> {
        match self {
            Sum::Number(..) => Vec::new(),
            Sum::Each(counted) | Sum::Fold(_, counted) | Sum::Quantile(_, counted) => vec![counted],
            Sum::Two(left, _, right) => [left.counted(), right.counted()].concat(),
        }
    }
}

/// Something that is counted, and where.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) what: What,
    pub(crate) labels: Vec<Matcher>,
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Figure(&'static Figure),
    /// What a counter counted in the span.
    Counter(Metric),
    /// The same for each second.
    Rate(Metric),
    Gauge(Gauge),
    Histogram(Metric),
    /// What processor or kernel counted of a process in the span, as a sidecar with `--perf` tells.
    Event(Event),
    /// The same for each second.
    EventRate(Event),
}

impl What {
    /// The metric of sampled slow paths that it is, or is worked out from: such are counted where there are hardware counters.
    pub(crate) fn sampled(self) -> Option<Metric> {
        let metric = match self {
            What::Figure(figure) => figure.counter(),
            What::Counter(metric) | What::Rate(metric) | What::Histogram(metric) => metric,
            What::Gauge(_) | What::Event(_) | What::EventRate(_) => return None,
        };
        (!Inside::NONE.has(metric)).then_some(metric)
    }

    pub(crate) fn dimension(self) -> Dimension {
        let unit = |metric: Metric| match metric.descriptor().unit {
            stormglass_telemetry::Unit::Seconds => Dimension::Seconds,
            stormglass_telemetry::Unit::Bytes => Dimension::Bytes,
            _ => Dimension::Number,
        };
        match self {
            What::Figure(figure) => figure.dimension,
            What::Counter(metric) | What::Histogram(metric) => unit(metric),
            What::Rate(metric) => match unit(metric) {
                Dimension::Bytes => Dimension::BytesPerSecond,
                Dimension::Seconds => Dimension::Number,
                _ => Dimension::PerSecond,
            },
            What::Gauge(gauge) => gauge.dimension(),
            What::Event(_) => Dimension::Number,
            What::EventRate(_) => Dimension::PerSecond,
        }
    }
}

/// How many values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    Min,
    Max,
    Avg,
    Sum,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Arithmetic {
    pub(crate) fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Arithmetic::Add => a + b,
            Arithmetic::Subtract => a - b,
            Arithmetic::Multiply => a * b,
            Arithmetic::Divide => a / b,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Unequal,
}

impl Comparison {
    #[allow(clippy::float_cmp, reason = "a user who writes == means it; counts are whole numbers")]
    pub(crate) fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Comparison::Less => a < b,
            Comparison::LessOrEqual => a <= b,
            Comparison::Greater => a > b,
            Comparison::GreaterOrEqual => a >= b,
            Comparison::Equal => a == b,
            Comparison::Unequal => a != b,
        }
    }
}

/// A label and what it must be, or must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matcher {
    pub(crate) label: &'static str,
    pub(crate) equal: bool,
    pub(crate) value: String,
}

impl Matcher {
    pub(crate) fn takes(&self, value: &str) -> bool {
        (self.value == value) == self.equal
    }
}

impl Assertion {
    /// Whether slow paths must be sampled for it.
    pub(crate) fn takes_samples(&self) -> bool {
        self.takes(|what| what.sampled().is_some())
    }

    /// Whether events of the processor and the kernel must be counted for it.
    pub(crate) fn takes_events(&self) -> bool {
        self.takes(|what| matches!(what, What::Event(_) | What::EventRate(_)))
    }

    fn takes(&self, of: impl Fn(What) -> bool) -> bool {
        let Claim::Compare { left, right, .. } = &self.claim else { return false };
        [left.counted(), right.counted()].concat().iter().any(|counted| of(counted.what))
    }

    /// Understands an assertion.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub(crate) fn parse(text: &str) -> Result<Assertion, Mistake> {
        let claim = parser::parse(text)?;
        Ok(Assertion { text: text.split_whitespace().collect::<Vec<_>>().join(" "), claim })
    }
}
