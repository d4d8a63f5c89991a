//! `stormglass record`: what processes do, into a file.
//!
//! Invariant: whatever ends it, the file holds every moment that was written whole: a full disk and Ctrl-C are said, a kill is
//! found by whoever reads the file.

mod elsewhere;

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args as Group;
use stormglass_dashboard::recording::{Recorder, Wishes};
use stormglass_telemetry::Directory;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::args::span;
use crate::failure::Failure;
use crate::interrupt::{Interrupt, runtime};
use crate::output;
use crate::sidecar::SidecarArgs;

/// How long a process that was named may take to appear: one that has just been started makes its segment first.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Group)]
pub(crate) struct RecordArgs {
    /// The file to write, such as storm.sgrec; one that is there is not touched
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// How long to record, such as 60s, 10m [default: until Ctrl-C, or until all processes of --pid have ended]
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    length: Option<Duration>,
    /// With --url: what the sidecar has seen until now, such as 5m, 15m at most, instead of --for
    #[arg(long, value_name = "TIME", value_parser = span, requires = "url", conflicts_with = "length")]
    last: Option<Duration>,
    /// Only these processes
    #[arg(long, value_name = "PIDS", value_delimiter = ',', conflicts_with = "url")]
    pid: Vec<u32>,
    /// Milliseconds between two moments; a sidecar's are a second apart
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(20..=60_000))]
    every: u64,
    /// What the recording is about; whoever opens it sees it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, conflicts_with = "url")]
    note: String,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    sidecar: SidecarArgs,
}

/// Records until it is enough.
///
/// # Errors
/// If the file cannot be written, or a process that was named is not there.
pub(crate) fn record(args: &RecordArgs) -> Result<ExitCode, Failure> {
    if let Some(sidecar) = args.sidecar.sidecar()? {
        return elsewhere::record(args, &sidecar);
    }
    let file = create(args)?;
    let wishes = Wishes {
        pids: args.pid.iter().copied().collect(),
        spacing: Duration::from_millis(args.every),
        note: args.note.clone(),
    };
    let recorder = Recorder::new(Directory::from_env(), wishes, file)
        .map_err(|e| Failure::failed(unwritten(&args.output, &e)))?;
    let result = runtime()?.block_on(run(recorder, args));
    // What cannot be tidied up can still be read.
    let _ = match &result {
        // The last record may lie there in half: it is of no use to anybody.
        Err((Some(written), _)) => {
            OpenOptions::new().write(true).open(&args.output).and_then(|file| file.set_len(*written))
        }
        Err((None, _)) => discard(&args.output),
        Ok(_) => Ok(()),
    };
    result.map_err(|(_, failure)| failure)
}

/// Why it ended early: how many bytes are whole, none if there is nothing to keep, and a sentence.
type Early = (Option<u64>, Failure);

async fn run(mut recorder: Recorder<File>, args: &RecordArgs) -> Result<ExitCode, Early> {
    let mut interrupt = Interrupt::listen().map_err(|failure| (None, failure))?;
    let begun = Instant::now();
    let end = args.length.map(|length| begun + length);
    let mut ticks = interval(Duration::from_millis(args.every));
    // After a stall the next moment is one, not as many as were missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    output::tell(&format!("stormglass: recording to {}; end with Ctrl-C", args.output.display()));
    let (mut told, mut over) = (false, false);
    loop {
        tokio::select! {
            biased;
            () = interrupt.next() => break,
            () = at(end) => over = true,
            _ = ticks.tick() => {}
        }
        let sample = recorder.sample().map_err(|error| {
            let kept = format!(
                "{}; it holds {} moments, and is whole up to there",
                unwritten(&args.output, &error),
                recorder.moments()
            );
            (Some(recorder.written()), Failure::failed(kept))
        })?;
        if sample.processes == 0 && !told && args.pid.is_empty() {
            output::tell("stormglass: no process is there yet; those that start are recorded");
            told = true;
        }
        if !args.pid.is_empty() {
            let missing: Vec<String> = args
                .pid
                .iter()
                .filter(|pid| !recorder.recorded().contains(pid))
                .map(u32::to_string)
                .collect();
            if !missing.is_empty() && (over || begun.elapsed() > PATIENCE) {
                return Err((None, Failure::failed(absent(&missing))));
            }
            over |= missing.is_empty() && sample.living == 0;
        }
        if over {
            break;
        }
    }
    let (moments, written, processes) = (recorder.moments(), recorder.written(), recorder.recorded().len());
    let (_, written) = recorder
        .finish()
        .map_err(|error| (Some(written), Failure::failed(unwritten(&args.output, &error))))?;
    output::tell(&format!(
        "stormglass: {moments} moments of {} processes in {:.0} s: {}, {written} bytes; look at them with `stormglass replay`",
        processes,
        begun.elapsed().as_secs_f64(),
        args.output.display(),
    ));
    Ok(ExitCode::SUCCESS)
}

/// Waits for a moment, or for ever.
async fn at(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

fn create(args: &RecordArgs) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.write(true);
    if args.force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    options.open(&args.output).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::impossible(format!(
            "{} is there already: name another file, or say --force to write over it",
            args.output.display()
        )),
        _ => Failure::failed(unwritten(&args.output, &error)),
    })
}

/// Removes a file that holds nothing of use; a device is no such file.
fn discard(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_file() { std::fs::remove_file(path) } else { Ok(()) }
}

fn unwritten(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            format!("the disk of {path} is full ({error}): make room, or record to another with -o")
        }
        _ => format!("{path} cannot be written: {error}"),
    }
}

fn absent(pids: &[String]) -> String {
    let (process, has) = if pids.len() == 1 { ("process", "has") } else { ("processes", "have") };
    format!(
        "{process} {} {has} no counters that this user can read: was it started with `stormglass run`, or under \
         libstormglass.so, by the same user?",
        pids.join(", ")
    )
}
