//! Records what the rules of the verdicts read, of every process in a directory of segments, as text: the data that tests replay.
//! `record_counts DIRECTORY MILLISECONDS SECONDS` looks at each process at that interval for so long, and prints in the end.
//!
//! ```text
//! run NAME                          one process: command, design, workload
//! classes 2048 3072 ...             its class sizes
//! shards 8
//! cell NAME CLASS SHARD OPERATION   what the next number stands for: indices, - where there is none
//! 1000 0:12 5:3                     what was added to the cells in so many milliseconds; those that stayed are left out
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use stormglass_telemetry::diagnosis::METRICS_READ;
use stormglass_telemetry::{Directory, Kind, Label, Liveness, Segment, Snapshot};

/// One process, so far.
struct Run {
    segment: Segment,
    last: Snapshot,
    /// Number of a cell, by its place among the values.
    cells: BTreeMap<usize, usize>,
    text: String,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize| words.get(i).and_then(|word| word.parse().ok());
    let (Some(place), Some(interval), Some(seconds)) = (words.first(), number(1), number(2)) else {
        eprintln!("usage: record_counts DIRECTORY MILLISECONDS SECONDS");
        return ExitCode::from(2);
    };
    let directory = Directory::at(place);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut runs: BTreeMap<_, Run> = BTreeMap::new();
    while Instant::now() < end {
        for path in directory.scan().unwrap_or_default() {
            if !runs.contains_key(&path)
                && let Ok(segment) = Segment::open(&path)
                && let Ok(last) = segment.snapshot()
            {
                runs.insert(path, Run::new(segment, last));
            }
        }
        thread::sleep(Duration::from_millis(interval));
        runs.values_mut().for_each(Run::look);
    }
    for run in runs.values() {
        print!("{}", run.text);
    }
    ExitCode::SUCCESS
}

impl Run {
    fn new(segment: Segment, last: Snapshot) -> Run {
        let process = &last.process;
        let schema = &last.counts.schema;
        let text = format!(
            "run {} {} {}\nclasses {}\nshards {}\n",
            process.command,
            process.strategy,
            process.workload,
            schema.label_values(Label::Class).join(" "),
            schema.label_values(Label::Shard).len()
        );
        Run { segment, last, cells: BTreeMap::new(), text }
    }

    fn look(&mut self) {
        let Ok(now) = self.segment.snapshot() else { return };
        if now.liveness == Liveness::Dead {
            return;
        }
        let Some(delta) = now.since(&self.last) else { return };
        let schema = Arc::clone(&delta.counts.schema);
        let mut row = format!("{}", delta.elapsed.unwrap_or_default().as_millis());
        for metric in METRICS_READ {
            let Some(family) = schema.family(metric) else { continue };
            let mut place = family.start;
            delta.counts.each(family, |at, values| {
                // Of a histogram, the sum.
                let value = if family.kind == Kind::Histogram { values[family.width - 1] } else { values[0] };
                if value > 0 {
                    let known = self.cells.len();
                    let cell = *self.cells.entry(place).or_insert_with(|| {
                        let index = |i: usize| at.get(i).map_or("-".to_owned(), usize::to_string);
                        let _ = writeln!(
                            self.text,
                            "cell {} {} {} {}",
                            family.name,
                            index(0),
                            index(1),
                            index(2)
                        );
                        known
                    });
                    let _ = write!(row, " {cell}:{value}");
                }
                place += family.width;
            });
        }
        self.text.push_str(&row);
        self.text.push('\n');
        self.last = now;
    }
}
