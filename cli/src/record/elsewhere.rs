//! `stormglass record --url`: what a sidecar has seen, as a file of this machine.
//!
//! A sidecar records by itself, a moment a second; so this waits, and then takes away the part of its past that was asked for.
//! Invariants: times are the sidecar's, so that clocks may differ; what is written was read as a recording before.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use stormglass_dashboard::recording::Reader;

use super::{RecordArgs, create, unwritten};
use crate::failure::Failure;
use crate::interrupt::{Interrupt, runtime};
use crate::output;
use crate::sidecar::Sidecar;

/// How long a sidecar keeps what it has seen (docs/SCALE.md).
const KEPT: Duration = Duration::from_mins(15);
/// The sidecar's next moment after the end, which is a second away, and a little.
const ONE_MORE: Duration = Duration::from_millis(1200);

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
    let file = create(args)?;
    let result = take(args, sidecar).and_then(|recording| write(args, file, &recording));
    if result.is_err() {
        // Nothing is in it that anybody could use.
        let _ = std::fs::remove_file(&args.output);
    }
    result.map(|()| ExitCode::SUCCESS)
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
    let short = if to.from.is_some_and(|oldest| oldest > from + 1000) {
        "; the sidecar has nothing of before"
    } else {
        ""
    };
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

fn write(args: &RecordArgs, mut file: File, recording: &[u8]) -> Result<(), Failure> {
    file.write_all(recording).map_err(|error| Failure::failed(unwritten(&args.output, &error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_recording_is_not_written() {
        assert!(held(b"<html>").is_err());
        assert!(held(b"").is_err());
    }
}
