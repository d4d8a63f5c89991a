//! Length-delimited protobuf messages, by the `prometheus` crate.

use prometheus::proto::Metric as Sample;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, MetricFamily, MetricType};
use prometheus::{Encoder as _, ProtobufEncoder};
use stormglass_telemetry::Kind;

use super::answer::{self, Answer, Row, Value};

/// The whole answer.
///
/// # Errors
/// If there is a family that the crate refuses, in its words.
pub(super) fn encode(answer: &Answer) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(1 << 16);
    ProtobufEncoder::new().encode(&families(answer), &mut out).map_err(|error| error.to_string())?;
    Ok(out)
}

/// The answer as the crate has it.
pub(super) fn families(answer: &Answer) -> Vec<MetricFamily> {
    let family = |said: &answer::Family| {
        let mut family = MetricFamily::default();
        family.set_name(said.name.clone());
        family.set_help(said.help.clone());
        family.set_field_type(match said.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
        });
        family.mut_metric().extend(said.rows.iter().map(|row| sample(answer, said, row)));
        family
    };
    answer.families.iter().map(family).collect()
}

fn sample(answer: &Answer, family: &answer::Family, row: &Row) -> Sample {
    let pairs = [row.group, row.place].into_iter().flat_map(|number| &answer.labels[number].pairs);
    let mut sample = Sample::from_label(
        pairs
            .map(|label| {
                let mut pair = LabelPair::default();
                pair.set_name(label.name.clone());
                pair.set_value(label.value.clone());
                pair
            })
            .collect(),
    );
    match &row.value {
        Value::Histogram(said) => sample.set_histogram(histogram(said, &family.bounds[said.bounds])),
        Value::Number(value) if family.kind == Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(*value);
            sample.set_counter(counter);
        }
        Value::Number(value) => {
            let mut gauge = Gauge::default();
            gauge.set_value(*value);
            sample.set_gauge(gauge);
        }
    }
    sample
}

fn histogram(said: &answer::Histogram, bounds: &[f64]) -> Histogram {
    let bucket = |(&bound, &count): (&f64, &u64)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(count);
        bucket
    };
    let mut histogram = Histogram::default();
    histogram.set_bucket(bounds.iter().zip(&said.cumulative).map(bucket).collect());
    histogram.set_sample_count(said.count);
    histogram.set_sample_sum(said.sum);
    histogram
}
