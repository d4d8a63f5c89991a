//! What stands in the report, in which order.

use super::Analysis;
use super::caches::caches;
use super::calendar::date;
use super::chart;
use super::document::{Block, Column, Document, Table};
use super::judge::{Verdict, place};
use super::words::{Unit, count, list, threads};
use super::{paper, quiet, results};
use crate::report::Row;

/// The report of an analysis.
pub(super) fn document(analysis: &Analysis) -> Document {
    let record = &analysis.record;
    let mut blocks: Vec<Block> = analysis.notices.iter().cloned().map(Block::Notice).collect();
    blocks.extend(introduction());
    blocks.extend(findings(analysis));
    blocks.extend(the_paper(analysis));
    blocks.extend(figures(analysis));
    blocks.extend(caches(record));
    blocks.extend(the_claims(analysis));
    blocks.extend(who_wins(analysis));
    blocks.extend(method(analysis));
    Document {
        title: "Phase 7.1, measured".to_owned(),
        subtitle: format!("{}; {}", record.report.machine.line(), date(record.conditions.began)),
        blocks,
    }
}

fn introduction() -> Vec<Block> {
    let text = "An allocator team replaced 56 mutexes by lock-free stacks, expected 15 to 25% more, got 3% less, then 6.6% less, \
                and could only estimate why. Here the same designs, and those that it proposed, run side by side in fresh \
                processes on one machine, and every CAS, retry, walked block and lock wait is counted. Each claim of the paper is \
                held against the counts, by a criterion that was stated beforehand and an interval that decides.";
    vec![Block::Section { id: "what", title: "What this is" }, Block::Paragraph(text.to_owned())]
}

fn findings(analysis: &Analysis) -> Vec<Block> {
    let claims = &analysis.claims;
    let number = |verdict| claims.iter().filter(|c| c.verdict == verdict).count();
    let tally = Verdict::ALL.map(|v| format!("{} {}", number(v), v.words()));
    let told = Verdict::ALL.into_iter().flat_map(|verdict| {
        claims.iter().filter(move |c| c.verdict == verdict).map(move |claim| (verdict, claim.finding()))
    });
    vec![
        Block::Section { id: "findings", title: "Findings" },
        Block::Paragraph(format!("Of {} claims: {}.", claims.len(), list(&tally))),
        Block::Findings(told.collect()),
    ]
}

fn the_paper(analysis: &Analysis) -> Vec<Block> {
    vec![
        Block::Section { id: "paper", title: "The paper's tables" },
        Block::Table(paper::throughput(&analysis.record.report)),
        Block::Table(paper::estimates(&analysis.claims)),
    ]
}

fn figures(analysis: &Analysis) -> Vec<Block> {
    let report = &analysis.record.report;
    let mut blocks = vec![Block::Section { id: "results", title: "Results" }];
    let mut charts = |title: &str, note: &str, charts: Vec<chart::Chart>| {
        if !charts.is_empty() {
            blocks.push(Block::Charts { title: title.to_owned(), note: note.to_owned(), charts });
        }
    };
    charts(
        "Change against the mutexes",
        "Speed of each design against the baseline of its round: the marker is the median of the paired ratios, the line its \
         interval. A triangle points up where a design is faster and down where it is slower; a circle is a difference that the \
         rounds do not show. Logarithmic axis.",
        report.tables.iter().filter_map(chart::changes).collect(),
    );
    for workload in ["larson", "storm"] {
        charts(
            &format!("Throughput against threads, {workload}"),
            "Median operations a second. In each panel one design is drawn in full, the mutexes dashed, and all others faint \
             behind. All panels have the same axes.",
            chart::throughputs(report, workload),
        );
    }
    charts(
        "CAS failures for each batch",
        "Failed CASes of pops for each batch, median and interval over the rounds. Logarithmic axis; what never failed stands at 0, \
         left of it. Designs that pop without a CAS are left out.",
        report.tables.iter().filter_map(chart::failures).collect(),
    );
    charts(
        "Retry depth in the storm",
        "Share of the operations on shared lists by the number of their retries, over all runs. Logarithmic axis: a storm is in the \
         tail.",
        chart::retries(report),
    );
    blocks.push(Block::Heading("What the columns mean".to_owned()));
    blocks.push(Block::List(results::LEGEND.map(str::to_owned).to_vec()));
    for table in &report.tables {
        blocks.push(Block::Table(results::table(table)));
        let sentence = |row: &Row| row.sentence.clone();
        blocks.push(Block::Remarks(table.rows.iter().map(sentence).collect()));
    }
    blocks
}

fn the_claims(analysis: &Analysis) -> Vec<Block> {
    let intro = "A claim is confirmed if the whole interval lies where its criterion says, refuted if no part of it does, and else \
                 cannot be told here. Each is judged on one workload, and they are different questions:";
    let mut blocks = vec![
        Block::Section { id: "claims", title: "Claim by claim" },
        Block::Paragraph(intro.to_owned()),
        Block::List(analysis.places.clone()),
    ];
    blocks.extend(analysis.claims.iter().cloned().map(|claim| Block::Claim(Box::new(claim))));
    blocks
}

fn who_wins(analysis: &Analysis) -> Vec<Block> {
    let name = |design: &Option<String>| design.clone().unwrap_or_else(|| "-".to_owned());
    let rows = analysis.winners.iter().map(|w| {
        vec![
            format!("{}, {}", w.workload, threads(w.threads)),
            w.fastest.clone(),
            if w.as_fast.is_empty() { "-".to_owned() } else { w.as_fast.join(", ") },
            name(&w.best_locks),
            name(&w.best_lock_free),
            w.lock_free_against_locks.as_ref().map_or_else(|| "-".to_owned(), |i| Unit::Change.interval(i)),
            w.outcome().to_owned(),
        ]
    });
    let table = Table {
        caption: "The fastest design, and the best lock-free one against the best one with locks".to_owned(),
        columns: vec![
            Column::words("workload"),
            Column::words("fastest"),
            Column::words("not to be told from it"),
            Column::words("best with locks"),
            Column::words("best lock-free"),
            Column::numbers("lock-free against locks"),
            Column::words("who wins"),
        ],
        rows: rows.collect(),
        notes: vec![
            "With locks: mutex, hybrid, targeted, which take batches under one. Lock-free: lockfree-walk, lockfree-single, \
             walk-once, small-batch, relaxed, depot. Neither: class-lock and global-lock have one shard a class, so that no free is \
             remote, and page shares no list: more than the lock differs."
                .to_owned(),
            "The best are chosen by the same runs that are then compared, which favours both a little.".to_owned(),
        ],
    };
    vec![
        Block::Section { id: "winners", title: "When locks win, and when lock-free does" },
        Block::Paragraph(
            "The paper says that locks win where the critical section does significant work or is calm, and lock-free where it is \
             trivial and contended. This is what won."
                .to_owned(),
        ),
        Block::Table(table),
    ]
}

fn method(analysis: &Analysis) -> Vec<Block> {
    let (report, c) = (&analysis.record.report, &analysis.record.conditions);
    let machine = match c.virtual_machine {
        Some(true) => "a virtual machine",
        Some(false) => "no virtual machine, as far as the processor says",
        None => "whether it is a virtual machine is not known",
    };
    let ticks = match c.ticks_per_second {
        Some(rate) => format!("tick counter {:.0} MHz", rate / 1e6),
        None => "tick counter without a known fixed rate".to_owned(),
    };
    let others = |t: &crate::report::Table| {
        let share = quiet::others(t).map_or_else(|| "not known".to_owned(), |share| Unit::Share.write(share));
        format!("{} {share}", place(t))
    };
    let others: Vec<String> = report.tables.iter().map(others).collect();
    let facts = vec![
        format!("Machine: {}; {}; {machine}; {ticks}.", report.machine.line(), c.architecture),
        format!("stormglass {}, begun {}.", report.version, date(c.began)),
        format!(
            "Share of the machine's time that other programs took, median over the runs: {}.",
            others.join("; ")
        ),
        format!("{} of {} planned finished.", count(c.finished_runs, "run"), c.planned_runs),
    ];
    let how = [
        "Each run is a process of its own: fresh memory, fresh rings, no warm page. Within a round the designs run one after another, \
         always in the same order (A B C, A B C), so that what drifts slowly touches both runs of a pair alike.",
        "A ratio is taken within a round. Its interval is an order statistic: if each round falls above the true median with \
         probability one half, the smallest and the largest of 5 enclose it with 93.75%, of 6 with 96.9%. No distribution is assumed. A \
         verdict takes 90%, and a machine of whose time other programs took less than a fifth: on a busier one the threads that should \
         meet are kept apart.",
        "So many intervals are not all right: of 30 at 96.9%, one is expected to miss. A single surprising verdict is a reason to \
         measure again.",
        "Counts are read from shared memory at both ends of the timed part, as the sidecar reads them.",
    ];
    let biased = [
        "The instrument: every design counts, at a cost of its own, and each slow path is timed. A remote free counts more \
         than a free into the ring, so designs with shards pay a little more in larson.",
        "Links of the shared lists lie outside user memory, a cache line each, so that a stale read is no data race. A walk touches as \
         many lines as the paper's did, but a block that is popped does not bring its own first line into the cache.",
        "A thread-local ring of 64 blocks stands in front, refilled 32 at a time. The lists see a small part of the operations, so a \
         difference between lists is diluted in larson, and by design not in the storm.",
        "A free of a block that another shard owns is pushed on that shard's remote-free stack, a CAS each, whichever the design. In \
         larson, whose blocks change hands, most frees may be such (see the tables), and that work hides the lists' differences. \
         class-lock, global-lock and page have one shard a class: there every free goes into the freeing thread's ring.",
        "Heads carry a version against ABA, which the paper's did not: its lists could be corrupted and be fast at it.",
        "larson touches two bytes of each block, the storm none: neither says what caches do to a program's own data.",
        "A virtual machine shares its processor: a thread may be suspended at any instruction, by a neighbour that nobody sees here.",
    ];
    let words = |lines: &[&str]| Block::List(lines.iter().map(|&line| line.to_owned()).collect());
    let mut blocks = vec![
        Block::Section { id: "method", title: "Method" },
        Block::List(facts),
        Block::Paragraph("The command that repeats it:".to_owned()),
        Block::Command(report.command.clone()),
        Block::Heading("How it is measured".to_owned()),
        words(&how),
        Block::Heading("What is biased, and why".to_owned()),
        words(&biased),
        Block::Heading("What went wrong".to_owned()),
    ];
    blocks.push(if report.problems.is_empty() {
        Block::Paragraph("Nothing: every run that was started finished, and its answer was right.".to_owned())
    } else {
        Block::List(report.problems.clone())
    });
    blocks
}
