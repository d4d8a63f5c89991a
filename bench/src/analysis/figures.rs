//! What a claim is about: a figure of one design, or of one design against another, on one workload.
//!
//! Invariant: a figure is taken round by round and compared within a round, so that an interval can be made of it, and a
//! figure that is not there is a reason, never a 0.

use stormglass_allocator::StrategyId;

use super::compare::pair;
use super::judge::place;
use super::words::{Unit, threads};
use crate::report::{Report, Round, Row, Table};

/// Where a claim is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The paper's benchmark with this many threads.
    Larson(usize),
    /// The storm with as many threads as run at once: at most the paper's 4, at least 2.
    Storm,
}

/// The paper's number of threads.
const PAPERS_THREADS: usize = 4;

impl Place {
    /// The table of this place.
    pub(super) fn table(self, report: &Report) -> Result<&Table, String> {
        let tables = report.tables.iter();
        match self {
            Place::Larson(n) => tables
                .into_iter()
                .find(|t| t.workload == "larson" && t.threads == n)
                .ok_or_else(|| format!("larson was not measured with {}", threads(n))),
            Place::Storm => {
                let most = report.machine.cores.clamp(2, PAPERS_THREADS);
                tables
                    .filter(|t| t.workload == "storm" && (2..=most).contains(&t.threads))
                    .max_by_key(|t| t.threads)
                    .ok_or_else(|| match most {
                        2 => "storm was not measured with 2 threads".to_owned(),
                        _ => format!("storm was not measured with 2 to {most} threads"),
                    })
            }
        }
    }

    /// What is to be kept in mind of a figure that was measured here; `None` if nothing was.
    pub(super) fn mind(self, report: &Report) -> Option<String> {
        let table = self.table(report).ok()?;
        let what = match self {
            Place::Larson(_) => {
                "the paper's benchmark. A thread-local ring stands in front of the lists and serves most allocations, so of a \
                 difference between lists only a part is seen. Blocks change hands, so many frees are remote, a CAS each under \
                 every design that has shards."
            }
            Place::Storm => {
                "the case that the paper argues about, every thread on one shard. It is the worst case, and no typical program."
            }
        };
        let cores = report.machine.cores;
        let crowded = if table.threads > cores {
            let at_once = if cores == 1 { "one runs".to_owned() } else { format!("{cores} run") };
            format!(
                " Of its threads at most {at_once} at once on this machine: there is less contention than on as many cores, and a \
                 thread that is suspended while it holds a lock makes others wait."
            )
        } else {
            String::new()
        };
        Some(format!("{}: {what}{crowded}", place(table)))
    }

    /// In words, before anything is measured.
    pub(super) fn words(self) -> String {
        match self {
            Place::Larson(n) => format!("larson, {}", threads(n)),
            Place::Storm => "storm, as many threads as cores (2 to 4)".to_owned(),
        }
    }
}

/// A figure of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    /// Allocations a second.
    Speed,
    /// Failed share of the CASes of pops.
    RetryRate,
    /// Blocks walked for each block kept.
    WalkedPerKept,
    /// CAS attempts of pops for each batch.
    Attempts,
    /// Ticks in the slow path for each batch.
    SlowPath,
}

impl Figure {
    fn words(self) -> &'static str {
        match self {
            Figure::Speed => "allocations a second",
            Figure::RetryRate => "failed share of the CASes of pops",
            Figure::WalkedPerKept => "blocks walked for each block kept",
            Figure::Attempts => "CAS attempts of pops for each batch",
            Figure::SlowPath => "time in the slow path for each batch",
        }
    }

    /// The value of one run. `ticks` is the rate of the tick counter.
    fn of(self, round: &Round, ticks: Option<f64>) -> Option<f64> {
        let m = &round.measures;
        // Of a design that pops without a CAS there is no retry rate: 0 of 0 is not a measurement.
        let attempts = m.attempts_per_batch.filter(|n| *n > 0.0);
        match self {
            Figure::Speed => Some(round.ops_per_second),
            Figure::RetryRate => Some(m.failures_per_batch? / attempts?),
            Figure::WalkedPerKept => m.walked_per_kept,
            Figure::Attempts => attempts,
            // A clock without a fixed rate counts 0 nanoseconds.
            Figure::SlowPath => Some(m.slow_path_nanoseconds_per_batch.filter(|n| *n > 0.0)? * ticks? / 1e9),
        }
    }
}

/// A figure of a design, or its ratio to that of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quantity {
    pub(super) figure: Figure,
    pub(super) of: &'static str,
    pub(super) against: Option<&'static str>,
}

impl Quantity {
    pub(super) fn unit(&self) -> Unit {
        match (self.figure, self.against) {
            (Figure::Speed, _) => Unit::Change,
            (_, Some(_)) => Unit::Times,
            (Figure::RetryRate, None) => Unit::Share,
            (Figure::SlowPath, None) => Unit::Ticks,
            (Figure::WalkedPerKept | Figure::Attempts, None) => Unit::Number,
        }
    }

    pub(super) fn words(&self) -> String {
        let figure = self.figure.words();
        match self.against {
            Some(against) => format!("{figure}, {} against {against}", self.of),
            None => format!("{figure}, {}", self.of),
        }
    }

    /// One value a round, or why there is none.
    pub(super) fn values(&self, table: &Table, ticks: Option<f64>) -> Result<Vec<f64>, String> {
        if self.figure == Figure::SlowPath && ticks.is_none() {
            return Err("the processor's tick counter has no fixed rate that is known".to_owned());
        }
        let of = row(table, self.of)?;
        let figure = |round: &Round| self.figure.of(round, ticks);
        let values = match self.against {
            None => of.rounds.iter().flatten().filter_map(figure).collect(),
            Some(against) => pair(of, row(table, against)?, figure),
        };
        if values.is_empty() {
            return Err(format!("no round has the figure ({})", self.words()));
        }
        Ok(values)
    }
}

fn row<'t>(table: &'t Table, design: &str) -> Result<&'t Row, String> {
    table
        .rows
        .iter()
        .find(|row| row.design == design)
        .ok_or_else(|| missing(design, design.parse::<StrategyId>().is_ok()))
}

/// Why a design has no row.
fn missing(design: &str, known: bool) -> String {
    if known {
        format!("no run of {design} was finished here")
    } else {
        format!("this stormglass has no design {design}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::synthetic;

    #[test]
    fn a_storm_is_judged_where_its_threads_run_at_once() {
        let mut report = synthetic::record().report;
        for (cores, threads) in [(1, 2), (2, 2), (3, 2), (4, 4), (64, 4)] {
            report.machine.cores = cores;
            assert_eq!(Place::Storm.table(&report).expect("measured").threads, threads, "{cores} cores");
        }
        report.tables.retain(|t| t.workload == "larson");
        assert_eq!(Place::Storm.table(&report), Err("storm was not measured with 2 to 4 threads".to_owned()));
        assert_eq!(Place::Larson(3).table(&report), Err("larson was not measured with 3 threads".to_owned()));
    }

    #[test]
    fn what_is_missing_is_a_reason() {
        assert_eq!(missing("page", false), "this stormglass has no design page");
        assert_eq!(missing("page", true), "no run of page was finished here");
        let record = synthetic::record();
        let table = Place::Storm.table(&record.report).expect("measured");
        let slow = Quantity { figure: Figure::SlowPath, of: "mutex", against: None };
        assert!(slow.values(table, None).expect_err("no rate").contains("no fixed rate"));
        let retries = Quantity { figure: Figure::RetryRate, of: "mutex", against: None };
        assert!(retries.values(table, None).expect_err("no CAS").starts_with("no round has the figure"));
    }
}
