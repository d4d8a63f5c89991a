//! A benchmark, or any program under the allocator, that is run for the check.
//!
//! Invariant: it is judged by its own processes alone, each from its birth: they have a directory of segments to themselves.

use std::ffi::OsString;
use std::io;
use std::process::{self, Stdio};
use std::thread;
use std::time::Duration;

use stormglass_telemetry::clock;

use super::Source;
use super::processes::Processes;
use crate::check::evidence::Evidence;
use crate::failure::Failure;
use crate::run;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(100);
/// The word that stands for this program's own benchmark.
pub(crate) const BENCH: &str = "bench";

/// What is to be run.
pub(crate) struct Command {
    words: Vec<OsString>,
    /// Whether its slow paths are to be sampled by hardware counters.
    perf: bool,
    /// Whether events of the processor and the kernel are to be counted from outside.
    events: bool,
}

impl Command {
    /// `bench` and its options, or a program and its arguments. With `perf`, its slow paths are sampled by hardware counters; with
    /// `events`, those of its processes are counted from outside.
    pub(crate) fn new(words: Vec<OsString>, perf: bool, events: bool) -> Command {
        Command { words, perf, events }
    }

    fn command(&self, place: &run::Place) -> Result<process::Command, Failure> {
        if self.words.first().is_some_and(|word| word == BENCH) {
            let program = std::env::current_exe().map_err(|e| {
                Failure::failed(format!("this program cannot find itself to start the benchmark: {e}"))
            })?;
            let mut command = process::Command::new(program);
            command.args(&self.words).env("STORMGLASS_DIR", place.directory().path());
            return Ok(command);
        }
        run::preloaded(&self.words, place.directory())
    }
}

impl Source for Command {
    fn look(self: Box<Self>, evidence: &mut Evidence) -> Result<(), String> {
        let place = run::Place::make().map_err(|failure| failure.sentence().to_owned())?;
        let mut command = self.command(&place).map_err(|failure| failure.sentence().to_owned())?;
        if self.perf {
            // Both the benchmark, as --perf, and the library heed it.
            command.env("STORMGLASS_PERF", "1");
        }
        // Standard output is the check's own.
        command.stdin(Stdio::null()).stdout(io::stderr());
        let name = self.words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        let mut processes = Processes::of(place.directory().clone(), self.events);
        evidence.see(clock::monotonic(), []);
        let mut child = command.spawn().map_err(|e| format!("{name} cannot be started: {e}"))?;
        loop {
            let ended = child.try_wait().map_err(|e| format!("{name} cannot be waited for: {e}"))?;
            // After its end is seen, one look more: what ended has ended.
            processes.show(evidence);
            match ended {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("{name} broke ({status}); what it said stands above")),
                None => thread::sleep(INTERVAL),
            }
        }
    }

    fn name(&self) -> String {
        // The arguments of another program are its own, and this goes into files that are handed on.
        let own = self.words.first().is_some_and(|word| word == BENCH);
        let shown = if own { self.words.len() } else { 1 };
        let words: Vec<_> = self.words.iter().take(shown).map(|word| word.to_string_lossy()).collect();
        format!("`{}`", words.join(" "))
    }
}
