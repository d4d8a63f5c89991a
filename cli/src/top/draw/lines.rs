//! The last minutes of the selected process, a line each.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::put;
use crate::top::look::Look;
use crate::top::short::{bytes, or_dash, percent, short};
use crate::top::state::{Point, State};

/// Characters of a name and of a value.
const NAME: usize = 8;
const VALUE: usize = 6;

struct Row {
    name: &'static str,
    of: fn(&Point) -> Option<f64>,
    text: fn(f64) -> String,
    /// The value of a full bar; `None` is the highest that is there.
    full: Option<f64>,
}

const ROWS: [Row; 5] = [
    Row { name: "alloc/s", of: |p| p.allocations, text: short, full: None },
    Row { name: "fail/s", of: |p| p.failures, text: short, full: None },
    Row { name: "wait", of: |p| p.lock_wait, text: percent, full: None },
    Row { name: "ring hit", of: |p| p.ring_hits, text: percent, full: Some(1.0) },
    Row { name: "live", of: |p| p.memory, text: |v| bytes(v as u64), full: None },
];

pub(super) fn draw(state: &State, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let Some(process) = state.selected() else { return };
    put(frame, area, 0, Line::styled(format!("{} threads", process.threads), Look::title()));
    let none = std::collections::VecDeque::new();
    let points = state.lines.get(&process.id).unwrap_or(&none);
    let width = usize::from(area.width).saturating_sub(NAME + VALUE + 2);
    for (at, row) in ROWS.iter().enumerate() {
        let values: Vec<Option<f64>> = points.iter().map(row.of).collect();
        let latest = values.last().copied().flatten();
        let text = or_dash(latest, row.text);
        let tail = &values[values.len().saturating_sub(width)..];
        let spans = vec![
            Span::raw(format!("{:<NAME$}{text:>VALUE$} ", row.name)),
            Span::styled(spark(tail, row.full, look), look.line()),
        ];
        put(frame, area, at as u16 + 1, Line::from(spans));
    }
    let memory = or_dash(process.resident_bytes, bytes);
    put(frame, area, ROWS.len() as u16 + 1, Line::from(format!("{:<NAME$}{memory:>VALUE$}", "resident")));
}

/// A bar a value; a space where there is none.
pub(super) fn spark(values: &[Option<f64>], full: Option<f64>, look: Look) -> String {
    let bars = look.bars();
    let most = full.unwrap_or_else(|| values.iter().flatten().copied().fold(0.0, f64::max));
    let bar = |value: f64| {
        if most <= 0.0 || value <= 0.0 {
            return bars[0];
        }
        let height = (value / most * bars.len() as f64).ceil() as usize;
        bars[height.clamp(1, bars.len()) - 1]
    };
    values.iter().map(|value| value.map_or(' ', bar)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_high_as_its_value() {
        let look = Look { colour: false, unicode: false };
        let values = [Some(0.0), None, Some(1.0), Some(4.0), Some(8.0)];
        assert_eq!(spark(&values, None, look), "_ _~#");
        assert_eq!(spark(&[Some(0.5), Some(1.0)], Some(1.0), look), "~#");
        assert_eq!(spark(&[Some(0.0)], None, look), "_");
    }
}
