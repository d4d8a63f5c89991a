//! The tables of results: one for each workload and number of threads.

use super::document::{Column, Table};
use super::judge::place;
use super::words::{Unit, number};
use crate::report::{self, Row};
use crate::retries::Depth;
use crate::table::{notes, rate};

/// What the columns of the tables mean.
pub(super) const LEGEND: [&str; 9] = [
    "Change: the median of the paired ratios to the baseline, and in brackets its interval.",
    "CASes: attempts and failures of pops, for each batch that reached a ring. A dash: this design pops without a CAS.",
    "Walked/kept: blocks walked for each block kept; 1 is no waste.",
    "Contended: share of the lock acquisitions that had to wait. Lock wait: seconds waited in each second, over all threads.",
    "Retries: of one operation on a shared list, remote frees included; the 50th and 99th percentile and the deepest, each by \
     the bound of its bucket.",
    "Ring hits: share of the allocations that a thread's own ring served.",
    "Remote frees: blocks freed to another shard than the thread's own, a CAS each, for each allocation.",
    "Slow path: time of refills and spills for each batch.",
    "Counted figures are of all finished runs together; a dash is what was not counted, never a 0.",
];

/// The table of one workload.
pub(super) fn table(table: &report::Table) -> Table {
    let rounds = table.rows.iter().map(|r| r.runs.len()).max().unwrap_or(0);
    Table {
        caption: format!("{}, {rounds} x {} s", place(table), table.seconds),
        columns: vec![
            Column::words("design"),
            Column::words("paper"),
            Column::numbers("ops/s"),
            Column::numbers(format!("change vs {}, %", table.baseline)),
            Column::numbers("CASes a batch"),
            Column::numbers("CAS failures a batch"),
            Column::numbers("walked / kept"),
            Column::numbers("locks contended"),
            Column::numbers("lock wait, s/s"),
            Column::numbers("retries p50"),
            Column::numbers("p99"),
            Column::numbers("max"),
            Column::numbers("ring hits"),
            Column::numbers("remote frees"),
            Column::numbers("slow path a batch"),
        ],
        rows: table.rows.iter().map(|row| cells(row, &table.baseline)).collect(),
        notes: notes(&table.rows),
    }
}

fn cells(row: &Row, baseline: &str) -> Vec<String> {
    let m = &row.measures;
    let dash = || "-".to_owned();
    let figure = |value: Option<f64>| value.map_or_else(dash, number);
    let share = |value: Option<f64>| value.map_or_else(dash, |v| Unit::Share.write(v));
    let depth = |depth: Option<Depth>| depth.map_or_else(dash, |d| d.to_string());
    let change = match &row.ratio {
        Some(ratio) => Unit::Change.interval(ratio).replace('%', ""),
        None if row.design == baseline => "baseline".to_owned(),
        None => dash(),
    };
    // A design that pops without a CAS has no failures to show: 0 of 0 is not a measurement.
    let attempts = m.attempts_per_batch.filter(|n| *n > 0.0);
    let retries = row.retries.as_ref();
    vec![
        row.design.clone(),
        paper(&row.paper),
        rate(row.median_ops_per_second),
        change,
        figure(attempts),
        figure(attempts.and(m.failures_per_batch)),
        figure(m.walked_per_kept),
        share(m.lock_contended_ratio),
        figure(m.lock_contended_ratio.and(m.lock_wait_ratio)),
        depth(retries.and_then(|r| r.quantile(0.5))),
        depth(retries.and_then(|r| r.quantile(0.99))),
        depth(retries.and_then(crate::retries::Retries::deepest)),
        m.ring_hit_ratio.map_or_else(dash, |v| format!("{:.1}%", v * 100.0)),
        share(row.remote_frees),
        // A clock without a fixed rate counts 0 nanoseconds.
        m.slow_path_nanoseconds_per_batch.filter(|n| *n > 0.0).map_or_else(dash, time),
    ]
}

/// Where the paper has a design, as short as its column.
fn paper(place: &str) -> String {
    match place {
        "not in the paper" => "-".to_owned(),
        _ => place.trim_start_matches("Phase ").trim_start_matches("option ").to_owned(),
    }
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 999.5 => format!("{ns:.0} ns"),
        ns if ns < 999_500.0 => format!("{} µs", number(ns / 1e3)),
        ns => format!("{} ms", number(ns / 1e6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::synthetic;

    #[test]
    fn what_was_not_counted_is_a_dash() {
        let record = synthetic::record();
        let storm = table(record.report.tables.last().expect("storm"));
        assert_eq!(storm.caption, "storm, 4 threads, 5 x 0.8 s");
        let mutex = &storm.rows[0];
        assert_eq!(mutex[3..9].join(" "), "baseline - - - 30% 0.60");
        assert_eq!(mutex[9..12].join(" "), "- - -");
        let single = &storm.rows[2];
        assert_eq!(single[9..12].join(" "), "0 1 >4");
        assert!(storm.rows.iter().all(|row| row.len() == storm.columns.len()));
    }

    #[test]
    fn the_paper_is_named_in_short() {
        assert_eq!(
            ["Phase 7.1", "option A1", "B1, MF2", "not in the paper"].map(paper),
            ["7.1", "A1", "B1, MF2", "-"]
        );
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!([time(12.0), time(1234.0), time(5e6)], ["12 ns", "1.23 µs", "5.00 ms"]);
    }
}
