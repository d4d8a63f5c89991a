//! The units that a number may have.

use stormglass_telemetry::Dimension;

/// Name, what it is a unit of (`None`: of nothing), and by what it multiplies. `/s` may follow those that can be a rate.
pub(super) const UNITS: &[(&str, Dimension, f64)] = &[
    ("%", Dimension::Number, 0.01),
    ("ns", Dimension::Seconds, 1e-9),
    ("us", Dimension::Seconds, 1e-6),
    ("µs", Dimension::Seconds, 1e-6),
    ("ms", Dimension::Seconds, 1e-3),
    ("s", Dimension::Seconds, 1.0),
    ("B", Dimension::Bytes, 1.0),
    ("kB", Dimension::Bytes, 1e3),
    ("MB", Dimension::Bytes, 1e6),
    ("GB", Dimension::Bytes, 1e9),
    ("KiB", Dimension::Bytes, 1024.0),
    ("MiB", Dimension::Bytes, 1_048_576.0),
    ("GiB", Dimension::Bytes, 1_073_741_824.0),
    ("k", Dimension::Number, 1e3),
    ("M", Dimension::Number, 1e6),
    ("G", Dimension::Number, 1e9),
];

/// The dimension of a unit for each second, where that means something.
pub(super) fn per_second(dimension: Dimension) -> Option<Dimension> {
    match dimension {
        Dimension::Number => Some(Dimension::PerSecond),
        Dimension::Bytes => Some(Dimension::BytesPerSecond),
        _ => None,
    }
}

/// The unit of that name.
pub(super) fn named(name: &str) -> Option<(Dimension, f64)> {
    UNITS.iter().find(|unit| unit.0 == name).map(|unit| (unit.1, unit.2))
}

/// All of them, for a sentence.
pub(super) fn all() -> String {
    UNITS.iter().map(|unit| unit.0).collect::<Vec<_>>().join(", ")
}
