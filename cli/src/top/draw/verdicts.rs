//! What is wrong, and what to try.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::put;
use crate::top::heat::{HOT, Measure, hottest};
use crate::top::look::Look;
use crate::top::short::wrap;
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

/// One verdict: its name and numbers, then what to try.
fn lines(process: &Process, verdict: &Verdict, width: usize, look: Look) -> Vec<Line<'static>> {
    let place = [("class", &verdict.class), ("shard", &verdict.shard)]
        .into_iter()
        .filter_map(|(label, value)| Some(format!(" {label} {}", value.as_ref()?)))
        .collect::<String>();
    let head = format!("! {}{place}", verdict.id);
    let text = format!("{head} {} {}: {}", process.command, process.pid, verdict.evidence);
    let mut lines: Vec<Line<'static>> = Vec::new();
    for line in wrap(&text, width) {
        lines.push(match line.strip_prefix(head.as_str()).filter(|_| lines.is_empty()) {
            Some(rest) => {
                Line::from(vec![Span::styled(head.clone(), look.alarm()), Span::raw(rest.to_owned())])
            }
            None => Line::from(line),
        });
    }
    let advice = wrap(&verdict.advice, width.saturating_sub(2));
    lines.extend(advice.into_iter().map(|line| Line::styled(format!("  {line}"), Look::dim())));
    lines
}

fn all_lines(state: &State, width: u16, look: Look) -> Vec<Line<'static>> {
    let all = all(state);
    if all.is_empty() {
        let mut alive = state.view.processes.iter().filter(|process| process.live);
        let hot = alive
            .any(|process| hottest(process, Measure::Trouble).is_some_and(|(_, _, heat)| heat.level >= HOT));
        return vec![Line::styled(if hot { "no verdict yet" } else { "no verdict" }, Look::dim())];
    }
    all.into_iter().flat_map(|(process, verdict)| lines(process, verdict, usize::from(width), look)).collect()
}

/// Rows for all of them.
pub(super) fn wanted(state: &State, width: u16, look: Look) -> u16 {
    u16::try_from(all_lines(state, width, look).len()).unwrap_or(u16::MAX)
}

pub(super) fn draw(state: &State, look: Look, frame: &mut Frame<'_>, area: Rect) {
    for (row, line) in
        all_lines(state, area.width, look).into_iter().enumerate().take(usize::from(area.height))
    {
        put(frame, area, row as u16, line);
    }
}
