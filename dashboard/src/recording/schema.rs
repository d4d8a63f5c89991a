//! Who the processes are and what their counts mean, as bytes.
//!
//! Invariant: a schema that was read has at most [`limits::CELLS`] values, no two metrics or labels of one name, and names
//! that Prometheus takes: it is as good as one that came from a segment.

use std::collections::BTreeSet;

use stormglass_telemetry::{Family, Kind, LabelValues, MAX_BOUNDS, Process, Schema};

use super::limits;
use super::wire::{Input, Malformed, put, put_text};

const COUNTER: u64 = 0;
const HISTOGRAM: u64 = 1;

pub(crate) fn put_schema(out: &mut Vec<u8>, schema: &Schema) {
    put(out, schema.labels.len() as u64);
    for label in &schema.labels {
        put_text(out, &label.name);
        put(out, label.values.len() as u64);
        for value in &label.values {
            put_text(out, value);
        }
    }
    put(out, schema.families.len() as u64);
    for family in &schema.families {
        put_text(out, &family.name);
        put(out, if family.kind == Kind::Histogram { HISTOGRAM } else { COUNTER });
        put_text(out, &family.unit);
        put(out, family.divisor.to_bits());
        put_text(out, &family.help);
        put(out, family.labels.len() as u64);
        for &label in &family.labels {
            put(out, label as u64);
        }
        put(out, family.bounds.len() as u64);
        for &bound in &family.bounds {
            put(out, bound);
        }
    }
}

/// Whether a reader would take it.
pub(crate) fn fits(schema: &Schema) -> bool {
    schema.len <= limits::CELLS
        && schema.families.len() <= limits::FAMILIES
        && schema.labels.len() <= limits::LABELS
        && schema.labels.iter().all(|label| label.values.len() <= limits::LABEL_VALUES)
}

fn label(input: &mut Input<'_>) -> Result<LabelValues, Malformed> {
    let name = input.name()?;
    let count = input.below(limits::LABEL_VALUES + 1, "a label has too many values")?;
    let values = (0..count).map(|_| input.text()).collect::<Result<Vec<_>, _>>()?;
    let distinct = values.iter().collect::<BTreeSet<_>>().len() == count;
    if count == 0 || !distinct {
        return Err("a label's values");
    }
    Ok(LabelValues { name, values })
}

fn family(input: &mut Input<'_>, labels: &[LabelValues]) -> Result<Family, Malformed> {
    let name = input.name()?;
    let kind = match input.number()? {
        COUNTER => Kind::Counter,
        HISTOGRAM => Kind::Histogram,
        _ => return Err("a metric's kind"),
    };
    let unit = input.text()?;
    let divisor = f64::from_bits(input.number()?);
    if !(divisor.is_normal() && divisor > 0.0) {
        return Err("a metric's divisor");
    }
    let help = input.text()?;
    let mut used = Vec::new();
    for _ in 0..input.below(limits::LABELS + 1, "a metric has too many labels")? {
        let label = input.below(labels.len(), "a metric's label is not described")?;
        if used.contains(&label) {
            return Err("a metric has a label twice");
        }
        used.push(label);
    }
    let count = input.below(MAX_BOUNDS + 1, "a metric has too many bounds")?;
    let bounds = (0..count).map(|_| input.number()).collect::<Result<Vec<_>, _>>()?;
    if !bounds.is_sorted_by(|a, b| a < b) || (kind == Kind::Counter) != bounds.is_empty() {
        return Err("a metric's bounds");
    }
    let width = if kind == Kind::Histogram { bounds.len() + 2 } else { 1 };
    Ok(Family { name, kind, unit, divisor, help, labels: used, bounds, start: 0, width })
}

pub(crate) fn schema(input: &mut Input<'_>) -> Result<Schema, Malformed> {
    let count = input.below(limits::LABELS + 1, "there are too many labels")?;
    let labels = (0..count).map(|_| label(input)).collect::<Result<Vec<_>, _>>()?;
    let count = input.below(limits::FAMILIES + 1, "there are too many metrics")?;
    let mut families = Vec::new();
    let mut cells = 0_usize;
    for _ in 0..count {
        let family = family(input, &labels)?;
        let combinations =
            family.labels.iter().try_fold(1_usize, |n, &l| n.checked_mul(labels[l].values.len()));
        cells = combinations
            .and_then(|n| n.checked_mul(family.width))
            .and_then(|n| n.checked_add(cells))
            .filter(|&n| n <= limits::CELLS)
            .ok_or("there are too many values")?;
        families.push(family);
    }
    let unique = |names: Vec<&String>| names.iter().collect::<BTreeSet<_>>().len() == names.len();
    if !unique(labels.iter().map(|l| &l.name).collect())
        || !unique(families.iter().map(|f| &f.name).collect())
    {
        return Err("a name is said twice");
    }
    Ok(Schema::new(labels, families))
}

pub(crate) fn put_process(out: &mut Vec<u8>, process: &Process) {
    put(out, u64::from(process.pid));
    put(out, process.start_time);
    put(out, u64::from(process.sequence));
    put_text(out, &process.command);
    put_text(out, &process.strategy);
    put_text(out, &process.workload);
    put(out, u64::from(process.injected.is_some()));
    put_text(out, process.injected.as_deref().unwrap_or_default());
    put_text(out, &process.version);
    put(out, process.created);
}

pub(crate) fn process(input: &mut Input<'_>) -> Result<Process, Malformed> {
    let pid = input.small("a pid")?;
    let start_time = input.number()?;
    let sequence = input.small("a segment's number")?;
    let [command, strategy, workload] = [input.text()?, input.text()?, input.text()?];
    let is_injected = input.below(2, "whether a delay is injected")? == 1;
    let injected = input.text()?;
    Ok(Process {
        pid,
        start_time,
        sequence,
        command,
        strategy,
        workload,
        injected: is_injected.then_some(injected),
        version: input.text()?,
        created: input.number()?,
    })
}
