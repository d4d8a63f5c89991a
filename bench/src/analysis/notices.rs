//! What the reader must know before any figure.

use super::judge::place;
use super::quiet;
use super::record::Record;
use super::words::list;

/// The notices, the most important first: with an injected delay nothing here is a property of the machine.
pub(super) fn notices(record: &Record) -> Vec<String> {
    let c = &record.conditions;
    let mut notices = Vec::new();
    if let Some(injected) = &record.report.injected {
        notices.push(format!(
            "DELAY INJECTED: {injected}. The figures show what was asked for, not this machine alone, and nothing is judged."
        ));
    }
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
    let busy: Vec<String> =
        record.report.tables.iter().filter(|t| quiet::busy(t).is_some()).map(place).collect();
    if !busy.is_empty() {
        notices.push(format!(
            "The machine was busy: other programs took more than {:.0}% of its time during {}. On these nothing is judged, because \
             threads that should have met were kept apart. Measure again on a quiet machine.",
            quiet::MOST * 100.0,
            list(&busy)
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
    fn an_injected_delay_comes_first() {
        let mut record = synthetic::record();
        record.report.injected = Some("class=8192,shard=3,delay=500ns".into());
        record.conditions.quick = true;
        assert!(notices(&record)[0].starts_with("DELAY INJECTED: class=8192,shard=3,delay=500ns."));
    }

    #[test]
    fn a_whole_report_has_none_and_a_part_says_so() {
        let mut record = synthetic::record();
        assert!(notices(&record).is_empty());
        record.conditions.interrupted = true;
        record.conditions.finished_runs = 7;
        for round in record.report.tables[4].rows.iter_mut().flat_map(|row| row.rounds.iter_mut().flatten()) {
            round.others = Some(0.5);
        }
        record.report.problems.push("stopped after 7 of 300 runs".into());
        let found = notices(&record);
        assert_eq!(
            found[0],
            "This report was interrupted: it holds the 7 of 300 planned runs that were finished."
        );
        assert!(found[1].starts_with(
            "The machine was busy: other programs took more than 20% of its time during storm, 4 threads."
        ));
        assert!(found[2].starts_with("One thing went wrong"));
    }
}
