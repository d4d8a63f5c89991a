//! The table of processes.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::put;
use crate::top::heat::{GLYPHS, HOT, Measure, hottest};
use crate::top::look::Look;
use crate::top::short::{bytes, cut, or_dash, percent, short};
use crate::top::state::State;
use crate::top::view::Process;

/// A column: head, width (0: all that is left), whether it stands left, and from which width of the table on it is there.
struct Column {
    head: &'static str,
    width: usize,
    left: bool,
    from: u16,
    text: fn(&Process) -> String,
}

const COLUMNS: [Column; 10] = [
    Column { head: "PID", width: 7, left: false, from: 0, text: |p| p.pid.to_string() },
    Column { head: "COMMAND", width: 0, left: true, from: 0, text: |p| p.command.clone() },
    Column { head: "DESIGN", width: 15, left: true, from: 0, text: |p| p.strategy.clone() },
    Column { head: "WORKLOAD", width: 8, left: true, from: 96, text: |p| p.workload.clone() },
    Column { head: "THR", width: 4, left: false, from: 70, text: |p| p.threads.to_string() },
    Column {
        head: "ALLOC/S",
        width: 7,
        left: false,
        from: 50,
        text: |p| or_dash(p.rates.allocations_per_second, short),
    },
    Column {
        head: "FAIL/S",
        width: 6,
        left: false,
        from: 60,
        text: |p| or_dash(p.rates.cas_failures_per_second, short),
    },
    Column {
        head: "F/BATCH",
        width: 7,
        left: false,
        from: 90,
        text: |p| or_dash(p.rates.failures_per_batch, short),
    },
    Column {
        head: "WAIT",
        width: 5,
        left: false,
        from: 70,
        text: |p| or_dash(p.rates.lock_wait_ratio, percent),
    },
    Column { head: "LIVE", width: 5, left: false, from: 76, text: |p| or_dash(p.live_bytes, bytes) },
];

pub(super) fn draw(state: &State, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let columns: Vec<&Column> = COLUMNS.iter().filter(|column| area.width >= column.from).collect();
    // Before them a mark, between them a space.
    let fixed: usize = columns.iter().map(|column| column.width + 1).sum::<usize>() + 1;
    let rest = usize::from(area.width).saturating_sub(fixed).max(4);
    let row = |text: &dyn Fn(&Column) -> String| {
        columns.iter().fold(String::new(), |line, column| {
            let width = if column.width == 0 { rest } else { column.width };
            let cell = cut(&text(column), width);
            let gap = " ".repeat(width - cell.chars().count());
            if column.left { format!("{line} {cell}{gap}") } else { format!("{line} {gap}{cell}") }
        })
    };
    put(frame, area, 0, Line::styled(format!(" {}", row(&|column| column.head.to_owned())), Look::title()));

    let room = usize::from(area.height.saturating_sub(1));
    let count = state.view.processes.len();
    // Of those that find no room, a line says how many.
    let shown = if count > room { room.saturating_sub(1).max(1) } else { room };
    let selected = state.row();
    // The selected one is always in sight.
    let first = selected.saturating_sub(shown.saturating_sub(1));
    for (at, process) in state.view.processes.iter().enumerate().skip(first).take(shown) {
        let text = format!("{}{}", mark(process), row(&|column| (column.text)(process)));
        let style = match (at == selected, process) {
            (true, _) => Look::selected(),
            (false, process) if !process.live => Look::dim(),
            (false, process) if !process.verdicts.is_empty() => look.alarm(),
            _ => look.heat(1).fg(ratatui::style::Color::Reset),
        };
        put(frame, area, (at - first) as u16 + 1, Line::styled(text, style));
    }
    let more = count.saturating_sub(shown);
    if more > 0 && room > shown {
        let (above, below) = (first, more - first);
        let text = format!("  ... {above} more above, {below} below");
        put(frame, area, area.height - 1, Line::styled(text, Look::dim()));
    }
}

/// What is to be seen at once: a verdict, how hot its hottest cell is, that it has ended.
fn mark(process: &Process) -> char {
    if !process.live {
        return 'x';
    }
    if !process.verdicts.is_empty() {
        return '!';
    }
    let level = hottest(process, Measure::Trouble).map_or(0, |(_, _, heat)| heat.level);
    if level >= HOT { GLYPHS[level] } else { ' ' }
}
