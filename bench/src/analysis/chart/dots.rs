//! Dots and whiskers: a row a design, the median as a marker, the interval as a line, the figure at the end.

use super::Chart;
use super::axis::{LogAxis, RATIOS, span};
use crate::analysis::judge::place;
use crate::analysis::svg::{Anchor, Marker, Svg};
use crate::analysis::words::{Unit, change, number};
use crate::report::{Row, Table};
use crate::stats::{Interval, interval};

const WIDTH: f64 = 360.0;
/// Where the names end and the plot begins, and where it ends and the figures begin.
const PLOT: (f64, f64) = (108.0, 296.0);
const ROW: f64 = 21.0;
const TOP: f64 = 8.0;
/// Below the rows: the ticks and the unit.
const BOTTOM: f64 = 40.0;
/// Least distance of two ticks.
const APART: f64 = 37.0;

struct Dot<'a> {
    name: &'a str,
    interval: Interval,
    class: &'static str,
    marker: Marker,
}

/// The change of each design against the baseline.
pub(crate) fn changes(table: &Table) -> Option<Chart> {
    let dots: Vec<Dot<'_>> = table.rows.iter().filter_map(change_dot).collect();
    let ends = dots.iter().flat_map(|d| [d.interval.low, d.interval.high]);
    let axis = LogAxis::new(span(ends, (0.95, 1.05)), PLOT);
    let ticks: Vec<(f64, String)> = axis
        .ticks(&RATIOS, APART)
        .into_iter()
        .map(|t| (axis.at(t), if (t - 1.0).abs() < 1e-9 { "0%".to_owned() } else { Unit::Change.limit(t) }))
        .collect();
    let title = place(table);
    let told = dots.iter().map(|d| format!("{} {}", d.name, Unit::Change.interval(&d.interval)));
    let description =
        format!("Change against {}, {title}: {}.", table.baseline, told.collect::<Vec<_>>().join("; "));
    let unit = format!("change of operations a second against {}", table.baseline);
    let plot =
        Plot { axis_at: &|v| axis.at(v), write: &change, ticks: &ticks, zero: axis.at(1.0), unit: &unit };
    (!dots.is_empty()).then(|| draw(&dots, &plot, title, description))
}

fn change_dot(row: &Row) -> Option<Dot<'_>> {
    let interval = row.ratio?;
    let (class, marker) = match interval {
        i if i.differs() && i.median > 1.0 => ("better", Marker::Up),
        i if i.differs() => ("worse", Marker::Down),
        _ => ("unclear", Marker::Circle),
    };
    Some(Dot { name: &row.design, interval, class, marker })
}

/// Failed CASes for each batch; `None` where no design pops with a CAS.
pub(crate) fn failures(table: &Table) -> Option<Chart> {
    let dots: Vec<Dot<'_>> = table.rows.iter().filter_map(failure_dot).collect();
    let ends = dots.iter().flat_map(|d| [d.interval.low, d.interval.median, d.interval.high]);
    // What never failed has no place on a logarithmic axis: it stands left of it.
    let zero = PLOT.0 + 8.0;
    let (low, high) = ends.filter(|v| *v > 0.0).fold((1.0_f64, 1.0_f64), |(l, h), v| (l.min(v), h.max(v)));
    // Whole powers of ten. What fails less often than once in a million batches is as good as never.
    let (low, high) = (low.max(1e-6).log10().floor(), high.min(1e6).log10().ceil().max(1.0));
    let axis = LogAxis::new((10_f64.powf(low), 10_f64.powf(high)), (PLOT.0 + 34.0, PLOT.1));
    let at = |value: f64| if value > 0.0 { axis.at(value) } else { zero };
    let mut powers: Vec<i32> = (low as i32..=high as i32).collect();
    powers.sort_by_key(|power| power.abs());
    let decades: Vec<f64> = powers.into_iter().map(|power| 10_f64.powi(power)).collect();
    let mut ticks: Vec<(f64, String)> =
        axis.ticks(&decades, APART).into_iter().map(|t| (axis.at(t), power_of_ten(t))).collect();
    ticks.push((zero, "0".to_owned()));
    let title = place(table);
    let told = dots.iter().map(|d| format!("{} {}", d.name, Unit::Number.interval(&d.interval)));
    let description =
        format!("CAS failures for each batch, {title}: {}.", told.collect::<Vec<_>>().join("; "));
    let unit = "failed CASes of pops for each batch";
    let plot = Plot { axis_at: &at, write: &number, ticks: &ticks, zero, unit };
    (!dots.is_empty()).then(|| draw(&dots, &plot, title, description))
}

/// Short enough for a tick.
fn power_of_ten(value: f64) -> String {
    if value < 0.01 { format!("{value:.0e}") } else { value.to_string() }
}

fn failure_dot(row: &Row) -> Option<Dot<'_>> {
    let failures = |m: &stormglass_telemetry::Measures| {
        m.attempts_per_batch.filter(|n| *n > 0.0).and(m.failures_per_batch)
    };
    let values: Vec<f64> =
        row.rounds.iter().flatten().filter_map(|round| failures(&round.measures)).collect();
    Some(Dot { name: &row.design, interval: interval(&values)?, class: "own", marker: Marker::Square })
}

struct Plot<'a> {
    axis_at: &'a dyn Fn(f64) -> f64,
    write: &'a dyn Fn(f64) -> String,
    ticks: &'a [(f64, String)],
    /// The tick that stands out.
    zero: f64,
    unit: &'a str,
}

fn draw(dots: &[Dot<'_>], plot: &Plot<'_>, title: String, description: String) -> Chart {
    let bottom = TOP + ROW * dots.len() as f64;
    let mut svg = Svg::new(WIDTH, bottom + BOTTOM);
    for (x, label) in plot.ticks {
        svg.line(if (x - plot.zero).abs() < 0.1 { "zero" } else { "grid" }, (*x, TOP), (*x, bottom));
        svg.text("tick", (*x, bottom + 14.0), Anchor::Middle, label);
    }
    svg.text("unit", (f64::midpoint(PLOT.0, PLOT.1), bottom + 32.0), Anchor::Middle, plot.unit);
    for (i, dot) in dots.iter().enumerate() {
        let y = TOP + ROW * (i as f64 + 0.5);
        let x = |value: f64| (plot.axis_at)(value);
        svg.text("name", (PLOT.0 - 8.0, y + 4.0), Anchor::End, dot.name);
        svg.line(&format!("whisker {}", dot.class), (x(dot.interval.low), y), (x(dot.interval.high), y));
        svg.marker(&format!("mark {}", dot.class), dot.marker, (x(dot.interval.median), y));
        svg.text("figure", (WIDTH, y + 4.0), Anchor::End, &(plot.write)(dot.interval.median));
    }
    Chart { svg: svg.finish(&title, &description), title, description, small: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::synthetic;

    #[test]
    fn a_chart_tells_its_figures_in_words_too() {
        let report = synthetic::record().report;
        let storm = report.tables.last().expect("storm");
        let chart = changes(storm).expect("eleven designs");
        assert!(
            chart.description.contains("lockfree-single -87.5% [-87.6%, -87.4%]"),
            "{}",
            chart.description
        );
        assert!(chart.svg.contains("mark worse") && chart.svg.contains("mark better"));
        let chart = failures(storm).expect("designs with CASes");
        assert!(chart.description.contains("lockfree-single 26.0 [26.0, 26.0]"), "{}", chart.description);
        assert!(!chart.description.contains("mutex"), "it pops without a CAS");
    }

    #[test]
    fn powers_of_ten_are_short() {
        assert_eq!([1e-6, 0.01, 1.0, 1e6].map(power_of_ten), ["1e-6", "0.01", "1", "1000000"]);
    }

    #[test]
    fn of_nothing_there_is_no_chart() {
        let mut table = synthetic::record().report.tables.remove(0);
        table.rows.truncate(1);
        assert!(changes(&table).is_none() && failures(&table).is_none());
    }
}
