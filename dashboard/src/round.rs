//! Five significant digits: what a reader can tell apart, at a third of the bytes that a frame would have
//! otherwise.

/// `value` to five significant digits; `None` for what JSON cannot say.
pub(crate) fn round(value: f64) -> Option<f64> {
    if value == 0.0 {
        return Some(0.0);
    }
    if !value.is_finite() {
        return None;
    }
    let places = 4 - value.abs().log10().floor() as i32;
    // Dividing by a power of ten rounds once; multiplying by its inexact reciprocal would show as ...0000001.
    if places >= 0 {
        let scale = 10_f64.powi(places.min(300));
        Some((value * scale).round() / scale)
    } else {
        let scale = 10_f64.powi(-places);
        Some((value / scale).round() * scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_digits_and_no_more() {
        assert_eq!(round(1_234_567.8), Some(1_234_600.0));
        assert_eq!(round(0.000_123_456_789), Some(0.000_123_46));
        assert_eq!(round(-26.123_456), Some(-26.123));
        assert_eq!(round(0.0), Some(0.0));
        assert_eq!(round(f64::NAN), None);
        assert_eq!(round(f64::INFINITY), None);
        assert!(round(f64::MIN_POSITIVE).is_some());
    }
}
