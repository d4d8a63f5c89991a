//! How hot a cell is: a level from 0 to 4, which has a colour and, for whoever sees none, a character.

use super::short::{percent, short};
use super::view::{Cells, Process};

/// Characters of the levels. ASCII, so that every terminal has them.
pub(super) const GLYPHS: [char; 5] = ['.', ':', '+', '*', '#'];
/// From this level on a cell is called hot.
pub(super) const HOT: usize = 3;

/// What the grid shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Measure {
    /// The worse of failed CASes and lock waits: whatever the design, a storm is seen.
    #[default]
    Trouble,
    Failures,
    FailedShare,
    LockWait,
    Walk,
}

impl Measure {
    pub(super) const ALL: [Measure; 5] =
        [Measure::Trouble, Measure::Failures, Measure::FailedShare, Measure::LockWait, Measure::Walk];

    pub(super) fn name(self) -> &'static str {
        match self {
            Measure::Trouble => "trouble: CAS failures/s or lock wait",
            Measure::Failures => "CAS failures/s",
            Measure::FailedShare => "share of CASes that failed",
            Measure::LockWait => "lock wait, of each second",
            Measure::Walk => "blocks walked for each kept",
        }
    }

    pub(super) fn next(self) -> Measure {
        let at = Measure::ALL.iter().position(|&measure| measure == self).unwrap_or(0);
        Measure::ALL[(at + 1) % Measure::ALL.len()]
    }

    /// From which value on a cell has each level but the lowest.
    fn steps(self) -> [f64; 4] {
        match self {
            Measure::Trouble | Measure::Failures => [1.0, 1e3, 1e4, 1e5],
            Measure::FailedShare => [0.001, 0.05, 0.2, 0.5],
            Measure::LockWait => [0.000_1, 0.01, 0.1, 0.5],
            Measure::Walk => [1.001, 1.1, 1.5, 2.0],
        }
    }

    /// The cell of a process.
    pub(super) fn cell(self, process: &Process, class: usize, shard: usize) -> Option<Heat> {
        let grid = &process.grid;
        let at = |cells: &Cells| cells.get(class).and_then(|row| row.get(shard)).copied().flatten();
        let heat = |measure: Measure, value: Option<f64>| value.map(|value| Heat::of(measure, value));
        match self {
            Measure::Trouble => {
                let failures = heat(Measure::Failures, at(&grid.cas_failures_per_second));
                let waits = heat(Measure::LockWait, at(&grid.lock_wait_ratio));
                match (failures, waits) {
                    (Some(failures), Some(waits)) if waits.level > failures.level => Some(waits),
                    (failures, waits) => failures.or(waits),
                }
            }
            Measure::Failures => heat(self, at(&grid.cas_failures_per_second)),
            Measure::FailedShare => heat(self, at(&grid.failures_per_attempt)),
            Measure::LockWait => heat(self, at(&grid.lock_wait_ratio)),
            Measure::Walk => heat(self, at(&grid.walked_per_kept)),
        }
    }
}

/// How hot one cell is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Heat {
    pub(super) level: usize,
    pub(super) value: f64,
    measure: Measure,
}

impl Heat {
    fn of(measure: Measure, value: f64) -> Heat {
        let level = measure.steps().iter().filter(|&&step| value >= step).count();
        Heat { level, value, measure }
    }

    /// The value in at most four characters or so; empty where nothing happened.
    pub(super) fn text(&self) -> String {
        if self.level == 0 && self.measure != Measure::Walk {
            return String::new();
        }
        match self.measure {
            Measure::Trouble | Measure::Failures => short(self.value),
            Measure::FailedShare | Measure::LockWait => percent(self.value),
            Measure::Walk => format!("{:.1}", self.value),
        }
    }

    /// The value with its words.
    pub(super) fn sentence(&self) -> String {
        match self.measure {
            Measure::Trouble | Measure::Failures => format!("{} CASes fail each second", short(self.value)),
            Measure::FailedShare => format!("{} of its CASes fail", percent(self.value)),
            Measure::LockWait => format!("threads wait {} of each second for its lock", percent(self.value)),
            Measure::Walk => format!("{:.2} blocks are walked for each kept", self.value),
        }
    }
}

/// The hottest cell of a process: class, shard and heat; none if all are cold.
pub(super) fn hottest(process: &Process, measure: Measure) -> Option<(usize, usize, Heat)> {
    let classes = 0..process.classes.len();
    let cells = classes.flat_map(|class| (0..process.shards.len()).map(move |shard| (class, shard)));
    cells
        .filter_map(|(class, shard)| Some((class, shard, measure.cell(process, class, shard)?)))
        .filter(|(_, _, heat)| heat.level > 0)
        .max_by(|a, b| (a.2.level.cmp(&b.2.level)).then(a.2.value.total_cmp(&b.2.value)))
}
