//! The grid of classes and shards: which cell is hot.
//!
//! Where there is no room for all classes, those are left out in which nothing happens, then the coldest.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::put;
use crate::top::heat::{GLYPHS, HOT, Heat, Measure, hottest};
use crate::top::look::Look;
use crate::top::short::cut;
use crate::top::state::State;
use crate::top::view::Process;

/// Characters of a class's name, and of a cell with the space behind it.
const NAME: usize = 7;
const CELL: usize = 6;
/// Title and shards.
const BESIDE: u16 = 2;
/// Characters of the mid pool's eight shards.
pub(super) const WIDTH: u16 = (NAME + 1 + 8 * CELL - 1) as u16;

/// Rows that all classes would take.
pub(super) fn wanted(state: &State) -> u16 {
    let of = |process: &Process| if process.shards.len() == 1 { 7 } else { process.classes.len() };
    // And the sentence below.
    state.selected().map_or(0, of) as u16 + BESIDE + 1
}

pub(super) fn draw(state: &State, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let Some(process) = state.selected() else { return };
    let measure = state.measure;
    let width = usize::from(area.width);
    let whose = format!("{} {} ", process.pid, process.strategy);
    let title = vec![
        Span::styled(whose.clone(), Look::title()),
        Span::raw(cut(measure.name(), width.saturating_sub(whose.len()))),
    ];
    put(frame, area, 0, Line::from(title));
    let room = area.height.saturating_sub(BESIDE);
    if process.shards.len() == 1 {
        list(process, measure, look, frame, Rect { y: area.y + 1, height: room + 1, ..area });
    } else {
        table(process, measure, look, frame, Rect { y: area.y + 1, height: room + 1, ..area });
    }
}

/// Classes down, shards across.
fn table(process: &Process, measure: Measure, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let shown = (usize::from(area.width).saturating_sub(NAME) / CELL).min(process.shards.len());
    let shards = process.shards[..shown].iter().map(|shard| format!("{shard:<CELL$}"));
    let head = format!("{:>NAME$} {}", "class", shards.collect::<String>());
    put(frame, area, 0, Line::styled(head, Look::dim()));
    let rows = warmest(process, measure, usize::from(area.height.saturating_sub(1)));
    for (row, class) in rows.into_iter().enumerate() {
        let mut spans = vec![Span::raw(format!("{:>NAME$} ", process.classes[class]))];
        for shard in 0..shown {
            spans.extend(cell(measure.cell(process, class, shard), look));
        }
        put(frame, area, row as u16 + 1, Line::from(spans));
    }
}

/// Classes alone, in columns from top to bottom: of a writer that has one shard.
fn list(process: &Process, measure: Measure, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let rows = usize::from(area.height.max(1));
    let across = (usize::from(area.width) / (NAME + 1 + CELL)).max(1);
    let classes = warmest(process, measure, rows * across);
    for row in 0..rows {
        let mut spans = Vec::new();
        for class in classes.iter().copied().skip(row).step_by(rows) {
            spans.push(Span::raw(format!("{:>NAME$} ", process.classes[class])));
            spans.extend(cell(measure.cell(process, class, 0), look));
        }
        put(frame, area, row as u16, Line::from(spans));
    }
}

/// A character that says how hot, the value, and a space.
fn cell(heat: Option<Heat>, look: Look) -> [Span<'static>; 2] {
    let Some(heat) = heat else {
        return [Span::styled(" ", Look::dim()), Span::raw(" ".repeat(CELL - 1))];
    };
    let text = cut(&format!("{}{}", GLYPHS[heat.level], heat.text()), CELL - 1);
    let gap = " ".repeat(CELL - text.chars().count());
    [Span::styled(text, look.heat(heat.level)), Span::raw(gap)]
}

/// At most so many classes, in their order: the hottest.
fn warmest(process: &Process, measure: Measure, room: usize) -> Vec<usize> {
    let heat = |class: usize| {
        let cells = (0..process.shards.len()).filter_map(|shard| measure.cell(process, class, shard));
        cells.map(|heat| (heat.level, heat.value)).max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)))
    };
    let mut classes: Vec<_> =
        (0..process.classes.len()).map(|class| (class, heat(class).unwrap_or((0, -1.0)))).collect();
    if classes.len() > room {
        classes.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(b.1.1.total_cmp(&a.1.1)));
        classes.truncate(room);
        classes.sort_by_key(|(class, _)| *class);
    }
    classes.into_iter().map(|(class, _)| class).collect()
}

/// Where it is hottest, in words.
pub(super) fn sentence(state: &State, look: Look) -> Line<'static> {
    let Some(process) = state.selected() else { return Line::default() };
    if let Some(injected) = &process.injected {
        return Line::styled(format!("DELAY INJECTED: {injected}"), look.alarm());
    }
    match hottest(process, state.measure) {
        Some((class, shard, heat)) => {
            let (class, shard) = (&process.classes[class], &process.shards[shard]);
            let text = format!("hottest: class {class} shard {shard}: {}", heat.sentence());
            Line::styled(text, look.heat(heat.level.min(HOT)))
        }
        None => Line::styled("no cell is warm", Look::dim()),
    }
}
