//! Reads what `record_counts` wrote.

use std::sync::Arc;
use std::time::Duration;

use stormglass_telemetry::{Counts, Delta, Inside, Schema, Shape};

/// One process.
pub(crate) struct Run {
    /// Command, design and workload.
    pub(crate) name: String,
    pub(crate) deltas: Vec<Delta>,
}

impl Run {
    pub(crate) fn length(&self) -> Duration {
        self.deltas.iter().filter_map(|delta| delta.elapsed).sum()
    }
}

/// Every run of a file of telemetry/tests/data.
pub(crate) fn runs(file: &str) -> Vec<Run> {
    let path = format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut runs: Vec<Run> = Vec::new();
    let mut schema = Arc::new(Schema::own());
    let mut classes: Vec<u32> = Vec::new();
    let mut cells: Vec<usize> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "run" => {
                runs.push(Run { name: rest.trim().to_owned(), deltas: Vec::new() });
                cells.clear();
            }
            "classes" => classes = rest.split(' ').map(|class| class.parse().expect("a size")).collect(),
            "shards" => {
                let shards = rest.parse().expect("a number");
                schema = Arc::new(Schema::of(Shape {
                    class_bytes: &classes,
                    shards,
                    totals: false,
                    inside: Inside::NONE,
                }));
            }
            "cell" => cells.push(cell(&schema, rest)),
            milliseconds => {
                let mut counts = Counts::zero(Arc::clone(&schema));
                for pair in rest.split_whitespace() {
                    let (number, value) = pair.split_once(':').expect("a cell and its value");
                    let number: usize = number.parse().expect("a number");
                    counts.values[cells[number]] = value.parse().expect("a count");
                }
                let elapsed = Some(Duration::from_millis(milliseconds.parse().expect("milliseconds")));
                runs.last_mut().expect("a run").deltas.push(Delta { elapsed, counts });
            }
        }
    }
    runs
}

/// The place among the values of `NAME CLASS SHARD OPERATION`; of a histogram, that of its sum.
fn cell(schema: &Schema, words: &str) -> usize {
    let mut words = words.split(' ');
    let name = words.next().expect("a name");
    let family = schema.families.iter().find(|f| f.name == name).expect("a metric");
    let indices = words.filter(|&word| word != "-").map(|word| word.parse::<usize>().expect("an index"));
    let index =
        family.labels.iter().zip(indices).fold(0, |i, (&l, at)| i * schema.labels[l].values.len() + at);
    family.start + index * family.width + family.width - 1
}
