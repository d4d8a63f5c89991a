//! What the reader must know before any figure.

use super::record::Record;

/// Load for each core from which the machine counts as busy.
const BUSY: f64 = 0.25;

/// The notices, the most important first. An injected delay, once a report can have one, belongs at the very top: with it
/// nothing here is a property of the machine.
pub(super) fn notices(record: &Record) -> Vec<String> {
    let c = &record.conditions;
    let mut notices = Vec::new();
    if c.interrupted {
        notices.push(format!(
            "This report was interrupted: it holds the {} of {} planned runs that were finished.",
            c.finished_runs, c.planned_runs
        ));
    }
    if c.quick {
        notices.push(
            "This is a quick report: short runs, few rounds, the paper's numbers of threads only. Take the figures as a \
             first look; without --quick it measures longer."
                .to_owned(),
        );
    }
    let cores = record.report.machine.cores;
    if let Some(load) = c.load.filter(|load| *load > BUSY * cores as f64) {
        notices.push(format!(
            "The machine was busy: in the minute before, {load:.1} threads wanted its {cores} cores. What ran beside the \
             measurement widens its intervals, and threads that should have met were kept apart."
        ));
    }
    match record.report.problems.len() {
        0 => {}
        1 => notices.push("One thing went wrong while it was measured; it stands under Method.".to_owned()),
        n => notices.push(format!("{n} things went wrong while it was measured; they stand under Method.")),
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::synthetic;

    #[test]
    fn a_whole_report_has_none_and_a_part_says_so() {
        let mut record = synthetic::record();
        assert!(notices(&record).is_empty());
        record.conditions.interrupted = true;
        record.conditions.finished_runs = 7;
        record.conditions.load = Some(1.5);
        record.report.problems.push("stopped after 7 of 300 runs".into());
        let found = notices(&record);
        assert_eq!(
            found[0],
            "This report was interrupted: it holds the 7 of 300 planned runs that were finished."
        );
        assert!(
            found[1]
                .starts_with("The machine was busy: in the minute before, 1.5 threads wanted its 2 cores.")
        );
        assert!(found[2].starts_with("One thing went wrong"));
    }
}
