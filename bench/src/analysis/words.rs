//! Numbers in words, the same in every part of the report.

use crate::stats::Interval;

/// What a number counts, and so how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A ratio of speeds, written as a change in percent.
    Change,
    /// A share, written in percent.
    Share,
    /// A ratio of counts.
    Times,
    /// A count.
    Number,
    /// Ticks of the time-stamp counter.
    Ticks,
}

impl Unit {
    /// A value of this unit.
    pub(super) fn write(self, value: f64) -> String {
        match self {
            Unit::Change => change(value),
            Unit::Share if value > 0.0 && value < 1e-5 => "<0.001%".to_owned(),
            Unit::Share => format!("{}%", plain(value * 100.0)),
            Unit::Times => format!("{}x", number(value)),
            Unit::Number => number(value),
            Unit::Ticks => format!("{} ticks", number(value)),
        }
    }

    /// A limit of this unit, which is a round number.
    pub(super) fn limit(self, value: f64) -> String {
        match self {
            Unit::Change if (value - 1.0).abs() < 1e-9 => "0%".to_owned(),
            Unit::Change => format!("{:+}%", round(value - 1.0)),
            Unit::Share if value > 0.0 && value < 1e-5 => "<0.001%".to_owned(),
            Unit::Share => format!("{}%", round(value)),
            Unit::Times => format!("{value}x"),
            Unit::Number => value.to_string(),
            Unit::Ticks => format!("{value} ticks"),
        }
    }

    /// `median [low, high]`.
    pub(super) fn interval(self, interval: &Interval) -> String {
        format!(
            "{} [{}, {}]",
            self.write(interval.median),
            self.write(interval.low),
            self.write(interval.high)
        )
    }
}

fn round(share: f64) -> f64 {
    (share * 1000.0).round() / 10.0
}

/// A ratio as a change: `-3.2%`.
pub(crate) fn change(ratio: f64) -> String {
    let percent = (ratio - 1.0) * 100.0;
    // What rounds to nothing has no sign.
    if percent.abs() < 0.05 {
        return "0.0%".to_owned();
    }
    if percent.abs() >= 999.5 { format!("{percent:+.0}%") } else { format!("{percent:+.1}%") }
}

fn plain(value: f64) -> String {
    if value < 10.0 && value > 0.0 { number(value) } else { format!("{value:.0}") }
}

/// About three figures.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v < 0.001 => format!("{value:.1e}"),
        v if v < 0.1 => format!("{value:.3}"),
        v if v < 10.0 => format!("{value:.2}"),
        v if v < 100.0 => format!("{value:.1}"),
        _ => grouped(value),
    }
}

/// A whole number with a thin mark every three digits.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

/// `1 thread`, `4 threads`.
pub(crate) fn threads(n: usize) -> String {
    count(n, "thread")
}

/// `1 run`, `4 runs`.
pub(crate) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// `a, b and c`.
pub(crate) fn list(words: &[impl AsRef<str>]) -> String {
    match words {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_three_figures() {
        let written = [0.0, 0.000_12, 0.0456, 1.234, 45.67, 456.7, 1_234_567.0].map(number);
        assert_eq!(written, ["0", "1.2e-4", "0.046", "1.23", "45.7", "457", "1,234,567"]);
    }

    #[test]
    fn units_are_written() {
        let written =
            [Unit::Change, Unit::Share, Unit::Times, Unit::Number, Unit::Ticks].map(|u| u.write(0.5));
        assert_eq!(written, ["-50.0%", "50%", "0.50x", "0.50", "0.50 ticks"]);
        assert_eq!(
            [Unit::Change.limit(1.0), Unit::Change.limit(1.4), Unit::Share.limit(0.4)],
            ["0%", "+40%", "40%"]
        );
        assert_eq!(Unit::Change.limit(1.05), "+5%");
        assert_eq!([0.0, 1e-7, 0.012].map(|share| Unit::Share.write(share)), ["0%", "<0.001%", "1.20%"]);
    }

    #[test]
    fn lists_read_well() {
        assert_eq!([list(&["a"]), list(&["a", "b"]), list(&["a", "b", "c"])], ["a", "a and b", "a, b and c"]);
    }
}
