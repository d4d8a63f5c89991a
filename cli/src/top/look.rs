//! What the terminal can show: colours or not, and which characters.

use ratatui::style::{Color, Modifier, Style};

use super::heat::HOT;

/// Bars from low to high, for a terminal that has them and for one that does not.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 8] = ['_', '.', '-', '~', '=', '+', '*', '#'];

/// The terminal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) colour: bool,
    pub(super) unicode: bool,
}

impl Look {
    /// As the environment tells it: `NO_COLOR`, `TERM=dumb`, and the character set of the locale.
    pub(super) fn from_env() -> Look {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = var("LC_ALL").or_else(|| var("LC_CTYPE")).or_else(|| var("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        Look {
            colour: var("NO_COLOR").is_none() && var("TERM").is_none_or(|term| term != "dumb"),
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    pub(super) fn bars(self) -> [char; 8] {
        if self.unicode { BLOCKS } else { ASCII }
    }

    fn coloured(self, style: Style) -> Style {
        if self.colour { style } else { Style::default().add_modifier(style.add_modifier) }
    }

    /// Of a cell with that heat.
    pub(super) fn heat(self, level: usize) -> Style {
        let style = match level {
            0 => Style::default().add_modifier(Modifier::DIM),
            1 => Style::default().fg(Color::Green),
            2 => Style::default().fg(Color::Yellow),
            HOT => Style::default().fg(Color::Red).add_modifier(Modifier::BOLD),
            _ => Style::default().fg(Color::White).bg(Color::Red).add_modifier(Modifier::BOLD),
        };
        self.coloured(style)
    }

    pub(super) fn title() -> Style {
        Style::default().add_modifier(Modifier::BOLD)
    }

    pub(super) fn dim() -> Style {
        Style::default().add_modifier(Modifier::DIM)
    }

    pub(super) fn alarm(self) -> Style {
        self.coloured(Style::default().fg(Color::Red).add_modifier(Modifier::BOLD))
    }

    /// The row that is selected.
    pub(super) fn selected() -> Style {
        Style::default().add_modifier(Modifier::REVERSED)
    }

    pub(super) fn line(self) -> Style {
        self.coloured(Style::default().fg(Color::Cyan))
    }
}
