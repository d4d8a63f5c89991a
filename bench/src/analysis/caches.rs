//! What the report says of caches: what the processor counted inside slow paths, and what was simulated.
//!
//! Invariant: a simulated figure never stands beside a measured one, and is called simulated wherever it stands.

use super::document::{Block, Column, Table};
use super::judge::place;
use super::record::Record;
use super::words::number;
use crate::report;
use crate::simulation::{Simulated, Simulation};

/// The section.
pub(super) fn caches(record: &Record) -> Vec<Block> {
    let mut blocks = vec![Block::Section { id: "caches", title: "Caches" }];
    let tables: Vec<Table> = record.report.tables.iter().filter_map(inside).collect();
    if tables.is_empty() {
        let why = match &record.conditions.uncounted {
            Some(why) => format!("not available here: {why}"),
            None => "not counted for this report".to_owned(),
        };
        blocks.push(Block::Paragraph(format!(
            "Cache misses inside the slow path, by the processor's counters: {why}. What stands in for \
             them above: CAS failures, blocks walked in vain, and the slow path's time by the time-stamp counter."
        )));
    }
    blocks.extend(tables.into_iter().map(Block::Table));
    match &record.simulation {
        None => {}
        Some(Simulated::Not(why)) => {
            blocks.push(Block::Paragraph(format!("Simulated caches: not available here: {why}.")));
        }
        Some(Simulated::Run(simulation)) => blocks.extend(simulated(simulation)),
    }
    blocks
}

/// Of one workload, if any of its designs was counted.
fn inside(table: &report::Table) -> Option<Table> {
    let any = |m: &stormglass_telemetry::Measures| {
        [m.cache_misses_per_slow_path, m.cycles_per_slow_path, m.instructions_per_slow_path]
            .iter()
            .any(Option::is_some)
    };
    if !table.rows.iter().any(|row| any(&row.measures)) {
        return None;
    }
    let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
    let rows = table.rows.iter().map(|row| {
        let m = &row.measures;
        vec![
            row.design.clone(),
            figure(m.cache_misses_per_slow_path),
            figure(m.cycles_per_slow_path),
            figure(m.instructions_per_slow_path),
        ]
    });
    Some(Table {
        caption: format!("One slow path by the processor's counters, {}", place(table)),
        columns: vec![
            Column::words("design"),
            Column::numbers("cache misses"),
            Column::numbers("cycles"),
            Column::numbers("instructions"),
        ],
        rows: rows.collect(),
        notes: vec![
            "Means of the slow paths that were sampled, about one in 64, in user mode; misses are those of the last level of cache. A \
             dash is what this processor does not count."
                .to_owned(),
        ],
    })
}

fn simulated(simulation: &Simulation) -> Vec<Block> {
    let rows = simulation.rows.iter().map(|row| {
        vec![
            row.design.clone(),
            number(row.first_level_misses),
            number(row.last_level_misses),
            number(row.instructions),
        ]
    });
    vec![
        Block::Heading("Simulated, not measured".to_owned()),
        Block::Paragraph(format!(
            "A shortened run of {} under {} with caches of {}. The simulation has the caches of one core and runs the threads in turn: \
             it shows how many cache lines an allocation touches, and nothing of lines that go back and forth between cores, which is what \
             the paper's estimates are about.",
            simulation.workload, simulation.tool, simulation.caches
        )),
        Block::Table(Table {
            caption: "Simulation: misses for each allocation".to_owned(),
            columns: vec![
                Column::words("design"),
                Column::numbers("first level, simulated"),
                Column::numbers("last level, simulated"),
                Column::numbers("instructions"),
            ],
            rows: rows.collect(),
            notes: vec![
                "The difference of a longer and a shorter run, so that start and set-up cancel out; one pair, without an interval."
                    .to_owned(),
            ],
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Analysis, markdown, synthetic};
    use crate::simulation::SimulatedRow;

    fn text(record: Record) -> String {
        markdown(&Analysis::of(record))
    }

    #[test]
    fn what_is_not_counted_says_why() {
        let mut record = synthetic::record();
        record.conditions.uncounted = Some("this machine has no PMU".to_owned());
        record.simulation = Some(Simulated::Not("valgrind is not installed".to_owned()));
        let text = text(record);
        assert!(text.contains("not available here: this machine has no PMU"), "{text}");
        assert!(text.contains("Simulated caches: not available here: valgrind is not installed"), "{text}");
    }

    #[test]
    fn a_simulated_figure_is_called_so() {
        let mut record = synthetic::record();
        record.simulation = Some(Simulated::Run(Simulation {
            tool: "valgrind-3.19.0".to_owned(),
            workload: "storm, 2 threads".to_owned(),
            caches: "32 KiB".to_owned(),
            rows: vec![SimulatedRow {
                design: "mutex".to_owned(),
                allocations: 1000,
                instructions: 123.0,
                first_level_misses: 1.5,
                last_level_misses: 0.25,
            }],
        }));
        let text = text(record);
        let section = text.split("Simulated, not measured").nth(1).expect("a heading");
        assert!(section.contains("first level, simulated") && section.contains("1.5"), "{section}");
    }

    #[test]
    fn what_the_processor_counted_has_a_table() {
        let mut record = synthetic::record();
        record.report.tables[3].rows[1].measures.cache_misses_per_slow_path = Some(31.0);
        let text = text(record);
        let section = text.split("One slow path by the processor's counters").nth(1).expect("a table");
        assert!(section.contains("31"), "{section}");
        assert!(!text.contains("not counted for this report"));
    }
}
