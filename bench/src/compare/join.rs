//! A comparison that is measured in pieces: the tables of an earlier report beside those of this one.
//!
//! Invariant: a ratio is of runs of one round, so joining changes no table; only the means over all tables are made anew.

use super::report::{Allocator, Report, Table};
use super::summary::Summary;
use super::workload;
use crate::machine::Machine;

impl Report {
    /// Whether tables against this baseline, measured on this machine, may stand beside those of this report.
    ///
    /// # Errors
    /// A sentence that says what differs.
    pub fn fits(&self, baseline: &str, machine: &Machine) -> Result<(), String> {
        if self.baseline != baseline {
            return Err(format!("it compares with {}, and this comparison with {baseline}", self.baseline));
        }
        if self.machine != *machine {
            return Err(format!(
                "it was measured on {}, and this is {}",
                self.machine.line(),
                machine.line()
            ));
        }
        Ok(())
    }

    /// This report with the tables that the earlier one has and it has not. Both are of one machine and one baseline ([`Report::fits`]).
    #[must_use]
    pub fn with(mut self, earlier: Report) -> Report {
        let place = |table: &Table| (table.workload.clone(), table.shape.threads);
        let own: Vec<_> = self.tables.iter().map(place).collect();
        self.tables.extend(earlier.tables.into_iter().filter(|table| !own.contains(&place(table))));
        let rank = |name: &str| workload::ALL.iter().position(|w| w.name() == name);
        self.tables.sort_by_key(|table| (rank(&table.workload), table.shape.threads));
        self.allocators = joined(earlier.allocators, self.allocators);
        // Whose tables were all measured again without it took no part in what is left.
        let took_part =
            |name: &str| self.tables.iter().any(|t| t.rows.iter().any(|row| row.allocator == name));
        self.allocators.retain(|a| took_part(&a.name));
        self.missing.retain(|m| self.allocators.iter().all(|a| a.name != m.name));
        self.problems = [earlier.problems, self.problems].concat();
        self.command = format!("{} && {}", earlier.command, self.command);
        self.summary = Summary::of(&self.baseline, &self.tables);
        self
    }
}

/// Every allocator once; of one that two objects served, both are named.
fn joined(earlier: Vec<Allocator>, later: Vec<Allocator>) -> Vec<Allocator> {
    let mut all = earlier;
    for allocator in later {
        match all.iter_mut().find(|a| a.name == allocator.name) {
            None => all.push(allocator),
            Some(known) if known.served_by.split(", ").any(|file| file == allocator.served_by) => {}
            Some(known) => known.served_by = format!("{}, {}", known.served_by, allocator.served_by),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::synthetic::report;

    #[test]
    fn pieces_make_the_whole() {
        let whole = report();
        let piece = |at: usize| {
            let mut piece = whole.clone();
            piece.tables = vec![whole.tables[at].clone()];
            piece.summary = Summary::of(&piece.baseline, &piece.tables);
            piece
        };
        // The second first: the order is that of the workloads.
        let joined = piece(0).with(piece(1));
        assert_eq!((&joined.tables, &joined.summary), (&whole.tables, &whole.summary));
        assert_eq!(joined.allocators, whole.allocators);
        assert_eq!(joined.command, "stormglass compare && stormglass compare");
    }

    #[test]
    fn what_is_measured_again_takes_the_place_of_the_old() {
        let (mut new, mut old) = (report(), report());
        new.tables.truncate(1);
        old.tables[0].rows.clear();
        old.allocators[0].served_by = "/lib/old.so".into();
        let joined = new.with(old);
        assert_eq!(joined.tables, report().tables);
        assert_eq!(joined.allocators[0].served_by, "/lib/old.so, /lib/served.so");
    }

    #[test]
    fn who_came_later_is_missing_no_more() {
        let mut late = report();
        late.allocators.push(Allocator { name: "mimalloc".into(), served_by: "/lib/m.so".into() });
        assert!(report().with(late).missing.is_empty());
    }

    #[test]
    fn who_is_in_no_table_that_is_left_took_no_part() {
        let mut old = report();
        old.allocators.push(Allocator { name: "gone".into(), served_by: "/lib/gone.so".into() });
        let joined = report().with(old);
        assert!(joined.allocators.iter().all(|a| a.name != "gone"));
    }

    #[test]
    fn other_machines_and_baselines_stay_apart() {
        let report = report();
        assert_eq!(report.fits("stormglass", &report.machine), Ok(()));
        assert_eq!(
            report.fits("glibc", &report.machine),
            Err("it compares with stormglass, and this comparison with glibc".into())
        );
        let other = Machine { cores: 64, ..report.machine.clone() };
        assert_eq!(
            report.fits("stormglass", &other),
            Err("it was measured on Z80, 2 cores, 4 GiB, Linux 6.1.0, and this is Z80, 64 cores, 4 GiB, Linux 6.1.0".into())
        );
    }
}
