//! The report as one page that needs nothing else: no script, no font, no picture, no network.
//!
//! Invariant: every text is escaped where it is written, and every tag that is opened is closed.

use std::fmt::Write as _;

use super::Analysis;
use super::chart::strip;
use super::contents::document;
use super::document::{Align, Block, Document, Table};
use super::judge::{Claim, Verdict};
use super::svg::escaped;

const STYLE: &str = concat!(include_str!("chart.css"), include_str!("report.css"));

/// The report as a page.
pub fn html(analysis: &Analysis) -> String {
    page(&document(analysis), "stormglass report")
}

/// A document as a page, below the name of what made it.
pub(crate) fn page(document: &Document, brand: &str) -> String {
    let Document { title, subtitle, blocks } = document;
    let (title, subtitle) = (escaped(title), escaped(subtitle));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title} - stormglass</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<p class=\"brand\">{brand}</p>\n<h1>{title}</h1>\n<p class=\"machine\">{subtitle}</p>\n\
         {}</header>\n<main>\n",
        contents(blocks)
    );
    let mut open = false;
    for block in blocks {
        if let Block::Section { id, title } = block {
            if open {
                out.push_str("</section>\n");
            }
            open = true;
            let _ = writeln!(out, "<section id=\"{id}\" aria-labelledby=\"{id}-title\">");
            let _ = writeln!(out, "<h2 id=\"{id}-title\">{}</h2>", escaped(title));
        } else {
            write_block(&mut out, block);
        }
    }
    if open {
        out.push_str("</section>\n");
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn contents(blocks: &[Block]) -> String {
    let mut out = String::from("<nav aria-label=\"Sections\">");
    for block in blocks {
        if let Block::Section { id, title } = block {
            let _ = write!(out, "<a href=\"#{id}\">{}</a> ", escaped(title));
        }
    }
    out + "</nav>\n"
}

fn write_block(out: &mut String, block: &Block) {
    // Writing to a string cannot fail, here and below.
    let _ = match block {
        Block::Section { .. } => Ok(()),
        Block::Heading(text) => writeln!(out, "<h3>{}</h3>", escaped(text)),
        Block::Paragraph(text) => writeln!(out, "<p>{}</p>", escaped(text)),
        Block::Notice(text) => writeln!(out, "<p class=\"notice\" role=\"note\">{}</p>", escaped(text)),
        Block::Command(text) => writeln!(out, "<pre><code>{}</code></pre>", escaped(text)),
        Block::List(points) => {
            write_list(out, "points", points);
            Ok(())
        }
        Block::Remarks(points) => {
            write_list(out, "remarks", points);
            Ok(())
        }
        Block::Findings(lines) => {
            out.push_str("<ul class=\"findings\">\n");
            for (verdict, text) in lines {
                let _ = writeln!(out, "<li>{} <span>{}</span></li>", badge(*verdict), escaped(text));
            }
            writeln!(out, "</ul>")
        }
        Block::Table(table) => {
            write_table(out, table);
            Ok(())
        }
        Block::Charts { title, note, charts } => {
            let small = if charts.iter().all(|c| c.small) { " small" } else { "" };
            let _ = writeln!(out, "<h3>{}</h3>\n<p class=\"hint\">{}</p>", escaped(title), escaped(note));
            let _ = writeln!(out, "<div class=\"charts{small}\">");
            for chart in charts {
                let caption = escaped(&chart.title);
                let _ = writeln!(out, "<figure><figcaption>{caption}</figcaption>{}</figure>", chart.svg);
            }
            writeln!(out, "</div>")
        }
        Block::Claim(claim) => {
            write_claim(out, claim);
            Ok(())
        }
    };
}

fn write_list(out: &mut String, class: &str, points: &[String]) {
    let _ = writeln!(out, "<ul class=\"{class}\">");
    for point in points {
        let _ = writeln!(out, "<li>{}</li>", escaped(point));
    }
    out.push_str("</ul>\n");
}

/// A verdict by word, sign and colour.
fn badge(verdict: Verdict) -> String {
    let (class, sign) = match verdict {
        Verdict::Confirmed => ("confirmed", "✓"),
        Verdict::Refuted => ("refuted", "✗"),
        Verdict::CannotTell => ("unclear", "?"),
    };
    let words = verdict.words();
    format!("<b class=\"verdict {class}\"><span aria-hidden=\"true\">{sign}</span> {words}</b>")
}

fn write_table(out: &mut String, table: &Table) {
    let caption = escaped(&table.caption);
    let _ = writeln!(out, "<div class=\"table\">\n<p class=\"caption\">{caption}</p>");
    // The box scrolls where the table is wider than the screen; the keyboard must reach it.
    let _ = writeln!(out, "<div class=\"scroll\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\">");
    let _ = writeln!(out, "<table aria-label=\"{caption}\">\n<thead><tr>");
    let class = |align| if align == Align::Right { " class=\"number\"" } else { "" };
    for column in &table.columns {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(column.align), escaped(&column.name));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (i, (cell, column)) in row.iter().zip(&table.columns).enumerate() {
            let cell = escaped(cell);
            let _ = match i {
                0 => write!(out, "<th scope=\"row\">{cell}</th>"),
                _ => write!(out, "<td{}>{cell}</td>", class(column.align)),
            };
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n</div>\n");
    for note in &table.notes {
        let _ = writeln!(out, "<p class=\"hint\">{}</p>", escaped(note));
    }
}

fn write_claim(out: &mut String, claim: &Claim) {
    let (id, title, phase) = (escaped(&claim.id), escaped(&claim.title), escaped(&claim.phase));
    let _ = writeln!(out, "<article id=\"claim-{id}\">\n<h3>{title} <small>{phase}</small></h3>");
    let strip = strip(claim).unwrap_or_default();
    let measured = escaped(&claim.measured);
    let _ =
        writeln!(out, "<div class=\"found\"><p>{} {measured}</p>{strip}</div>\n<dl>", badge(claim.verdict));
    for (name, text) in claim.parts() {
        let _ = writeln!(out, "<dt>{name}</dt><dd>{}</dd>", escaped(&text));
    }
    out.push_str("</dl>\n</article>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Record, synthetic};

    /// Elements that HTML never closes.
    const VOID: [&str; 1] = ["meta"];

    /// Follows every tag: each is closed in its order, each attribute quoted, each `&` a known entity.
    fn check(page: &str) -> Result<(), String> {
        let page = page.strip_prefix("<!doctype html>").ok_or("no doctype")?;
        let mut open: Vec<&str> = Vec::new();
        let mut rest = page;
        while let Some(start) = rest.find('<') {
            entities(&rest[..start], open.last() == Some(&"style"))?;
            let end = rest[start..].find('>').ok_or("a tag without an end")? + start;
            let tag = &rest[start + 1..end];
            rest = &rest[end + 1..];
            if let Some(name) = tag.strip_prefix('/') {
                let last = open.pop();
                if last != Some(name) {
                    return Err(format!("</{name}> closes {last:?}"));
                }
                continue;
            }
            let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
            if tag.matches('"').count() % 2 != 0 {
                return Err(format!("<{tag}> has an open quote"));
            }
            entities(tag, false)?;
            let name = tag.split_whitespace().next().ok_or("a tag without a name")?;
            if !name.chars().all(|c| c.is_ascii_alphanumeric()) {
                return Err(format!("<{name}> is no tag"));
            }
            if !closed && !VOID.contains(&name) {
                open.push(name);
            }
        }
        if open.is_empty() { Ok(()) } else { Err(format!("{open:?} are never closed")) }
    }

    fn entities(text: &str, raw: bool) -> Result<(), String> {
        for part in text.split('&').skip(1) {
            let known = ["amp;", "lt;", "gt;", "quot;", "#39;"];
            if !raw && !known.iter().any(|entity| part.starts_with(entity)) {
                return Err(format!("&{part} is no entity"));
            }
        }
        Ok(())
    }

    fn page(record: Record) -> String {
        html(&Analysis::of(record))
    }

    #[test]
    fn the_check_finds_what_is_wrong() {
        for wrong in ["<p>", "<p></b>", "<a b=\"></a>", "<p>a & b</p>", "<p><b></p></b>", "<p", "</p>"] {
            assert!(check(&format!("<!doctype html>{wrong}")).is_err(), "{wrong}");
        }
        assert_eq!(check("<!doctype html><p a=\"b\">x &amp; y</p><path d=\"M0\"/>"), Ok(()));
    }

    #[test]
    fn the_page_is_well_formed_and_needs_nothing_else() {
        let page = page(synthetic::record());
        assert_eq!(check(&page), Ok(()));
        for outside in ["://", "<script", "<link", "<img", "src=", "url(", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
        for id in ["what", "findings", "paper", "results", "claims", "winners", "method"] {
            assert!(page.contains(&format!("<section id=\"{id}\"")), "{id}");
            assert!(page.contains(&format!("href=\"#{id}\"")), "{id}");
        }
        assert!(page.contains("prefers-color-scheme: dark") && page.contains("@media print"));
    }

    #[test]
    fn what_comes_from_outside_is_text() {
        let mut record = synthetic::record();
        let evil = "<b>\"x\" & 'y'</b>";
        record.report.command = evil.into();
        record.report.version = evil.into();
        record.report.problems = vec![evil.into()];
        record.conditions.architecture = evil.into();
        for table in &mut record.report.tables {
            table.baseline = evil.into();
            table.rows[1].design = evil.into();
            table.rows[1].paper = evil.into();
            table.rows[1].sentence = evil.into();
        }
        record.report.tables[0].workload = evil.into();
        let page = page(record);
        assert_eq!(check(&page), Ok(()));
        assert!(!page.contains("<b>"), "only verdicts are bold, and they have a class");
        assert!(page.contains("&lt;b&gt;&quot;x&quot; &amp; &#39;y&#39;&lt;/b&gt;"));
    }

    #[test]
    fn every_drawing_has_a_name_and_a_description() {
        let page = page(synthetic::record());
        for svg in page.split("<svg ").skip(1) {
            let head = svg.split_once('>').expect("a tag").0;
            assert!(head.contains("role=\"img\"") && head.contains("aria-label=\""), "{head}");
            assert!(svg.contains("><title>"), "{head}");
        }
    }

    #[test]
    fn a_record_of_nothing_is_still_a_page() {
        let mut record = synthetic::record();
        record.report.tables.clear();
        record.conditions.interrupted = true;
        let page = page(record);
        assert_eq!(check(&page), Ok(()));
        assert!(page.contains("This report was interrupted"));
    }

    #[test]
    fn figures_that_make_no_sense_do_not_break_the_page() {
        let mut record = synthetic::record();
        for table in &mut record.report.tables {
            for row in &mut table.rows {
                row.median_ops_per_second = -1.0;
                row.ratio = row.ratio.map(|r| crate::stats::Interval { low: -1e300, high: 1e300, ..r });
                for round in row.rounds.iter_mut().flatten() {
                    round.ops_per_second = 0.0;
                    round.measures.failures_per_batch = Some(-1.0);
                }
            }
        }
        let page = page(record);
        assert_eq!(check(&page), Ok(()));
        assert!(!page.contains("NaN") && !page.contains("inf\""));
    }
}
