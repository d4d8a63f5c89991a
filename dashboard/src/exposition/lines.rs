//! Lines of samples, as both texts have them: they differ in what stands above the lines of a family, and in how a bound is
//! written.

use std::fmt::Write as _;

use super::answer::{Answer, Family, Row, Value};

/// Whole numbers below it are told apart by an `f64`, and written as digits.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// Appends the lines of a family. `bound` writes a bound that is finite.
pub(super) fn put(out: &mut String, answer: &Answer, family: &Family, bound: fn(f64) -> String) {
    let bounds: Vec<Vec<String>> =
        family.bounds.iter().map(|list| list.iter().map(|&value| bound(value)).collect()).collect();
    for row in &family.rows {
        let line = |out: &mut String, suffix: &str, le: Option<&str>, value: f64| {
            out.push_str(&family.name);
            out.push_str(suffix);
            labels(out, answer, row, le);
            out.push(' ');
            number(out, value);
            out.push('\n');
        };
        match &row.value {
            Value::Number(value) => line(out, "", None, *value),
            Value::Histogram(histogram) => {
                for (le, &count) in bounds[histogram.bounds].iter().zip(&histogram.cumulative) {
                    line(out, "_bucket", Some(le), count as f64);
                }
                line(out, "_bucket", Some("+Inf"), histogram.count as f64);
                line(out, "_sum", None, histogram.sum);
                line(out, "_count", None, histogram.count as f64);
            }
        }
    }
}

fn labels(out: &mut String, answer: &Answer, row: &Row, le: Option<&str>) {
    let mut before = '{';
    for text in [&answer.labels[row.group].text, &answer.labels[row.place].text] {
        if !text.is_empty() {
            out.push(before);
            out.push_str(text);
            before = ',';
        }
    }
    if let Some(le) = le {
        out.push(before);
        out.push_str("le=\"");
        out.push_str(le);
        out.push('"');
        before = ',';
    }
    if before == ',' {
        out.push('}');
    }
}

/// As `{}` writes it. Most are whole, and written as such in a fraction of the time.
fn number(out: &mut String, value: f64) {
    if value.is_sign_positive() && value < WHOLE && value.trunc().to_bits() == value.to_bits() {
        out.push_str(itoa::Buffer::new().format(value as u64));
    } else {
        // Writing to a string does not fail.
        let _ = write!(out, "{value}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::number;

    proptest! {
        #[test]
        fn a_number_is_written_as_the_standard_library_does(
            value in prop_oneof![any::<f64>(), any::<u64>().prop_map(|n| n as f64), (0..1_000_u64).prop_map(|n| n as f64 / 8.0)],
        ) {
            let mut written = String::new();
            number(&mut written, value);
            prop_assert_eq!(written, value.to_string());
        }
    }
}
