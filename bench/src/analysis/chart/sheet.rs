//! Many small charts as one drawing that stands alone, for a Markdown page to show.

use std::fmt::Write as _;

use super::Chart;
use super::panels::{HEIGHT, WIDTH};
use crate::analysis::svg::escaped;

/// What says the look of every drawing, here and on the page.
const STYLE: &str = include_str!("../chart.css");
const COLUMNS: usize = 6;
const GAP: f64 = 12.0;
/// Room for a part's title, and for a chart's.
const PART: f64 = 30.0;
const CAPTION: f64 = 18.0;

/// Parts below one another: a title, and small charts in rows.
pub(crate) fn sheet(title: &str, parts: &[(String, Vec<Chart>)]) -> String {
    let width = COLUMNS as f64 * (WIDTH + GAP) + GAP;
    let mut body = String::new();
    let mut y = GAP;
    for (part, charts) in parts {
        let _ = write!(body, r#"<text class="part" x="{GAP}" y="{}">{}</text>"#, y + 18.0, escaped(part));
        y += PART;
        for row in charts.chunks(COLUMNS) {
            for (column, chart) in row.iter().enumerate() {
                let x = GAP + column as f64 * (WIDTH + GAP);
                let caption = escaped(&chart.title);
                let _ = write!(body, r#"<text class="caption" x="{x}" y="{}">{caption}</text>"#, y + 12.0);
                let place = format!(r#"<svg x="{x}" y="{}" width="{WIDTH}" height="{HEIGHT}" "#, y + CAPTION);
                body.push_str(&chart.svg.replacen("<svg ", &place, 1));
            }
            y += CAPTION + HEIGHT + GAP;
        }
        y += GAP;
    }
    let title = escaped(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {y}\" width=\"{width}\" height=\"{y}\" role=\"img\">\
         <title>{title}</title><style>{STYLE}</style><rect class=\"ground\" width=\"{width}\" height=\"{y}\"/>{body}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::chart::throughputs;
    use crate::analysis::synthetic;

    #[test]
    fn every_chart_has_a_place_of_its_own() {
        let report = synthetic::record().report;
        let part = |name: &str| (format!("{name} <&>"), throughputs(&report, name));
        let sheet = sheet("all", &[part("larson"), part("larson")]);
        assert_eq!(sheet.matches("<svg ").count(), 1 + 24);
        let places: std::collections::HashSet<&str> =
            sheet.split("<svg x=").skip(1).filter_map(|rest| rest.split(" width").next()).collect();
        assert_eq!(places.len(), 24);
        assert!(sheet.contains("larson &lt;&amp;&gt;") && !sheet.contains("NaN"));
    }
}
