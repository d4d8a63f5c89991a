//! A logarithmic axis.

/// Maps values above 0 to coordinates.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogAxis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl LogAxis {
    /// From the value `low` at the coordinate `from` to `high` at `to`.
    pub(super) fn new((low, high): (f64, f64), (from, to): (f64, f64)) -> LogAxis {
        LogAxis {
            low: low.max(f64::MIN_POSITIVE).log10(),
            high: high.max(f64::MIN_POSITIVE).log10(),
            from,
            to,
        }
    }

    /// Where a value lies; those outside the axis lie at its ends.
    pub(super) fn at(&self, value: f64) -> f64 {
        let span = self.high - self.low;
        let share = if span > 0.0 { (value.max(f64::MIN_POSITIVE).log10() - self.low) / span } else { 0.5 };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Those of the candidates, the more important first, that lie on the axis and stand clear of one another.
    pub(super) fn ticks(&self, candidates: &[f64], apart: f64) -> Vec<f64> {
        let inside = |value: &f64| {
            let log = value.log10();
            log >= self.low - 1e-9 && log <= self.high + 1e-9
        };
        let mut ticks: Vec<f64> = Vec::new();
        for &value in candidates.iter().filter(|v| inside(v)) {
            if ticks.iter().all(|t| (self.at(*t) - self.at(value)).abs() >= apart) {
                ticks.push(value);
            }
        }
        ticks
    }
}

/// The smallest and the largest of the values, with room on both sides; at least the given span.
pub(super) fn span(values: impl Iterator<Item = f64>, least: (f64, f64)) -> (f64, f64) {
    let (low, high) =
        values.filter(|v| v.is_finite() && *v > 0.0).fold(least, |(low, high), v| (low.min(v), high.max(v)));
    let room = (high / low).powf(0.06);
    (low / room, high * room)
}

/// Candidates for the ticks of an axis of ratios: 1 first, then doublings, then finer steps.
pub(super) const RATIOS: [f64; 27] = [
    1.0, 0.5, 2.0, 0.25, 4.0, 0.125, 8.0, 0.0625, 16.0, 0.015_625, 64.0, 0.75, 1.5, 0.9, 1.1, 0.8, 1.25,
    0.95, 1.05, 0.6, 0.7, 1.2, 1.3, 0.98, 1.02, 0.99, 1.01,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_lies_on_the_axis_whatever_it_is(low in any::<f64>(), high in any::<f64>(), value in any::<f64>()) {
            let axis = LogAxis::new(span([low, high].into_iter(), (0.9, 1.1)), (10.0, 100.0));
            let at = axis.at(value);
            prop_assert!((10.0..=100.0).contains(&at), "{}", at);
        }

        #[test]
        fn ticks_stand_apart(low in 0.01_f64..1.0, high in 1.0_f64..100.0) {
            let axis = LogAxis::new((low, high), (0.0, 200.0));
            let ticks = axis.ticks(&RATIOS, 30.0);
            prop_assert!(ticks.contains(&1.0));
            for (i, a) in ticks.iter().enumerate() {
                for b in &ticks[..i] {
                    prop_assert!((axis.at(*a) - axis.at(*b)).abs() >= 30.0);
                }
            }
        }
    }
}
