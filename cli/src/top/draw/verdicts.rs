//! What is wrong, and what to try.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::put;
use crate::top::heat::{HOT, Measure, hottest};
use crate::top::look::Look;
use crate::top::short::cut;
use crate::top::state::State;
use crate::top::view::{Process, Verdict};

/// All that are on, those of the selected process first.
fn all(state: &State) -> Vec<(&Process, &Verdict)> {
    let selected = state.row();
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for (at, process) in state.view.processes.iter().enumerate().filter(|(_, process)| process.live) {
        let list = if at == selected { &mut first } else { &mut rest };
        list.extend(process.verdicts.iter().map(|verdict| (process, verdict)));
    }
    first.append(&mut rest);
    first
}

/// Rows for all of them: what is said, and what to try.
pub(super) fn wanted(state: &State) -> u16 {
    (all(state).len() as u16).saturating_mul(2).max(1)
}

pub(super) fn draw(state: &State, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let verdicts = all(state);
    let width = usize::from(area.width);
    if verdicts.is_empty() {
        let hot =
            state.view.processes.iter().filter(|process| process.live).any(|process| {
                hottest(process, Measure::Trouble).is_some_and(|(_, _, heat)| heat.level >= HOT)
            });
        let text = if hot { "no verdict yet" } else { "no verdict" };
        put(frame, area, 0, Line::styled(text, look.dim()));
        return;
    }
    let rows = usize::from(area.height);
    let shown = (rows / 2).max(1).min(verdicts.len());
    for (at, (process, verdict)) in verdicts.iter().take(shown).enumerate() {
        let row = (at * 2) as u16;
        let place = [("class", &verdict.class), ("shard", &verdict.shard)]
            .into_iter()
            .filter_map(|(label, value)| Some(format!(" {label} {}", value.as_ref()?)))
            .collect::<String>();
        let head = format!("! {}{place}", verdict.verdict);
        let more = verdicts.len() - shown;
        let more = if at + 1 == shown && more > 0 { format!(" (+{more})") } else { String::new() };
        let rest = format!(" {} {}: {}{more}", process.command, process.pid, verdict.evidence);
        let rest = cut(&rest, width.saturating_sub(head.chars().count()));
        put(frame, area, row, Line::from(vec![Span::styled(head, look.alarm()), Span::raw(rest)]));
        put(frame, area, row + 1, Line::styled(cut(&format!("  {}", verdict.advice), width), look.dim()));
    }
}
