//! A number in the unit that one reads best.

use std::fmt;

use stormglass_telemetry::Dimension;

/// A value in base units, and what they are.
pub(crate) struct Number(pub(crate) f64, pub(crate) Option<Dimension>);

const SECONDS: [(f64, &str); 4] = [(1.0, " s"), (1e-3, " ms"), (1e-6, " us"), (1e-9, " ns")];
const BYTES: [(f64, &str); 4] =
    [(1_073_741_824.0, " GiB"), (1_048_576.0, " MiB"), (1024.0, " KiB"), (1.0, " B")];
const PLAIN: [(f64, &str); 4] = [(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")];

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Number(value, dimension) = *self;
        if value >= f64::MAX {
            return f.write_str("above every bound");
        }
        let (units, after) = match dimension {
            Some(Dimension::Seconds) => (SECONDS, ""),
            Some(Dimension::Bytes) => (BYTES, ""),
            Some(Dimension::BytesPerSecond) => (BYTES, "/s"),
            Some(Dimension::PerSecond) => (PLAIN, "/s"),
            Some(Dimension::Number) | None => (PLAIN, ""),
        };
        if value == 0.0 {
            return write!(f, "0{after}");
        }
        let size = value.abs();
        // Below the smallest unit it stays in that one; a plain number in itself.
        let smallest = units.iter().rev().find(|unit| unit.0 <= 1.0).unwrap_or(&units[3]);
        let (unit, name) = units.iter().find(|unit| size >= unit.0 * 0.9995).unwrap_or(smallest);
        let scaled = value / unit;
        let places = match scaled.abs() {
            size if size >= 1e3 || size.fract() == 0.0 && size >= 1.0 => 0,
            size if size >= 100.0 => 1,
            size if size >= 10.0 => 2,
            size if size >= 0.1 => 3,
            _ => 5,
        };
        write!(f, "{scaled:.places$}{name}{after}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_the_unit_that_one_reads_best() {
        let of = |value, dimension| Number(value, Some(dimension)).to_string();
        assert_eq!(of(0.95, Dimension::Number), "0.950");
        assert_eq!(of(26.123, Dimension::Number), "26.12");
        assert_eq!(of(3.0, Dimension::Number), "3");
        assert_eq!(of(1_250_000.0, Dimension::PerSecond), "1.250M/s");
        assert_eq!(of(2.5e-6, Dimension::Seconds), "2.500 us");
        assert_eq!(of(0.000_3, Dimension::Number), "0.00030");
        assert_eq!(of(64.0 * 1_048_576.0, Dimension::Bytes), "64 MiB");
        assert_eq!(of(0.0, Dimension::BytesPerSecond), "0/s");
        assert_eq!(Number(f64::MAX, None).to_string(), "above every bound");
    }
}
