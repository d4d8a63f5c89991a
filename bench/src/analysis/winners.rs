//! Which design wins where: on each workload and number of threads, the fastest, and locks against lock-free.
//!
//! Locks are compared with lock-free among the designs that have the same shards, for a list without shards also has no remote
//! frees, and in larson most frees are remote. Invariant: a design is only said to win if its interval against the other leaves out 1. "Best" is chosen by the same runs
//! that are then compared, which favours it a little; the report says so.

use serde::Serialize;

use super::compare::speed;
use super::quiet;
use crate::report::{Report, Row, Table};
use crate::stats::Interval;

/// How a design keeps its shared lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Batches are taken under a lock.
    Locks,
    /// Batches are taken with CASes.
    LockFree,
    /// One shard a class, so that no free is remote: more than the lock differs from the others.
    OneShard,
    /// No list is shared.
    Unshared,
    /// A design that this build has no word for.
    Other,
}

impl Family {
    /// The family of a design, by its name.
    pub(super) fn of(design: &str) -> Family {
        match design {
            "mutex" | "hybrid" | "targeted" => Family::Locks,
            "class-lock" | "global-lock" => Family::OneShard,
            "lockfree-walk" | "lockfree-single" | "walk-once" | "small-batch" | "relaxed" | "depot" => {
                Family::LockFree
            }
            "page" => Family::Unshared,
            _ => Family::Other,
        }
    }
}

/// The result of one table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Winner {
    /// Name of the workload.
    pub workload: String,
    /// Its threads.
    pub threads: usize,
    /// The design with the highest median.
    pub fastest: String,
    /// Designs that the rounds cannot tell from it.
    pub as_fast: Vec<String>,
    /// The fastest design with locks.
    pub best_locks: Option<String>,
    /// The fastest lock-free design.
    pub best_lock_free: Option<String>,
    /// Whether other programs had too much of the machine for anybody to win.
    pub busy: bool,
    /// The lock-free one against the one with locks.
    pub lock_free_against_locks: Option<Interval>,
}

impl Winner {
    /// Who wins, locks or lock-free, in words.
    pub(super) fn outcome(&self) -> &'static str {
        match &self.lock_free_against_locks {
            _ if self.busy => "the machine was busy",
            Some(i) if i.differs() && i.median > 1.0 => "lock-free",
            Some(i) if i.differs() => "locks",
            Some(_) => "no difference shown",
            None => "not measured",
        }
    }
}

/// One for each table.
pub(super) fn winners(report: &Report) -> Vec<Winner> {
    report.tables.iter().filter_map(winner).collect()
}

fn winner(table: &Table) -> Option<Winner> {
    let best = |family: Option<Family>| {
        let rows = table.rows.iter().filter(|r| family.is_none_or(|f| Family::of(&r.design) == f));
        rows.max_by(|a, b| a.median_ops_per_second.total_cmp(&b.median_ops_per_second))
    };
    let fastest = best(None)?;
    let others = table.rows.iter().filter(|r| r.design != fastest.design);
    let as_fast = others.filter(|r| !speed(r, fastest).is_some_and(|i| i.differs()));
    let (locks, lock_free) = (best(Some(Family::Locks)), best(Some(Family::LockFree)));
    let name = |row: Option<&Row>| row.map(|r| r.design.clone());
    Some(Winner {
        workload: table.workload.clone(),
        threads: table.threads,
        fastest: fastest.design.clone(),
        as_fast: as_fast.map(|r| r.design.clone()).collect(),
        best_locks: name(locks),
        best_lock_free: name(lock_free),
        busy: quiet::busy(table).is_some(),
        lock_free_against_locks: lock_free.zip(locks).and_then(|(a, b)| speed(a, b)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::synthetic;

    #[test]
    fn the_fastest_wins_and_what_cannot_be_told_from_it_is_named() {
        let mut report = synthetic::record().report;
        report.tables.retain(|t| (t.workload.as_str(), t.threads) == ("storm", 4));
        let found = winners(&report);
        assert_eq!((found[0].fastest.as_str(), found[0].as_fast.len()), ("page", 0));
        assert_eq!(found[0].best_lock_free.as_deref(), Some("depot"));
        assert_eq!(found[0].outcome(), "lock-free");
        let mut busy = report.clone();
        for round in busy.tables[0].rows.iter_mut().flat_map(|row| row.rounds.iter_mut().flatten()) {
            round.others = Some(0.5);
        }
        assert_eq!(winners(&busy)[0].outcome(), "the machine was busy");
        report.tables[0].rows.retain(|r| ["walk-once", "relaxed", "mutex"].contains(&r.design.as_str()));
        report.tables[0].rows[0].rounds.truncate(1);
        let found = winners(&report);
        assert_eq!(found[0].fastest, "mutex");
        assert_eq!(found[0].as_fast, ["walk-once", "relaxed"], "one round tells nothing");
        assert_eq!(found[0].outcome(), "no difference shown");
        report.tables[0].rows.truncate(1);
        assert_eq!(winners(&report)[0].outcome(), "not measured");
    }

    #[test]
    fn every_design_of_this_build_has_a_family() {
        for design in stormglass_allocator::StrategyId::ALL {
            assert_ne!(
                Family::of(design.name()),
                Family::Other,
                "{design} has no family: name it in Family::of"
            );
        }
    }
}
