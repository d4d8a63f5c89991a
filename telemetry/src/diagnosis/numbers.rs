//! Numbers as a sentence has them: three digits, and a letter for the size.

use core::fmt::{self, Display};

/// `26`, `1.02`, `410k`, `1.25M`.
pub(super) struct Short(pub(super) f64);

impl Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Short(value) = *self;
        // As it will be written, so that 999.6 is 1k and not 1000.
        let (mut scaled, mut letter) = (value, "");
        for larger in ["k", "M", "G"] {
            if scaled.abs() < 999.5 {
                break;
            }
            (scaled, letter) = (scaled / 1000.0, larger);
        }
        let places = match scaled.abs() {
            size if size >= 99.95 => 0,
            size if size >= 9.995 => 1,
            _ => 2,
        };
        let text = format!("{scaled:.places$}");
        let text = if places > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        write!(f, "{text}{letter}")
    }
}

/// A share of 1 in per cent.
pub(super) struct Percent(pub(super) f64);

impl Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        if percent >= 9.95 { write!(f, "{percent:.0}%") } else { write!(f, "{}%", Short(percent)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_letter() {
        let short = |value| Short(value).to_string();
        assert_eq!(
            [0.0, 1.0, 1.02, 17.83, 26.0, 410_400.0, 999.6, 1_250_000.0, 2.5e12].map(short),
            ["0", "1", "1.02", "17.8", "26", "410k", "1k", "1.25M", "2500G"]
        );
        assert_eq!(
            [0.004, 0.0333, 0.5, 1.0].map(|v| Percent(v).to_string()),
            ["0.4%", "3.33%", "50%", "100%"]
        );
    }
}
