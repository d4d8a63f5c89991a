//! `stormglass record --url`: what a sidecar has seen, as a file of this machine.
//!
//! A sidecar records by itself, a moment a second; so this waits, and then takes away the part of its past that was asked for.
//! Invariants: times are the sidecar's, so that clocks may differ; what is written was read as a recording before, and a file that
//! it takes the place of stays until it is written whole.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use stormglass_dashboard::REACH;
use stormglass_dashboard::recording::Reader;

use super::{RecordArgs, create, discard, unwritten};
use crate::failure::Failure;
use crate::interrupt::{Interrupt, runtime};
use crate::output;
use crate::sidecar::Sidecar;

/// How long a sidecar keeps what it has seen.
const KEPT: Duration = Duration::from_millis(REACH);
/// The sidecar's next moment after the end, which is a second away, and a little.
const ONE_MORE: Duration = Duration::from_millis(1200);
/// What may be missing without a word: what went by while it was waited and asked, and the oldest moments are 5 s apart.
const SLACK: Duration = Duration::from_secs(10);

/// How far the past of a sidecar reaches, in milliseconds since 1970 by its clock.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Reach {
    from: Option<u64>,
    to: Option<u64>,
}

/// What a recording holds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Held {
    moments: u64,
    processes: BTreeSet<(u32, u64)>,
    first: Option<u64>,
    last: Option<u64>,
}

/// Waits for the time that was asked for, and writes what the sidecar saw in it.
///
/// # Errors
/// If the sidecar does not answer, has seen nothing, or the file cannot be written.
pub(super) fn record(args: &RecordArgs, sidecar: &Sidecar) -> Result<ExitCode, Failure> {
    if args.last.or(args.length).is_some_and(|span| span > KEPT) {
        return Err(Failure::impossible(format!(
            "a sidecar keeps the last {} minutes: ask for no more, or record on its own machine",
            KEPT.as_secs() / 60
        )));
    }
    // Before anything is waited for: it is told at once if there is no room for it.
    let mut draft = Draft::open(args)?;
    let result = take(args, sidecar).and_then(|recording| {
        draft.write(&recording).map_err(|error| Failure::failed(unwritten(&args.output, &error)))
    });
    if result.is_err() {
        // Nothing is in it that anybody could use.
        let _ = discard(&draft.path);
    }
    result.map(|()| ExitCode::SUCCESS)
}

/// The file that is written.
struct Draft {
    file: File,
    path: PathBuf,
    /// The file whose place it takes when it is whole.
    old: Option<PathBuf>,
}

impl Draft {
    /// The file itself if it is new, or a device; beside the old one if there is one.
    fn open(args: &RecordArgs) -> Result<Draft, Failure> {
        // What a link leads to is replaced, not the link.
        let old = std::fs::canonicalize(&args.output).ok().filter(|old| args.force && old.is_file());
        let Some((old, name)) = old.as_deref().and_then(|old| Some((old, old.file_name()?))) else {
            return Ok(Draft { file: create(args)?, path: args.output.clone(), old: None });
        };
        let path = old.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
        let file = File::create_new(&path).map_err(|error| Failure::failed(unwritten(&path, &error)))?;
        Ok(Draft { file, path, old: Some(old.to_owned()) })
    }

    fn write(&mut self, recording: &[u8]) -> io::Result<()> {
        self.file.write_all(recording)?;
        let Some(old) = &self.old else { return Ok(()) };
        // Whoever may read the old one may read the new one, and nobody else.
        self.file.set_permissions(std::fs::metadata(old)?.permissions())?;
        std::fs::rename(&self.path, old)
    }
}

/// The bytes of the recording, which is one.
fn take(args: &RecordArgs, sidecar: &Sidecar) -> Result<Vec<u8>, Failure> {
    let now = reach(sidecar)?;
    let from = if let Some(last) = args.last {
        now.to.unwrap_or(0).saturating_sub(last.as_millis() as u64)
    } else {
        wait(args, sidecar)?;
        now.to.unwrap_or(0)
    };
    let to = reach(sidecar)?;
    let path = format!("/api/past/recording?from={from}&to={}", to.to.unwrap_or(0));
    let recording = sidecar.fetch(&path).map_err(Failure::failed)?;
    let held = held(&recording).map_err(|why| Failure::failed(format!("{}: {why}", sidecar.name())))?;
    let Some((first, last)) = held.first.zip(held.last).filter(|_| !held.processes.is_empty()) else {
        return Err(Failure::failed(format!(
            "{} has seen no process in that time: is one running there, of the user that it serves?",
            sidecar.name()
        )));
    };
    let short = if is_short(to.from, from) { "; the sidecar has nothing of before" } else { "" };
    output::tell(&format!(
        "stormglass: {} moments of {} processes over {:.0} s: {}, {} bytes{short}; look at them with `stormglass replay`",
        held.moments,
        held.processes.len(),
        last.saturating_sub(first) as f64 / 1000.0,
        args.output.display(),
        recording.len(),
    ));
    Ok(recording)
}

/// Whether the past of a sidecar begins later than what was asked for, by more than goes without saying.
fn is_short(oldest: Option<u64>, from: u64) -> bool {
    oldest.is_some_and(|oldest| oldest.saturating_sub(from) > SLACK.as_millis() as u64)
}

/// Until the time is over, or Ctrl-C.
fn wait(args: &RecordArgs, sidecar: &Sidecar) -> Result<(), Failure> {
    output::tell(&format!("stormglass: {} records; end with Ctrl-C", sidecar.name()));
    runtime()?.block_on(async {
        let mut interrupt = Interrupt::listen()?;
        tokio::select! {
            () = interrupt.next() => {}
            () = tokio::time::sleep(args.length.unwrap_or(KEPT)) => {}
        }
        tokio::time::sleep(ONE_MORE).await;
        Ok(())
    })
}

fn reach(sidecar: &Sidecar) -> Result<Reach, Failure> {
    let text = sidecar.get("/api/past/reach", "application/json").map_err(Failure::failed)?;
    serde_json::from_str(&text).map_err(|e| {
        Failure::failed(format!("{} does not say how far its past reaches: {e}", sidecar.name()))
    })
}

/// What is in a recording.
fn held(bytes: &[u8]) -> Result<Held, String> {
    let mut held = Held::default();
    for moment in Reader::new(bytes).map_err(|e| e.to_string())? {
        let moment = moment.map_err(|e| e.to_string())?;
        held.moments += 1;
        held.first.get_or_insert(moment.unix_ms);
        held.last = Some(moment.unix_ms);
        held.processes.extend(moment.snapshots.iter().map(|s| (s.process.pid, s.process.start_time)));
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_recording_is_not_written() {
        assert!(held(b"<html>").is_err());
        assert!(held(b"").is_err());
    }

    #[test]
    fn the_seconds_of_waiting_are_not_missing() {
        let from = 1_700_000_000_000;
        // All that is kept was asked for, and a little more than that has gone by.
        assert!(!is_short(Some(from + 3000), from) && !is_short(Some(from - 60_000), from));
        assert!(is_short(Some(from + 60_000), from), "the sidecar started a minute later");
        assert!(!is_short(None, from));
    }
}
