//! The page behind `?`.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::put;
use crate::top::heat::GLYPHS;
use crate::top::look::Look;

const KEYS: [(&str, &str); 9] = [
    ("up, k / down, j", "choose a process"),
    ("page up, page down, home, end", "the same, faster"),
    ("escape", "follow the worst again"),
    ("s", "sort by another figure"),
    ("m", "what the grid shows"),
    ("f, space", "freeze, and go on"),
    ("?", "this page; any key leaves it"),
    ("q, Ctrl-C", "quit"),
    ("", ""),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect) {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (key, what) in KEYS {
        // In a narrow terminal a line each.
        if area.width >= 72 {
            lines.push(Line::from(format!("  {key:<30}  {what}").trim_end().to_owned()));
        } else if !key.is_empty() {
            lines.push(Line::from(format!("{}: {what}", key.split(',').next().unwrap_or(key))));
        }
    }
    lines.push(Line::from("  Sorted by: trouble, allocations, failures, wait, memory, name"));
    lines.push(Line::from(format!("  Heat, from cold to hot: {}", GLYPHS.map(String::from).join(" "))));
    lines.push(Line::from("  Marks: ! a verdict is on, x the process has ended, * or # a hot cell"));
    lines.push(Line::styled(
        "  Figures are of the last second; of an ended process, of its life.",
        Look::dim(),
    ));
    for (row, line) in lines.into_iter().enumerate() {
        put(frame, area, row as u16, line);
    }
}
