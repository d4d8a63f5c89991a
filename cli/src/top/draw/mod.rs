//! The picture: `draw(state, frame)`, pure. A part a file; here is who gets how much room.
//!
//! ```text
//! title                          what is shown, and whether it stands still
//! processes                      a row each, the worst first
//! grid          | lines          of the selected one: class x shard, and its last minutes
//! verdicts                       what is wrong, and what to try
//! keys
//! ```
//!
//! Invariant: at any size something true is drawn, and nothing outside of its area. What is hot can be read without colour.

mod grid;
mod help;
mod lines;
mod processes;
mod verdicts;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::look::Look;
use super::short::cut;
use super::state::State;

/// Below this nothing can be said.
const LEAST: (u16, u16) = (30, 6);
/// From here on there is room for the grid.
const GRID: (u16, u16) = (60, 18);
/// From this width on there is room for lines beside it.
const BOTH: u16 = grid::WIDTH + 21;
/// Rows of the grid's part: a title, the shards, seven classes, the hottest.
const GRID_ROWS: u16 = 10;

/// Draws the state.
pub(super) fn draw(state: &State, look: Look, frame: &mut Frame<'_>) {
    let area = frame.area();
    let (width, height) = (area.width, area.height);
    if width < LEAST.0 || height < LEAST.1 {
        let needs = format!("{width}x{height} is too small: {}x{} at least; q ends", LEAST.0, LEAST.1);
        put(frame, area, 0, Line::from(needs));
        return;
    }
    let [title, body, keys] = rows(area, [1, height - 2, 1]);
    put(frame, title, 0, heading(state, look, usize::from(width)));
    put(frame, keys, 0, footer(state, width >= GRID.0 && height >= GRID.1));
    if state.help {
        help::draw(frame, body);
        return;
    }
    if !state.seen || state.view.processes.is_empty() {
        nothing(state, frame, body);
        return;
    }
    if width < GRID.0 || height < GRID.1 {
        let verdicts = verdicts::wanted(state, width, look).min(body.height / 2);
        let [processes, verdict] = rows(body, [body.height - verdicts, verdicts]);
        processes::draw(state, look, frame, processes);
        verdicts::draw(state, look, frame, verdict);
        return;
    }
    let verdicts = verdicts::wanted(state, width, look).min(body.height / 5);
    // A table as long as it needs to be, with an empty line; what it leaves the grid gets, as far as it has rows for it.
    let table = (state.view.processes.len() as u16).saturating_add(2);
    let table = table.min(body.height - verdicts - GRID_ROWS).max(4);
    let middle = (body.height - verdicts - table).min(grid::wanted(state).max(GRID_ROWS));
    let table = table.max((body.height - verdicts - middle).min(state.view.processes.len() as u16 + 2));
    let [processes, middle, hottest, verdict] = rows(body, [table, middle - 1, 1, body.height]);
    processes::draw(state, look, frame, processes);
    put(frame, hottest, 0, grid::sentence(state, look));
    verdicts::draw(state, look, frame, verdict);
    if width < BOTH {
        grid::draw(state, look, frame, middle);
        return;
    }
    let side = (width / 3).min(width - grid::WIDTH - 1);
    let [grid_area, lines_area] = columns(middle, [width - side - 1, side]);
    grid::draw(state, look, frame, grid_area);
    lines::draw(state, look, frame, lines_area);
}

fn heading(state: &State, look: Look, width: usize) -> Line<'static> {
    let alive = state.view.processes.iter().filter(|process| process.live).count();
    let dead = state.view.processes.len() - alive;
    let mut parts = vec![Span::styled("stormglass top", Look::title())];
    let mut counts = format!("  {alive} running");
    if dead > 0 {
        counts = format!("{counts}, {dead} ended");
    }
    if state.view.left_out > 0 {
        counts = format!("{counts}, {} more not shown", state.view.left_out);
    }
    counts = format!("{counts}  by {}", state.sort.name());
    parts.push(Span::raw(counts));
    if state.frozen() {
        parts.push(Span::styled("  FROZEN", look.alarm()));
    }
    if let Some(problem) = &state.problem {
        let used: usize = parts.iter().map(Span::width).sum();
        parts.push(Span::styled(format!("  {}", cut(problem, width.saturating_sub(used + 2))), look.alarm()));
    }
    Line::from(parts)
}

fn footer(state: &State, whole: bool) -> Line<'static> {
    let freeze = if state.frozen() { "f thaw" } else { "f freeze" };
    let keys = if whole {
        format!("q quit  ? help  s sort  m measure  {freeze}  up/down process")
    } else {
        format!("q quit  ? help  {freeze}; grid: {}x{}", GRID.0, GRID.1)
    };
    Line::styled(keys, Look::dim())
}

fn nothing(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let lines: &[&str] = match (&state.problem, state.seen) {
        (Some(_), _) => &["Nothing can be seen; the reason stands above."],
        (None, false) => &["Looking ..."],
        (None, true) => &[
            "No process runs under stormglass.",
            "",
            "  stormglass bench --workload storm",
            "  stormglass run -- PROGRAM",
            "",
            "start some; they appear here.",
        ],
    };
    for (row, line) in lines.iter().enumerate() {
        put(frame, area, row as u16, Line::from(*line));
    }
}

/// Draws a line in a row of an area, if that has it.
fn put(frame: &mut Frame<'_>, area: Rect, row: u16, line: Line<'_>) {
    if row < area.height {
        frame.buffer_mut().set_line(area.x, area.y + row, &line, area.width);
    }
}

/// An area from top to bottom in parts of these heights.
fn rows<const N: usize>(area: Rect, heights: [u16; N]) -> [Rect; N] {
    let mut y = area.y;
    heights.map(|height| {
        let height = height.min(area.bottom().saturating_sub(y));
        let part = Rect { y, height, ..area };
        y += height;
        part
    })
}

/// An area from left to right in parts of these widths, a column between them.
fn columns(area: Rect, widths: [u16; 2]) -> [Rect; 2] {
    let left = Rect { width: widths[0].min(area.width), ..area };
    let x = (left.right() + 1).min(area.right());
    [left, Rect { x, width: widths[1].min(area.right() - x), ..area }]
}
