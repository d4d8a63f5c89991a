//! Small multiples: the same small chart for every design, on the same axes.
//!
//! A dozen lines in one chart cannot be followed, by colour or otherwise; a dozen panels can.

use super::Chart;
use super::axis::LogAxis;
use crate::analysis::figures::Place;
use crate::analysis::judge::place;
use crate::analysis::svg::{Anchor, Marker, Svg};
use crate::analysis::words::threads;
use crate::report::{Report, Row, Table};
use crate::retries::{Depth, Retries};
use crate::table::rate;

pub(super) const WIDTH: f64 = 176.0;
pub(super) const HEIGHT: f64 = 124.0;
/// The plot's left and right end, its top and its bottom.
const X: (f64, f64) = (40.0, 166.0);
const Y: (f64, f64) = (10.0, 96.0);

/// Throughput of each design by number of threads on one workload. Where there are more threads than cores the ground is
/// shaded: there the scheduler is measured, too.
pub(crate) fn throughputs(report: &Report, workload: &str) -> Vec<Chart> {
    let tables: Vec<&Table> = report.tables.iter().filter(|t| t.workload == workload).collect();
    let rows = tables.iter().flat_map(|t| &t.rows);
    let most = rows.clone().map(|r| r.median_ops_per_second).fold(0.0, f64::max);
    let mut designs: Vec<&str> = Vec::new();
    for row in rows {
        if !designs.contains(&row.design.as_str()) {
            designs.push(&row.design);
        }
    }
    let cores = report.machine.cores;
    designs.iter().map(|design| throughput(&tables, &designs, design, most, cores)).collect()
}

fn throughput(tables: &[&Table], designs: &[&str], own: &str, most: f64, cores: usize) -> Chart {
    // Off the axis, so that the first point's labels do not touch the axis' own.
    let first = X.0 + 8.0;
    let step = (X.1 - first) / (tables.len().max(2) - 1) as f64;
    let x = |i: usize| first + step * i as f64;
    let y = |rate: f64| Y.1 - if most > 0.0 { rate / most * (Y.1 - Y.0) } else { 0.0 };
    let line = |design: &str| -> Vec<(f64, f64)> {
        let row = |t: &&Table| t.rows.iter().find(|r| r.design == design).map(|r| r.median_ops_per_second);
        tables.iter().enumerate().filter_map(|(i, t)| Some((x(i), y(row(t)?)))).collect()
    };
    let baseline = tables.first().map_or("", |t| t.baseline.as_str());
    let mut svg = Svg::new(WIDTH, HEIGHT);
    if let Some(beyond) = tables.iter().position(|t| t.threads > cores) {
        let from = if beyond == 0 { X.0 } else { x(beyond) - step / 2.0 };
        svg.rect("beyond", (from, Y.0), X.1 + 6.0 - from, Y.1 - Y.0);
    }
    for share in [0.0, 0.5, 1.0] {
        let at = y(most * share);
        svg.line("grid", (X.0, at), (X.1, at));
        let short = rate(most * share).replace("/s", "").replace(' ', "");
        let label = if share == 0.0 { "0" } else { short.as_str() };
        svg.text("tick", (X.0 - 4.0, at + 4.0), Anchor::End, &rounded(label));
    }
    for (i, table) in tables.iter().enumerate() {
        svg.text("tick", (x(i), Y.1 + 13.0), Anchor::Middle, &table.threads.to_string());
    }
    svg.text("unit", (f64::midpoint(X.0, X.1), Y.1 + 26.0), Anchor::Middle, "threads");
    for design in designs.iter().filter(|d| **d != own && **d != baseline) {
        svg.path("other", &line(design));
    }
    if own != baseline {
        svg.path("base", &line(baseline));
    }
    svg.path("line own", &line(own));
    for point in line(own) {
        svg.marker("mark own", Marker::Circle, point);
    }
    let told = tables.iter().filter_map(|t| {
        let row = t.rows.iter().find(|r| r.design == own)?;
        let beyond = if t.threads > cores { " (beyond the cores)" } else { "" };
        Some(format!("{}{beyond} {}", threads(t.threads), rate(row.median_ops_per_second)))
    });
    let told = told.collect::<Vec<_>>().join("; ");
    let workload = tables.first().map_or("", |t| t.workload.as_str());
    let description = format!("Throughput of {own}, {workload}: {told}.");
    Chart { svg: svg.finish(own, &description), title: own.to_owned(), description, small: true }
}

/// `98.12M` as `98.1M`: three figures do for an axis.
fn rounded(label: &str) -> String {
    let (number, unit) = label.split_at(label.trim_end_matches(char::is_alphabetic).len());
    match number.parse::<f64>() {
        Ok(n) if n >= 100.0 => format!("{n:.0}{unit}"),
        Ok(n) if n >= 10.0 => format!("{n:.1}{unit}"),
        _ => label.to_owned(),
    }
}

/// Retry depth of each design in the storm.
pub(crate) fn retries(report: &Report) -> Vec<Chart> {
    let storm = || report.tables.iter().rfind(|t| t.workload == "storm");
    let Some(table) = Place::Storm.table(report).ok().or_else(storm) else { return Vec::new() };
    table.rows.iter().filter_map(|row| depths(row, row.retries.as_ref()?, &place(table))).collect()
}

/// The smallest share that is drawn to scale.
const LEAST: f64 = 1e-7;
/// Of a duration of seconds, all operations of a run.
const SHARES: [(f64, &str); 4] = [(1.0, "100%"), (1e-2, "1%"), (1e-4, "0.01%"), (1e-6, "1e-4%")];

fn depths(row: &Row, retries: &Retries, place: &str) -> Option<Chart> {
    let operations = retries.operations();
    let deepest = retries.deepest()?;
    let axis = LogAxis::new((LEAST, 1.0), (Y.1, Y.0));
    let mut svg = Svg::new(WIDTH, HEIGHT);
    for (share, label) in SHARES {
        let at = axis.at(share);
        svg.line("grid", (X.0, at), (X.1, at));
        svg.text("tick", (X.0 - 4.0, at + 4.0), Anchor::End, label);
    }
    let step = (X.1 - X.0) / retries.buckets.len().max(1) as f64;
    let mut told = Vec::new();
    for (bucket, &n) in retries.buckets.iter().enumerate() {
        let x = X.0 + step * bucket as f64;
        let depth = retries.depth(bucket);
        // Every other label, or they run into one another.
        if let Some(Depth::AtMost(bound)) = depth.filter(|_| bucket.is_multiple_of(3)) {
            svg.text("tick", (x + step / 2.0, Y.1 + 13.0), Anchor::Middle, &bound.to_string());
        }
        if n > 0 {
            let share = n as f64 / operations as f64;
            // A bar of one operation among billions is still seen.
            let top = axis.at(share).min(Y.1 - 1.5);
            svg.rect("bar", (x + 0.75, top), step - 1.5, Y.1 - top);
            told.push(format!("{} {:.2e}", depth.map_or_else(String::new, |d| d.to_string()), share));
        }
    }
    svg.line("zero", (X.0, Y.1), (X.1, Y.1));
    svg.text(
        "unit",
        (f64::midpoint(X.0, X.1), Y.1 + 26.0),
        Anchor::Middle,
        &format!("retries, deepest {deepest}"),
    );
    let description =
        format!("Share of operations by retries, {place}, {}: {}.", row.design, told.join("; "));
    Some(Chart {
        svg: svg.finish(&row.design, &description),
        title: row.design.clone(),
        description,
        small: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::synthetic;

    #[test]
    fn a_panel_for_each_design() {
        let report = synthetic::record().report;
        let panels = throughputs(&report, "larson");
        assert_eq!(panels.len(), 12);
        assert_eq!(
            panels[0].description,
            "Throughput of mutex, larson: 1 thread 4.00 M/s; 2 threads 8.00 M/s; 4 threads (beyond the cores) 16.00 M/s."
        );
        let shaded = |cores: usize| {
            let mut report = report.clone();
            report.machine.cores = cores;
            throughputs(&report, "larson").iter().filter(|c| c.svg.contains("\"beyond\"")).count()
        };
        assert_eq!((shaded(1), shaded(2), shaded(4)), (12, 12, 0));
        assert!(throughputs(&report, "none").is_empty());
    }

    #[test]
    fn depths_are_shares_of_the_operations() {
        let report = synthetic::record().report;
        let panels = retries(&report);
        let single = panels.iter().find(|c| c.title == "lockfree-single").expect("it retries");
        assert_eq!(
            single.description,
            "Share of operations by retries, storm, 2 threads, lockfree-single: 0 9.00e-1; 1 9.00e-2; ≤2 9.00e-3; >4 1.00e-3."
        );
        assert!(panels.iter().all(|c| c.title != "mutex"), "it made no CAS");
    }
}
