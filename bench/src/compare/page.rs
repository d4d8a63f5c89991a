//! The report of a comparison as a page and as Markdown, from one document.

use super::report::{Report, Table};
use super::table::{MEANS, best, best_title, busy, cells, heads, mean, means_title, over_best_sentence};
use super::workload;
use crate::analysis::chart::{self, Chart};
use crate::analysis::document::{self, Block, Column, Document};
use crate::analysis::html::page;
use crate::analysis::markdown::text;
use crate::analysis::quiet;
use crate::analysis::words::list;
use crate::report as bench;
use crate::table::notes_on;

/// The report as one page that needs nothing else.
pub fn html(report: &Report) -> String {
    page(&document(report), "stormglass compare")
}

/// The report as Markdown.
pub fn markdown(report: &Report) -> String {
    text(&document(report))
}

fn document(report: &Report) -> Document {
    let mut blocks = Vec::new();
    let busy: Vec<String> = report.tables.iter().filter(|t| busy(t).is_some()).map(Table::place).collect();
    if !busy.is_empty() {
        blocks.push(Block::Notice(format!(
            "The machine was busy: other programs took more than {:.0}% of its time during {}. CPU/op suffers least; measure again on a \
             quiet machine.",
            quiet::MOST * 100.0,
            list(&busy)
        )));
    }
    blocks.push(Block::Section { id: "summary", title: "All workloads" });
    blocks.extend(summary(report));
    blocks.push(Block::Section { id: "charts", title: "Charts" });
    blocks.extend(charts(report));
    blocks.push(Block::Section { id: "tables", title: "Workload by workload" });
    for table in &report.tables {
        blocks.push(Block::Table(figures(table, &report.baseline)));
    }
    blocks.push(Block::Section { id: "method", title: "Method" });
    blocks.extend(method(report));
    Document { title: "Allocators side by side".to_owned(), subtitle: report.machine.line(), blocks }
}

fn summary(report: &Report) -> Vec<Block> {
    let summary = &report.summary;
    let means = document::Table {
        caption: means_title(&report.baseline),
        columns: columns(MEANS.map(str::to_owned)),
        rows: summary.means.iter().map(|m| mean(m).to_vec()).collect(),
        notes: vec![
            "limit is no allocator but a bound: nothing comes back from other threads or goes to the kernel."
                .to_owned(),
        ],
    };
    let best = document::Table {
        caption: best_title(&report.baseline),
        columns: vec![Column::words("workload"), Column::words("best peer"), Column::numbers("change")],
        rows: summary.best.iter().map(|b| best(b).to_vec()).collect(),
        notes: summary.over_best.map(|mean| over_best_sentence(&report.baseline, mean)).into_iter().collect(),
    };
    [means, best].into_iter().filter(|table| !table.rows.is_empty()).map(Block::Table).collect()
}

fn charts(report: &Report) -> Vec<Block> {
    let plain = plain(report);
    let mut blocks = Vec::new();
    let mut add = |title: String, note: &str, charts: Vec<Chart>| {
        if !charts.is_empty() {
            blocks.push(Block::Charts { title, note: note.to_owned(), charts });
        }
    };
    add(
        format!("Change against {}", report.baseline),
        "The marker is the median of the paired ratios, the line its interval. A triangle points up where an allocator is faster and \
         down where it is slower; a circle is a difference that the rounds do not show. Logarithmic axis.",
        plain.tables.iter().filter_map(chart::changes).collect(),
    );
    for (workload, panels) in sweeps(&plain) {
        add(
            format!("Throughput against threads, {workload}"),
            "Median operations a second. In each panel one allocator is drawn in full, the baseline dashed, and all others faint \
             behind. All panels have the same axes. The shaded ground has more threads than the machine has cores.",
            panels,
        );
    }
    blocks
}

/// Throughput against threads, of each workload that ran with several numbers of them.
fn sweeps(plain: &bench::Report) -> Vec<(&'static str, Vec<Chart>)> {
    let numbers = |name: &str| plain.tables.iter().filter(|table| table.workload == name).count();
    let names = workload::ALL.iter().map(|workload| workload.name());
    names.filter(|name| numbers(name) > 1).map(|name| (name, chart::throughputs(plain, name))).collect()
}

/// Throughput against threads as a drawing that stands alone; `None` where no workload ran with several numbers of them.
pub fn scaling(report: &Report) -> Option<String> {
    let title =
        |name| format!("{name}: median operations a second against threads; {} dashed", report.baseline);
    let parts: Vec<_> =
        sweeps(&plain(report)).into_iter().map(|(name, panels)| (title(name), panels)).collect();
    (!parts.is_empty()).then(|| chart::sheet("Throughput against threads", &parts))
}

/// The speeds as a report of the benchmark, which the charts draw.
fn plain(report: &Report) -> bench::Report {
    bench::Report {
        machine: report.machine.clone(),
        command: report.command.clone(),
        version: report.version.clone(),
        injected: None,
        progress: None,
        tables: report.tables.iter().map(|table| table.plain(&report.baseline)).collect(),
        problems: vec![],
    }
}

fn figures(table: &Table, baseline: &str) -> document::Table {
    let rounds = table.rows.iter().map(|row| row.runs.len()).max().unwrap_or(0);
    let s = &table.shape;
    let about = workload::named(&table.workload).map_or("", |workload| workload.about());
    let mut notes = notes_on(table.rows.iter().filter_map(|row| row.ratio.as_ref()));
    notes.push(format!(
        "{about}; {rounds} runs of {} s; sizes {} to {} bytes, {} chunks a thread, seed {}",
        s.seconds, s.min, s.max, s.chunks, s.seed
    ));
    document::Table {
        caption: table.place(),
        columns: columns(heads(baseline)),
        rows: table.rows.iter().map(|row| cells(row, baseline).to_vec()).collect(),
        notes,
    }
}

/// A column of words, then of numbers.
fn columns<const N: usize>(heads: [String; N]) -> Vec<Column> {
    let mut columns: Vec<Column> = heads.into_iter().map(Column::numbers).collect();
    columns[0].align = document::Align::Left;
    columns
}

fn method(report: &Report) -> Vec<Block> {
    let served = report.allocators.iter().map(|a| format!("{}: served by {}", a.name, a.served_by));
    let missing = report.missing.iter().map(|m| format!("{} took no part: {}", m.name, m.hint));
    let mut blocks = vec![
        Block::Paragraph(
            "Every run is a process of its own with the library preloaded, and the process itself says which object serves malloc. \
             Within a round the allocators run one after another, and only runs of one round are compared. Peak memory is of the whole \
             process, page faults and context switches are of the timed part. docs/METHODOLOGY.md says what is biased."
                .to_owned(),
        ),
        Block::Command(report.command.clone()),
        Block::List(served.chain(missing).collect()),
    ];
    if !report.problems.is_empty() {
        blocks.push(Block::Heading("What went wrong".to_owned()));
        blocks.push(Block::List(report.problems.clone()));
    }
    blocks.push(Block::Paragraph(format!("stormglass {}", report.version)));
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::synthetic::report;

    #[test]
    fn the_page_has_every_figure_and_needs_nothing_else() {
        let page = html(&report());
        for outside in ["://", "<script", "<link", "<img", "src=", "url(", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
        for word in
            ["xmalloc, 2 threads", "-75.0% [-75.0, -75.0]", "apt install libmimalloc2.0", "<svg ", "round 9"]
        {
            assert!(page.contains(word), "{word}");
        }
    }

    #[test]
    fn a_busy_machine_is_said_once() {
        let mut report = report();
        assert!(!html(&report).contains("was busy"));
        for table in &mut report.tables {
            table.others = Some(0.5);
        }
        assert!(html(&report).contains("20% of its time during larson, 2 threads and xmalloc, 2 threads."));
    }

    #[test]
    fn what_comes_from_outside_is_text() {
        let mut report = report();
        let evil = "<b>x</b>";
        report.baseline = evil.into();
        report.command = evil.into();
        report.allocators[0].served_by = evil.into();
        report.tables[0].rows[1].allocator = evil.into();
        assert!(!html(&report).contains(evil));
    }

    #[test]
    fn a_sweep_is_a_drawing_that_stands_alone() {
        let mut report = report();
        assert_eq!(scaling(&report), None, "one number of threads each");
        let mut four = report.tables[0].clone();
        four.shape.threads = 4;
        report.tables.push(four);
        let drawing = scaling(&report).expect("larson with two numbers");
        assert!(drawing.starts_with("<svg xmlns=") && drawing.contains("larson: median operations"));
        assert!(!drawing.contains("xmalloc: median"));
    }

    #[test]
    fn a_page_of_nothing_is_still_a_page() {
        let mut report = report();
        report.tables.clear();
        report.summary = crate::compare::Summary { means: vec![], best: vec![], over_best: None };
        assert!(
            html(&report).ends_with("</html>\n")
                && markdown(&report).starts_with("# Allocators side by side")
        );
    }
}
