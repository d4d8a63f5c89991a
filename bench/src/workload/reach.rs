//! Which shards a workload touches: a delay that would never be felt is refused, not measured.

use stormglass_allocator::{Class, Injection};
use stormglass_telemetry::schema::SHARDS;

use super::Workload;
use crate::shape::Shape;

/// Whether `injection` delays any shard that the workload touches in this shape.
///
/// # Errors
/// A sentence that says what it touches instead.
pub(crate) fn check(workload: &dyn Workload, shape: &Shape, injection: Injection) -> Result<(), String> {
    let all = Class::all().flat_map(|class| (0..SHARDS).map(move |shard| (class, shard)));
    let touched: Vec<_> = all.filter(|&(class, shard)| workload.touches(shape, class, shard)).collect();
    if touched.iter().any(|&(class, shard)| injection.applies_to(class, shard)) {
        return Ok(());
    }
    let name = workload.name();
    Err(format!(
        "--inject {injection} would never be felt: {name} touches only {} of {}; change --inject, or leave {name} out with \
         --workload",
        numbered("class", "classes", touched.iter().map(|(class, _)| class.bytes())),
        numbered("shard", "shards", touched.iter().map(|&(_, shard)| shard)),
    ))
}

/// `class 8192`, `shards 0, 1, 2`.
fn numbered(one: &str, many: &str, numbers: impl Iterator<Item = usize>) -> String {
    let mut numbers: Vec<usize> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    let words: Vec<String> = numbers.iter().map(usize::to_string).collect();
    format!("{} {}", if words.len() == 1 { one } else { many }, words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{self, named};

    fn check(workload: &str, sizes: std::ops::Range<usize>, injection: &str) -> Result<(), String> {
        let workload = named(workload).expect("listed");
        let shape = Shape { min: sizes.start, max: sizes.end, ..workload.shape() };
        super::check(workload, &shape, injection.parse().expect("an injection"))
    }

    #[test]
    fn storm_is_one_class_on_one_shard() {
        for felt in ["class=8192,shard=3,delay=1us", "shard=3,delay=1us", "delay=1us"] {
            assert_eq!(check("storm", 2048..32768, felt), Ok(()), "{felt}");
        }
        assert_eq!(
            check("storm", 2048..32768, "class=8192,shard=2,delay=1us"),
            Err("--inject class=8192,shard=2,delay=1us would never be felt: storm touches only class 8192 of shard 3; \
                 change --inject, or leave storm out with --workload"
                .to_owned())
        );
    }

    #[test]
    fn larson_is_every_shard_and_the_classes_of_its_sizes() {
        assert_eq!(check("larson", 2048..32768, "class=2048,shard=7,delay=1us"), Ok(()));
        assert_eq!(check("larson", 5000..5000, "class=5120,delay=1us"), Ok(()));
        let why = check("larson", 2048..3073, "class=5120,delay=1us").expect_err("3072 is the largest size");
        assert!(why.contains("larson touches only classes 2048, 3072 of shards 0, 1, 2"), "{why}");
    }

    #[test]
    fn every_workload_touches_something() {
        for workload in workload::ALL {
            let all = "delay=1us".parse().expect("an injection");
            assert_eq!(super::check(*workload, &workload.shape(), all), Ok(()));
        }
    }
}
