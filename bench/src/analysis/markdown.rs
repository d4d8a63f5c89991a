//! The report as Markdown.
//!
//! Invariant: what comes from outside cannot begin a tag, end a cell, or start emphasis.

use std::fmt::Write as _;

use super::Analysis;
use super::contents::document;
use super::document::{Align, Block, Document, Table};
use super::judge::Claim;

/// The report as Markdown. Charts are left to the page; their figures stand in the tables.
pub fn markdown(analysis: &Analysis) -> String {
    text(&document(analysis))
}

/// A document as Markdown.
pub(crate) fn text(document: &Document) -> String {
    let Document { title, subtitle, blocks } = document;
    let mut out = format!("# {}\n\n{}\n", escaped(title), escaped(subtitle));
    for block in blocks {
        out.push('\n');
        write_block(&mut out, block);
    }
    out
}

fn write_block(out: &mut String, block: &Block) {
    // Writing to a string cannot fail, here and below.
    let _ = match block {
        Block::Section { title, .. } => writeln!(out, "## {}", escaped(title)),
        Block::Heading(text) => writeln!(out, "### {}", escaped(text)),
        Block::Paragraph(text) => writeln!(out, "{}", escaped(text)),
        Block::Notice(text) => writeln!(out, "> **Note:** {}", escaped(text)),
        Block::List(points) | Block::Remarks(points) => {
            points.iter().try_for_each(|point| writeln!(out, "- {}", escaped(point)))
        }
        Block::Command(text) => writeln!(out, "    {}", one_line(text)),
        Block::Findings(lines) => lines
            .iter()
            .try_for_each(|(verdict, line)| writeln!(out, "- **{}**: {}", verdict.words(), escaped(line))),
        Block::Table(table) => {
            write_table(out, table);
            Ok(())
        }
        Block::Charts { title, charts, .. } => writeln!(out, "### {}\n", escaped(title)).and_then(|()| {
            charts.iter().try_for_each(|chart| writeln!(out, "- {}", escaped(&chart.description)))
        }),
        Block::Claim(claim) => {
            write_claim(out, claim);
            Ok(())
        }
    };
}

fn write_table(out: &mut String, table: &Table) {
    let _ = writeln!(out, "**{}**\n", escaped(&table.caption));
    let row =
        |cells: &mut dyn Iterator<Item = String>| format!("| {} |", cells.collect::<Vec<_>>().join(" | "));
    let _ = writeln!(out, "{}", row(&mut table.columns.iter().map(|c| escaped(&c.name))));
    let rules = |align| if align == Align::Right { "---:" } else { "---" };
    let _ = writeln!(out, "{}", row(&mut table.columns.iter().map(|c| rules(c.align).to_owned())));
    for cells in &table.rows {
        let _ = writeln!(out, "{}", row(&mut cells.iter().map(|c| escaped(c))));
    }
    for note in &table.notes {
        let _ = writeln!(out, "\n{}", escaped(note));
    }
}

fn write_claim(out: &mut String, claim: &Claim) {
    let _ = writeln!(out, "### {} ({})\n", escaped(&claim.title), escaped(&claim.phase));
    let _ = writeln!(out, "**{}**: {}\n", claim.verdict.words(), escaped(&claim.measured));
    for (name, text) in claim.parts() {
        let _ = writeln!(out, "- {name}: {}", escaped(&text));
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Text that Markdown shows as it is, on one line.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '<' | '>' | '|' | '[' | ']' | '&' | '#' | '~') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::synthetic;

    #[test]
    fn golden() {
        let golden = include_str!("../../tests/report.golden.md");
        let text = markdown(&Analysis::of(synthetic::record()));
        if std::env::var_os("STORMGLASS_BLESS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/report.golden.md");
            std::fs::write(path, &text).expect("it can be written");
            return;
        }
        assert!(
            text == golden,
            "the report changed; if it is meant to, `STORMGLASS_BLESS=1 cargo test -p stormglass-bench golden` writes \
             tests/report.golden.md anew"
        );
    }

    #[test]
    fn what_comes_from_outside_is_text() {
        assert_eq!(escaped("a|b\n<i>`*_"), "a\\|b \\<i\\>\\`\\*\\_");
        let text = markdown(&Analysis::of(synthetic::record()));
        assert!(text.contains("Z80 \\<b\\>") && !text.contains("<b>"));
    }

    #[test]
    fn every_row_of_a_table_has_as_many_cells_as_its_head() {
        let text = markdown(&Analysis::of(synthetic::record()));
        let mut width = 0;
        for line in text.lines() {
            let cells = line.replace("\\|", "").matches('|').count();
            if line.starts_with('|') {
                assert!(width == 0 || width == cells, "{line}");
                width = cells;
            } else {
                width = 0;
            }
        }
    }
}
