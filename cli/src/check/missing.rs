//! Why there is no value to judge. Pure.
//!
//! Invariant: what a process could have counted and did not is missing data; what it cannot count without hardware counters, and
//! has none of, is not available.

use super::evaluate::Judgement;
use super::evidence::{Seconds, Seen};
use super::expression::{Counted, Matcher, What};
use super::selection::{cell_matchers, event, is_asked};

/// Values of a label that are listed at most.
const VALUES: usize = 12;
/// Processes that are listed at most.
const NAMES: usize = 8;

/// A sentence on what is missing.
pub(super) enum Missing {
    Data(String),
    Counters(String),
}

impl Missing {
    /// Why something that was asked for has no value.
    pub(super) fn of(counted: &Counted, seen: &Seen, least: u64) -> Missing {
        let asked: Vec<&Seconds> =
            seen.tracks.iter().filter(|track| is_asked(&counted.labels, track)).collect();
        if asked.is_empty() {
            return Missing::Data(nobody(seen, &counted.labels));
        }
        if let What::Event(of) | What::EventRate(of) = counted.what
            && asked.iter().all(|track| event(&track.last.counts, of).is_none())
        {
            return Missing::Counters(format!(
                "nothing that was looked at has the event {}: it takes a machine and settings that let it be counted (`stormglass \
                 doctor`), and of a sidecar that it was started with --perf; a recording has none",
                of.name()
            ));
        }
        if let Some(metric) = counted.what.sampled()
            && asked.iter().all(|track| track.last.counts.schema.family(metric).is_none())
        {
            return Missing::Counters(format!(
                "no process that was looked at has {}: it takes STORMGLASS_PERF=1 (`run --perf`, `bench --perf`) and a \
                 processor whose counters can be read (`stormglass doctor`)",
                metric.descriptor().name
            ));
        }
        let unlike = cell_matchers(&counted.labels)
            .into_iter()
            .filter(|matcher| matcher.equal)
            .find_map(|matcher| no_such_value(&matcher, seen));
        Missing::Data(unlike.unwrap_or_else(|| uncounted(counted.what, least)))
    }

    pub(super) fn judged(self) -> (Judgement, String) {
        match self {
            Missing::Data(why) => (Judgement::NoData, why),
            Missing::Counters(why) => (Judgement::Unavailable, why),
        }
    }
}

/// Why a verdict cannot have been raised where it was asked for: no process has such a class or shard.
pub(super) fn nowhere(labels: &[Matcher], seen: &Seen) -> Option<String> {
    let place = |matcher: &&Matcher| matches!(matcher.label, "class" | "shard");
    let named = labels.iter().filter(place).filter(|matcher| matcher.equal && !matcher.value.is_empty());
    named.clone().find_map(|matcher| no_such_value(matcher, seen))
}

/// What to say if no process has this value of a label.
fn no_such_value(matcher: &Matcher, seen: &Seen) -> Option<String> {
    let mut distinct: Vec<&str> = Vec::new();
    let labels = seen.tracks.iter().flat_map(|track| &track.last.counts.schema.labels);
    for value in labels.filter(|label| label.name == matcher.label).flat_map(|label| &label.values) {
        if *value == matcher.value {
            return None;
        }
        if !distinct.contains(&value.as_str()) {
            distinct.push(value);
        }
    }
    distinct.truncate(VALUES);
    Some(format!("no {} is \"{}\"; there are {}", matcher.label, matcher.value, distinct.join(", ")))
}

fn uncounted(what: What, least: u64) -> String {
    match what {
        What::Figure(figure) if !figure.per.is_empty() => {
            let per: Vec<&str> = figure.per.iter().map(|metric| metric.descriptor().name).collect();
            format!(
                "fewer than {} events of {} were counted; --least sets how many it takes",
                least.max(1),
                per.join(" and ")
            )
        }
        What::Histogram(_) => "no value was counted".to_owned(),
        _ => "nothing was counted: too short a look, or the writer does not count it".to_owned(),
    }
}

/// What there is to say where no process is meant.
pub(super) fn nobody(seen: &Seen, labels: &[Matcher]) -> String {
    if !seen.tracks.is_empty() {
        if labels.is_empty() {
            return "the processes were seen once only: look for longer, with --for".to_owned();
        }
        let mut names: Vec<String> = seen.tracks.iter().map(name).collect();
        names.dedup();
        names.truncate(NAMES);
        return format!("no process is meant by these labels; there are {}", names.join(", "));
    }
    match seen.dead {
        0 => "no process was seen".to_owned(),
        dead => format!(
            "{dead} that had ended before the first look, and no other: --lifetime takes those too, from their birth"
        ),
    }
}

/// A process for people.
pub(super) fn name(track: &Seconds) -> String {
    let process = &track.last.process;
    let mut name = if process.pid == 0 {
        process.command.clone()
    } else {
        format!("{} {}", process.command, process.pid)
    };
    let about: Vec<&str> = [&process.strategy, &process.workload]
        .into_iter()
        .map(String::as_str)
        .filter(|word| !word.is_empty())
        .collect();
    if !about.is_empty() {
        name = format!("{name} ({})", about.join(", "));
    }
    name
}
