//! `stormglass top`: what the page shows, on a terminal.
//!
//! State and picture are pure ([`state`], [`draw`]); here is what touches the world. Invariant: however the view ends (a key, a
//! signal, a panic), the terminal is as it was before.

mod draw;
mod feed;
mod heat;
mod look;
mod short;
mod state;
#[cfg(test)]
mod tests;
mod view;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args as Group;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Cell;
use ratatui::crossterm::event::{self, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use stormglass_telemetry::Directory;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::failure::Failure;
use crate::interrupt::{EXIT_CODE, Interrupt, runtime};
use crate::output;
use crate::sidecar::SidecarArgs;
use feed::Feed;
use look::Look;
use state::{Event, Key, State, next};

/// Time between frames.
const INTERVAL: Duration = Duration::from_millis(500);
/// The size of the picture that `--once` prints where there is no terminal.
const ONCE: (u16, u16) = (100, 30);

pub(crate) const EXAMPLES: &str = "\
Examples:
  stormglass top                                 this user's processes, the worst first
  stormglass top --url 127.0.0.1:7070            those of a sidecar that serves already
  stormglass top --url https://build-7:7070 --ca ca.pem --token-file token
                                                 of one on another machine, over TLS
  stormglass top --recording storm.sgrec --speed 4
                                                 what was recorded, four times as fast
  stormglass top --once                          print one picture and end
  stormglass top --once --json                   its figures

Keys: q quit, ? help, s sort, m what the grid shows, f freeze, up and down choose a process.";

#[derive(Debug, Group)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    sidecar: SidecarArgs,
    /// Play a recording, as `stormglass record` or the page has made it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "once"])]
    recording: Option<PathBuf>,
    /// How many times as fast as it went
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, requires = "recording", value_parser = crate::replay::speed)]
    speed: f64,
    /// Look for a second, print one picture, and end
    #[arg(long)]
    once: bool,
    /// With --once: print the frame as JSON
    #[arg(long, requires = "once")]
    json: bool,
}

/// Shows until the user has seen enough.
///
/// # Errors
/// If there is no terminal to draw on, or nothing to be seen with --once.
pub(crate) fn top(args: &TopArgs) -> Result<ExitCode, Failure> {
    let feed = match (args.sidecar.sidecar()?, &args.recording) {
        (Some(sidecar), _) => Feed::Sidecar(sidecar),
        (None, Some(file)) => Feed::recording(file, args.speed)?,
        (None, None) => Feed::segments(Directory::from_env()),
    };
    if args.once {
        return once(feed, args.json);
    }
    if !std::io::stdout().is_terminal() {
        return Err(Failure::impossible(
            "top draws on a terminal, and standard output is none: `stormglass top --once` prints one picture, \
             `stormglass top --once --json` its figures, and `stormglass check` holds assertions against them",
        ));
    }
    runtime()?.block_on(watch(feed))
}

async fn watch(feed: Feed) -> Result<ExitCode, Failure> {
    let mut interrupt = Interrupt::listen()?;
    let mut hangup = signal(SignalKind::hangup())
        .map_err(|e| Failure::failed(format!("signals cannot be handled: {e}")))?;
    let (sender, mut events) = mpsc::unbounded_channel();
    // Also installs a panic hook that restores the terminal before the message is printed.
    let mut terminal = ratatui::try_init().map_err(|e| {
        Failure::failed(format!("the terminal cannot be drawn on: {e}; take `stormglass top --once`"))
    })?;
    let _restore = Restore;
    feed.start(INTERVAL, sender.clone())?;
    read_keys(sender)?;
    let look = Look::from_env();
    let mut state = State::default();
    loop {
        let drawn = terminal.draw(|frame| draw::draw(&state, look, frame)).map(drop);
        drawn.map_err(|e| Failure::failed(format!("the terminal cannot be drawn on any more: {e}")))?;
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => state = next(state, event),
                None => return Ok(ExitCode::SUCCESS),
            },
            () = interrupt.next() => return Ok(ExitCode::from(EXIT_CODE)),
            _ = hangup.recv() => return Ok(ExitCode::from(EXIT_CODE)),
        }
        // What has come meanwhile is drawn at once.
        while let Ok(event) = events.try_recv() {
            state = next(state, event);
        }
        if state.done {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Puts the terminal back when it is dropped.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        // On a terminal that has gone nothing can be put back.
        let _ = ratatui::try_restore();
    }
}

/// Reads keys on a thread of its own, which ends with the program.
fn read_keys(events: mpsc::UnboundedSender<Event>) -> Result<(), Failure> {
    let read = move || {
        while let Ok(event) = event::read() {
            let event = match event {
                event::Event::Key(key) => pressed(key).map(Event::Key),
                // The next frame is drawn in the new size; nothing is to be remembered of it.
                _ => None,
            };
            if event.is_some_and(|event| events.send(event).is_err()) {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("keys".to_owned())
        .spawn(read)
        .map(drop)
        .map_err(|e| Failure::failed(format!("there can be no thread for the keys: {e}")))
}

/// What a key asks for.
fn pressed(key: KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return matches!(key.code, KeyCode::Char('c' | 'd')).then_some(Key::Quit);
    }
    Some(match key.code {
        KeyCode::Up | KeyCode::Char('k') => Key::Up,
        KeyCode::Down | KeyCode::Char('j') => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Key::First,
        KeyCode::End | KeyCode::Char('G') => Key::Last,
        KeyCode::Char('s') => Key::Sort,
        KeyCode::Char('m') => Key::Measure,
        KeyCode::Char('f' | ' ' | 'p') => Key::Freeze,
        KeyCode::Char('?' | 'h') => Key::Help,
        KeyCode::Esc => Key::Escape,
        KeyCode::Char('q' | 'Q') => Key::Quit,
        _ => Key::Other,
    })
}

/// One picture, as text.
fn once(mut feed: Feed, json: bool) -> Result<ExitCode, Failure> {
    // Looks over more than a second: a rate takes two.
    let first = feed.frame().map_err(Failure::failed)?;
    let has_any = first["processes"].as_array().is_some_and(|all| !all.is_empty());
    // More in between: a verdict takes several.
    for _ in 0..if has_any { 5 } else { 0 } {
        thread::sleep(INTERVAL / 2);
        feed.frame().map_err(Failure::failed)?;
    }
    if json {
        let frame = feed.frame().map_err(Failure::failed)?;
        output::print(&format!("{frame:#}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let state = match feed.event() {
        Event::Lost(why) => return Err(Failure::failed(why)),
        event => next(State::default(), event),
    };
    let (width, height) = ratatui::crossterm::terminal::size().unwrap_or(ONCE);
    output::print(&picture(&state, Look { colour: false, ..Look::from_env() }, width, height))?;
    Ok(ExitCode::SUCCESS)
}

/// The view as lines of text, without the spaces at their ends.
fn picture(state: &State, look: Look, width: u16, height: u16) -> String {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    let Ok(_) = terminal.draw(|frame| draw::draw(state, look, frame));
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for y in 0..height {
        let row: String = (0..width).filter_map(|x| buffer.cell((x, y))).map(Cell::symbol).collect();
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}
