//! OpenMetrics 1.0 text, which the `prometheus` crate does not write.
//!
//! It differs from the older text in what a name belongs to: a counter's family is called without `_total`, an info's without
//! `_info`; bounds have a fraction; the text ends with a mark, so that half an answer is no answer. Invariant: the samples
//! are those of the older text, name by name and label by label.

use std::fmt::{self, Write};

use prometheus::proto::{LabelPair, MetricFamily, MetricType};

/// Units that a family's name may end with, and then says.
const UNITS: [&str; 2] = ["seconds", "bytes"];

/// The whole answer.
pub(super) fn encode(families: &[MetricFamily]) -> Result<String, fmt::Error> {
    let mut out = String::with_capacity(1 << 16);
    for family in families {
        write_family(&mut out, family)?;
    }
    out.push_str("# EOF\n");
    Ok(out)
}

fn write_family(out: &mut String, family: &MetricFamily) -> fmt::Result {
    let sample = family.name();
    let (name, kind) = match family.get_field_type() {
        MetricType::COUNTER => match sample.strip_suffix("_total") {
            Some(name) => (name, "counter"),
            // A newer writer's, by a name that OpenMetrics has no counter for.
            None => (sample, "unknown"),
        },
        MetricType::HISTOGRAM => (sample, "histogram"),
        _ => match sample.strip_suffix("_info") {
            Some(name) => (name, "info"),
            None => (sample, "gauge"),
        },
    };
    writeln!(out, "# TYPE {name} {kind}")?;
    if let Some(unit) =
        UNITS.iter().find(|unit| name.strip_suffix(**unit).is_some_and(|rest| rest.ends_with('_')))
    {
        writeln!(out, "# UNIT {name} {unit}")?;
    }
    write!(out, "# HELP {name} ")?;
    escape(out, family.help());
    out.push('\n');
    for metric in family.get_metric() {
        let labels = metric.get_label();
        match family.get_field_type() {
            MetricType::HISTOGRAM => {
                let histogram = metric.get_histogram();
                for bucket in histogram.get_bucket() {
                    let bound = Number(bucket.upper_bound());
                    write_sample(
                        out,
                        sample,
                        "_bucket",
                        labels,
                        Some(bound),
                        bucket.cumulative_count() as f64,
                    )?;
                }
                let count = histogram.get_sample_count() as f64;
                write_sample(out, sample, "_bucket", labels, Some(Number(f64::INFINITY)), count)?;
                write_sample(out, sample, "_sum", labels, None, histogram.get_sample_sum())?;
                write_sample(out, sample, "_count", labels, None, count)?;
            }
            MetricType::COUNTER => write_sample(out, sample, "", labels, None, metric.get_counter().value())?,
            _ => write_sample(out, sample, "", labels, None, metric.get_gauge().value())?,
        }
    }
    Ok(())
}

fn write_sample(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &[LabelPair],
    bound: Option<Number>,
    value: f64,
) -> fmt::Result {
    out.push_str(name);
    out.push_str(suffix);
    let mut before = '{';
    for label in labels {
        out.push(before);
        out.push_str(label.name());
        out.push_str("=\"");
        escape(out, label.value());
        out.push('"');
        before = ',';
    }
    if let Some(bound) = bound {
        write!(out, "{before}le=\"{bound}\"")?;
        before = ',';
    }
    if before == ',' {
        out.push('}');
    }
    writeln!(out, " {value}")
}

/// As a label or a help text has it.
fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

/// A bound: `4` is written `4.0`, and above all is `+Inf`.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == f64::INFINITY {
            return f.write_str("+Inf");
        }
        // `{:?}` has a fraction in every case, and an exponent where that is shorter.
        write!(f, "{:?}", self.0)
    }
}
