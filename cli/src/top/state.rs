//! What the terminal view knows, and what becomes of it: `(state, event) -> state`, pure.
//!
//! Invariants: what is remembered is bounded, whatever runs and for however long; a frozen view shows the moment at which it
//! was frozen, and goes on from now when it thaws.

use std::collections::{BTreeMap, VecDeque};

use super::heat::{Measure, hottest};
use super::view::{Process, View};

/// Points of a sparkline.
pub(super) const POINTS: usize = 240;
/// Rows that a page key moves.
const PAGE: usize = 10;

/// What happened.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Frame(Box<View>),
    /// There is nothing new to see, for this reason.
    Lost(String),
    Key(Key),
}

/// What the user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Sort,
    Measure,
    Freeze,
    Help,
    /// Out of the help, or back to the selection that follows the worst.
    Escape,
    Quit,
    /// Any other key: it only leaves the help.
    Other,
}

/// The order of the processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Trouble,
    Allocations,
    Failures,
    LockWait,
    Memory,
    Name,
}

impl Sort {
    const ALL: [Sort; 6] =
        [Sort::Trouble, Sort::Allocations, Sort::Failures, Sort::LockWait, Sort::Memory, Sort::Name];

    pub(super) fn name(self) -> &'static str {
        match self {
            Sort::Trouble => "trouble",
            Sort::Allocations => "allocations",
            Sort::Failures => "failures",
            Sort::LockWait => "lock wait",
            Sort::Memory => "memory",
            Sort::Name => "name",
        }
    }

    fn next(self) -> Sort {
        let at = Sort::ALL.iter().position(|&sort| sort == self).unwrap_or(0);
        Sort::ALL[(at + 1) % Sort::ALL.len()]
    }

    /// What a process is ordered by, largest first.
    fn weight(self, process: &Process) -> f64 {
        let rates = &process.rates;
        match self {
            Sort::Trouble => {
                let level = hottest(process, Measure::Trouble).map_or(0, |(_, _, heat)| heat.level);
                let on = f64::from(u8::from(!process.verdicts.is_empty()));
                // A failure a second weighs less than a level, and a level less than a verdict.
                on * 100.0 + level as f64 + rates.cas_failures_per_second.unwrap_or(0.0).min(1e12) / 1e13
            }
            Sort::Allocations => rates.allocations_per_second.unwrap_or(-1.0),
            Sort::Failures => rates.cas_failures_per_second.unwrap_or(-1.0),
            Sort::LockWait => rates.lock_wait_ratio.unwrap_or(-1.0),
            Sort::Memory => process.live_bytes.map_or(-1.0, |bytes| bytes as f64),
            Sort::Name => 0.0,
        }
    }
}

/// A process at a moment that has gone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Point {
    pub(super) allocations: Option<f64>,
    pub(super) failures: Option<f64>,
    pub(super) lock_wait: Option<f64>,
    pub(super) ring_hits: Option<f64>,
    pub(super) memory: Option<f64>,
}

/// All that the view is drawn from.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// What is shown, in the order in which it is.
    pub(super) view: View,
    /// The newest, while the view is frozen.
    newest: Option<View>,
    /// Whether anything has been seen.
    pub(super) seen: bool,
    pub(super) problem: Option<String>,
    /// The process that the user chose; `None` follows the first.
    chosen: Option<String>,
    pub(super) sort: Sort,
    pub(super) measure: Measure,
    pub(super) help: bool,
    pub(super) done: bool,
    pub(super) lines: BTreeMap<String, VecDeque<Point>>,
}

/// What an event makes of a state.
pub(super) fn next(mut state: State, event: Event) -> State {
    match event {
        Event::Frame(view) => state.take_in(*view),
        Event::Lost(why) => state.problem = Some(why),
        Event::Key(key) => state.press(key),
    }
    state
}

impl State {
    pub(super) fn frozen(&self) -> bool {
        self.newest.is_some()
    }

    /// Row of the selected process.
    pub(super) fn row(&self) -> usize {
        let chosen = self.chosen.as_ref();
        chosen.and_then(|id| self.view.processes.iter().position(|process| process.id == *id)).unwrap_or(0)
    }

    pub(super) fn selected(&self) -> Option<&Process> {
        self.view.processes.get(self.row())
    }

    fn take_in(&mut self, mut view: View) {
        self.problem = None;
        self.seen = true;
        self.remember(&view);
        self.order(&mut view);
        match &mut self.newest {
            Some(newest) => *newest = view,
            None => self.view = view,
        }
    }

    fn remember(&mut self, view: &View) {
        let lines = std::mem::take(&mut self.lines);
        self.lines = lines
            .into_iter()
            .filter(|(id, _)| view.processes.iter().any(|process| process.id == *id))
            .collect();
        for process in view.processes.iter().filter(|process| process.live) {
            let line = self.lines.entry(process.id.clone()).or_default();
            if line.len() == POINTS {
                line.pop_front();
            }
            line.push_back(Point {
                allocations: process.rates.allocations_per_second,
                failures: process.rates.cas_failures_per_second,
                lock_wait: process.rates.lock_wait_ratio,
                ring_hits: process.rates.ring_hit_ratio,
                memory: process.live_bytes.map(|bytes| bytes as f64),
            });
        }
    }

    fn order(&self, view: &mut View) {
        let key = |process: &Process| (process.live, self.sort.weight(process));
        view.processes.sort_by(|a, b| {
            let ((live_a, a_weight), (live_b, b_weight)) = (key(a), key(b));
            live_b
                .cmp(&live_a)
                .then(b_weight.total_cmp(&a_weight))
                .then_with(|| (&a.command, a.pid, &a.id).cmp(&(&b.command, b.pid, &b.id)))
        });
    }

    fn press(&mut self, key: Key) {
        if self.help && !matches!(key, Key::Quit) {
            self.help = false;
            return;
        }
        let (row, last) = (self.row(), self.view.processes.len().saturating_sub(1));
        match key {
            Key::Up => self.choose(row.saturating_sub(1)),
            Key::Down => self.choose((row + 1).min(last)),
            Key::PageUp => self.choose(row.saturating_sub(PAGE)),
            Key::PageDown => self.choose((row + PAGE).min(last)),
            Key::First => self.choose(0),
            Key::Last => self.choose(last),
            Key::Sort => {
                self.sort = self.sort.next();
                let mut view = std::mem::take(&mut self.view);
                self.order(&mut view);
                self.view = view;
            }
            Key::Measure => self.measure = self.measure.next(),
            Key::Freeze => match self.newest.take() {
                Some(mut newest) => {
                    self.order(&mut newest);
                    self.view = newest;
                }
                None => self.newest = Some(self.view.clone()),
            },
            Key::Help => self.help = true,
            Key::Escape => self.chosen = None,
            Key::Quit => self.done = true,
            Key::Other => {}
        }
    }

    fn choose(&mut self, row: usize) {
        self.chosen = self.view.processes.get(row).map(|process| process.id.clone());
    }
}
