//! `stormglass replay`: the page of a recording, or its numbers.

use std::fs::File;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args as Group;
use stormglass_dashboard::recording::{Reader, Recorded, RecordingError, Summary};
use stormglass_dashboard::{Config, Tape};
use stormglass_telemetry::Directory;

use crate::failure::Failure;
use crate::interrupt::{Interrupt, runtime};
use crate::serve::ExposureArgs;
use crate::{output, serve};

#[derive(Debug, Group)]
pub(crate) struct ReplayArgs {
    /// The recording, as `stormglass record` or the page has made it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How many times as fast as it went; the page can change it
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Address and port of the page
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7070")]
    listen: SocketAddr,
    /// Also answer requests for this host name; may be repeated
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    #[command(flatten)]
    exposure: ExposureArgs,
    /// Print what it holds instead of serving it
    #[arg(long)]
    summary: bool,
    /// The summary as JSON
    #[arg(long, requires = "summary")]
    json: bool,
}

pub(crate) fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "it takes a number, such as 4 or 0.5".to_owned())?;
    if (0.01..=1000.0).contains(&speed) { Ok(speed) } else { Err("it takes 0.01 to 1000".to_owned()) }
}

/// Serves the recording until an interrupt, or prints its summary.
///
/// # Errors
/// If the file is no recording or holds nothing, or the address cannot be listened on.
pub(crate) fn replay(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    let unread = |error: RecordingError| Failure::failed(format!("{}: {error}", args.file.display()));
    if args.summary {
        let file = File::open(&args.file).map_err(|error| unread(RecordingError::Io(error)))?;
        let summary = Reader::new(BufReader::new(file)).and_then(Summary::of).map_err(unread)?;
        return print(&summary, args.json);
    }
    let tape = Arc::new(Tape::open(&args.file).map_err(unread)?);
    if let Some(damage) = tape.damage() {
        output::tell(&format!("stormglass: {}: {damage}", args.file.display()));
    }
    let name = args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    runtime()?.block_on(async {
        let mut interrupt = Interrupt::listen()?;
        let config = Config {
            listen: args.listen,
            allowed_hosts: args.allow_host.clone(),
            keep_dead: Duration::MAX,
            exposure: args.exposure.exposure()?,
            ..Config::of(Directory::from_env())
        };
        let sidecar = serve::listen(config).await?;
        let sidecar = sidecar.replay(tape, name, args.speed).map_err(unread)?;
        output::print(&serve::address_line(&sidecar))?;
        serve::beside(sidecar, async {
            interrupt.next().await;
            Ok(())
        })
        .await
    })?;
    Ok(ExitCode::SUCCESS)
}

fn print(summary: &Summary, json: bool) -> Result<ExitCode, Failure> {
    if json {
        let text = serde_json::to_string_pretty(summary)
            .map_err(|e| Failure::failed(format!("the summary cannot be written as JSON: {e}")))?;
        output::print(&(text + "\n"))?;
    } else {
        output::print(&table(summary))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The summary for people: what it is, then a row a process.
fn table(summary: &Summary) -> String {
    let (from, to) = summary.span.unwrap_or((0, 0));
    let about = format!(
        "{} moments in {:.1} s, recorded by stormglass {}{}\n",
        summary.moments,
        (to - from) as f64 / 1000.0,
        summary.version,
        if summary.whole { "" } else { "; it ends without a last word" },
    );
    let line = |remark: &str| if remark.is_empty() { String::new() } else { format!("{remark}\n") };
    let remarks = line(&summary.note) + &line(summary.damage.as_deref().unwrap_or_default());
    let head = format!(
        "\n{:>8} {:<16} {:<16} {:>8} {:>12} {:>12} {:>12} {:>9}  hottest shard\n",
        "pid", "command", "design", "seconds", "allocations", "CAS failed", "at its worst", "lock wait"
    );
    let rows: String = summary.processes.iter().map(row).collect();
    about + &remarks + &head + &rows
}

fn row(process: &Recorded) -> String {
    let rate = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{}/s", si(v)));
    let place = process.hottest.as_ref().map_or_else(
        || "-".to_owned(),
        |hot| format!("class {} shard {}, {}/s", hot.class, hot.shard, si(hot.cas_failures_per_second)),
    );
    format!(
        "{:>8} {:<16} {:<16} {:>8.1} {:>12} {:>12} {:>12} {:>9}  {}{}{}\n",
        process.pid,
        process.command,
        process.strategy,
        (process.span.1 - process.span.0) as f64 / 1000.0,
        rate(process.measures.allocations_per_second),
        rate(process.measures.cas_failures_per_second),
        rate(process.peak.map(|peak| peak.cas_failures_per_second)),
        process.measures.lock_wait_ratio.map_or_else(|| "-".to_owned(), |r| format!("{r:.3} s/s")),
        place,
        if process.live { "" } else { "; ended" },
        process.injected.as_ref().map_or_else(String::new, |delay| format!("; delay injected: {delay}")),
    )
}

/// Three digits and a letter.
fn si(value: f64) -> String {
    let (scaled, letter) = [(1e9, " G"), (1e6, " M"), (1e3, " k")]
        .iter()
        .find(|(size, _)| value >= *size)
        .map_or((value, ""), |&(size, letter)| (value / size, letter));
    let places = if scaled >= 100.0 || scaled == 0.0 {
        0
    } else if scaled >= 10.0 {
        1
    } else {
        2
    };
    format!("{scaled:.places$}{letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, 1.234, 56.78, 999.0, 1234.0, 3_456_789.0].map(si),
            ["0", "1.23", "56.8", "999", "1.23 k", "3.46 M"]
        );
    }

    #[test]
    fn speeds_have_limits() {
        assert_eq!(speed("4"), Ok(4.0));
        for wrong in ["0", "-1", "nan", "inf", "fast", "1e9"] {
            assert!(speed(wrong).is_err(), "{wrong}");
        }
    }
}
