//! What is said at the end of a run: how it ended, its memory, its allocations, and where its threads got into each
//! other's way.

use std::fmt::{self, Display, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use stormglass_telemetry::{Counts, Kind, Label, Liveness, Metric, Select, Snapshot};

use super::gather::{Found, Gathered};

/// Findings that are told, the worst; of the rest, the number.
const VERDICTS: usize = 6;

/// How the program ended.
pub(crate) struct Ending<'a> {
    pub(crate) name: &'a str,
    pub(crate) took: Duration,
    pub(crate) status: ExitStatus,
}

/// The summary, without a line end.
pub(crate) fn summary(ending: &Ending<'_>, gathered: &Gathered) -> String {
    let mut text = format!(
        "stormglass: {} {} after {:.1} s",
        ending.name,
        end(ending.status),
        ending.took.as_secs_f64()
    );
    // Writing to a string does not fail.
    let _ = details(&mut text, ending.name, gathered);
    text
}

fn end(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("was ended by signal {signal}"),
        None => format!("ended with exit code {}", status.code().unwrap_or(1)),
    }
}

fn details(text: &mut String, name: &str, gathered: &Gathered) -> fmt::Result {
    if gathered.last.is_empty() {
        return write!(
            text,
            "\nstormglass: no counts appeared, so {name} did not run under the allocator, or was not seen: a static program \
             cannot be preloaded, nor one that gains privileges (setuid, capabilities), nor one of another C library or architecture"
        );
    }
    let all = &gathered.last;
    let sum = |of: &dyn Fn(&Snapshot) -> Option<u64>| all.iter().filter_map(of).fold(0, u64::saturating_add);
    let count = |metric: Metric| sum(&|s: &Snapshot| s.counts.sum(metric, Select::ALL));

    let live = sum(&Snapshot::live_bytes);
    write!(
        text,
        "\n  memory       {} live at the peak, {} at the end",
        Bytes(gathered.peak_live.max(live)),
        Bytes(live)
    )?;
    if gathered.peak_resident > 0 {
        write!(text, "; {} resident at the peak", Bytes(gathered.peak_resident))?;
    }
    let (hits, misses) = (count(Metric::RingHits), count(Metric::RingMisses));
    let large = count(Metric::LargeAllocations);
    write!(text, "\n  allocations  {}", hits.saturating_add(misses).saturating_add(large))?;
    if let Some(share) = share(hits, hits.saturating_add(misses)) {
        write!(text, ", {share} of those up to 32 KiB from the thread's ring; {large} larger")?;
    }
    write!(text, "\n  contention   {}", contention(all))?;
    if let Some(text_of) = verdicts(&gathered.found) {
        write!(text, "\n  verdicts     {text_of}")?;
    }
    let processes = processes(all);
    let threads = sum(&|s: &Snapshot| Some(s.threads_started));
    write!(
        text,
        "\n  counted      {processes} {}, {threads} {}",
        plural("process", processes),
        plural("thread", threads)
    )?;
    let running =
        all.iter().filter(|s| s.liveness == Liveness::Live && s.process.sequence == 0).count() as u64;
    if running > 0 {
        write!(text, "; {running} of them {} still", if running == 1 { "runs" } else { "run" })?;
    }
    Ok(())
}

/// Where most CASes failed and where most locks were waited for, a line each.
fn contention(all: &[Snapshot]) -> String {
    let kinds = [
        ("CASes failed", Metric::CasFailures, Metric::CasAttempts),
        ("locks were waited for", Metric::LockContended, Metric::LockAcquisitions),
    ];
    let lines: Vec<String> = kinds
        .into_iter()
        .filter_map(|(what, bad, tried)| {
            let spot = worst(all, bad)?;
            let (count, of) = (spot.count, spot.other(tried));
            let share = share(count, of).unwrap_or_default();
            Some(format!("{count} of {of} {what} ({share}) at its worst place, {spot}"))
        })
        .collect();
    if lines.is_empty() {
        return "none: no CAS failed, and no lock was waited for".to_owned();
    }
    lines.join("\n               ")
}

/// What was found wrong, a line each; nothing if nothing was.
fn verdicts(found: &[Found]) -> Option<String> {
    let mut worst: Vec<&Found> = found.iter().collect();
    worst.sort_by_key(|f| (std::cmp::Reverse(f.finding.verdict.severity()), f.finding.verdict));
    let mut lines: Vec<String> = worst.iter().take(VERDICTS).map(|found| said(found)).collect();
    if worst.len() > VERDICTS {
        lines.push(format!("and {} more", worst.len() - VERDICTS));
    }
    (!lines.is_empty()).then(|| lines.join("\n               "))
}

fn said(Found { process, finding, until }: &Found) -> String {
    let lasted = match until {
        Some(until) => {
            let span = Duration::from_nanos(until.saturating_sub(finding.since));
            format!("for {:.1} s", span.as_secs_f64())
        }
        None => "to the end".to_owned(),
    };
    format!("{finding} ({} {}, {}, {lasted})", process.command, process.pid, process.strategy)
}

/// A class and a shard of one process.
struct Spot<'a> {
    snapshot: &'a Snapshot,
    class: usize,
    shard: usize,
    count: u64,
}

impl Spot<'_> {
    /// Another count of the same place.
    fn other(&self, metric: Metric) -> u64 {
        let select = Select::ALL.class(self.class).shard(self.shard);
        self.snapshot.counts.sum(metric, select).unwrap_or(0)
    }
}

impl Display for Spot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |label, index: usize| {
            self.snapshot.counts.schema.label_values(label).get(index).map_or("?", String::as_str)
        };
        let process = &self.snapshot.process;
        let (class, shard) = (value(Label::Class, self.class), value(Label::Shard, self.shard));
        write!(f, "class {class} shard {shard} of {} {} ({})", process.command, process.pid, process.strategy)
    }
}

fn worst(all: &[Snapshot], metric: Metric) -> Option<Spot<'_>> {
    let spots = all.iter().flat_map(|snapshot| {
        by_shard(&snapshot.counts, metric).into_iter().map(move |(class, shard, count)| Spot {
            snapshot,
            class,
            shard,
            count,
        })
    });
    spots.filter(|spot| spot.count > 0).max_by_key(|spot| spot.count)
}

/// A counter by class and shard, over all operations.
fn by_shard(counts: &Counts, metric: Metric) -> Vec<(usize, usize, u64)> {
    let Some(family) = counts.schema.family(metric).filter(|family| family.kind == Kind::Counter) else {
        return Vec::new();
    };
    let place =
        |label: Label| family.labels.iter().position(|&l| counts.schema.labels[l].name == label.name());
    let (Some(class), Some(shard)) = (place(Label::Class), place(Label::Shard)) else { return Vec::new() };
    let mut sums = std::collections::BTreeMap::new();
    counts.each(family, |at, values| {
        let sum: &mut u64 = sums.entry((at[class], at[shard])).or_default();
        *sum = sum.saturating_add(values[0]);
    });
    sums.into_iter().map(|((class, shard), count)| (class, shard, count)).collect()
}

/// Processes: one may have several segments.
fn processes(all: &[Snapshot]) -> u64 {
    let ids: std::collections::BTreeSet<_> =
        all.iter().map(|s| (s.process.pid, s.process.start_time)).collect();
    ids.len() as u64
}

fn plural(word: &str, count: u64) -> String {
    match (word, count) {
        (word, 1) => word.to_owned(),
        ("process", _) => "processes".to_owned(),
        (word, _) => format!("{word}s"),
    }
}

/// A share in per cent; none of nothing.
fn share(part: u64, whole: u64) -> Option<String> {
    (whole > 0).then(|| format!("{:.1}%", part as f64 / whole as f64 * 100.0))
}

/// Bytes as one reads them.
struct Bytes(u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["KiB", "MiB", "GiB"];
        let mut value = self.0 as f64;
        let mut unit = "bytes";
        for larger in units {
            if value < 1024.0 {
                break;
            }
            value /= 1024.0;
            unit = larger;
        }
        if unit == "bytes" { write!(f, "{value} {unit}") } else { write!(f, "{value:.1} {unit}") }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stormglass_telemetry::Process;
    use stormglass_telemetry::diagnosis::{Finding, LockConvoy, Place, RingStarvation, Verdict};

    use super::*;

    fn found(verdict: Verdict, shard: Option<&str>, until: Option<u64>) -> Found {
        let process = Process {
            pid: 7,
            start_time: 1,
            sequence: 0,
            command: "prog".to_owned(),
            strategy: "mutex".to_owned(),
            workload: String::new(),
            injected: None,
            version: String::new(),
            created: 0,
        };
        let evidence = match verdict {
            Verdict::LockConvoy => {
                LockConvoy { contended_share: 0.46, contended_per_second: 1.2e6, wait_ratio: 0.72 }.into()
            }
            _ => RingStarvation { hit_ratio: 0.5, misses_per_second: 1e5, blocks_per_refill: 2.0 }.into(),
        };
        let place = Place { class: Some("8192".to_owned()), shard: shard.map(str::to_owned) };
        let finding = Finding { verdict, place, since: 1_000_000_000, evidence, injected: false };
        Found { process: Arc::new(process), finding, until }
    }

    #[test]
    fn the_worst_verdicts_are_told_first_and_the_rest_is_counted() {
        assert_eq!(verdicts(&[]), None, "nothing wrong, nothing said");
        let mut all = vec![
            found(Verdict::RingStarvation, None, None),
            found(Verdict::LockConvoy, Some("3"), Some(13_300_000_000)),
        ];
        assert_eq!(
            verdicts(&all).as_deref(),
            Some(
                "Lock convoy, class 8192 shard 3: 46% of the acquisitions of its lock wait, 1.2M a second, for 0.72 s of each \
                 second over all threads (prog 7, mutex, for 12.3 s)\n               Ring starvation, class 8192: the ring serves 50% \
                 of the allocations; 100k a second find it empty, and a refill brings 2 blocks (prog 7, mutex, to the end)"
            )
        );
        all.extend((0..VERDICTS).map(|_| found(Verdict::LockConvoy, Some("4"), None)));
        let text = verdicts(&all).expect("said");
        assert_eq!(text.lines().count(), VERDICTS + 1);
        assert!(text.ends_with("\n               and 2 more") && !text.contains("Ring starvation"), "{text}");
    }
}
