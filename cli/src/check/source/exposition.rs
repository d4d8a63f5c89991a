//! The text of `/metrics` back to counts. Pure.
//!
//! Invariants: whatever the text, no panic, and no more memory than a multiple of its length. What no series tells is absent; only of
//! a metric by operation, whose cells appear with their first count, what is absent is 0.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stormglass_telemetry::{
    Counts, Family, Kind, Label, LabelValues, Liveness, Metric, Op, Process, Schema, Scope, Snapshot,
};

use super::events::{EVENTS, with_events};
use crate::check::evidence::{Cost, Sight};
use crate::check::expression::{EVENT, Gauge};
use crate::check::verdicts::{self, Raised};

/// The gauge of verdicts that are on.
const ACTIVE: &str = "stormglass_verdict_active";
/// Cells of one group at most: more are no sidecar's.
const CELLS: usize = 1 << 22;

type Labels = BTreeMap<String, String>;

/// What tells the series of processes apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    command: String,
    strategy: String,
    workload: String,
    injected: Option<String>,
}

/// One line.
struct Series {
    name: String,
    labels: Labels,
    value: f64,
}

/// One scrape.
pub(crate) struct Scraped {
    groups: BTreeMap<Group, Vec<Series>>,
}

impl Scraped {
    /// Whether it tells of no process.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

/// Reads a page.
///
/// # Errors
/// At the first line that is none of the format.
pub(crate) fn parse(text: &str) -> Result<Scraped, String> {
    let mut groups: BTreeMap<Group, Vec<Series>> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut series = series(line).ok_or_else(|| format!("line {} is no series", number + 1))?;
        let Some(command) = series.labels.remove("command") else { continue };
        let mut take = |label: &str| series.labels.remove(label);
        let group = Group {
            command,
            strategy: take("strategy").unwrap_or_default(),
            workload: take("workload").unwrap_or_default(),
            injected: take("injected"),
        };
        groups.entry(group).or_default().push(series);
    }
    Ok(Scraped { groups })
}

/// `name{label="value",...} value`
fn series(line: &str) -> Option<Series> {
    let head = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, mut rest) = line.split_at(head);
    let mut labels = Labels::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(label.trim().to_owned(), value);
            rest = after;
        }
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    (!name.is_empty()).then(|| Series { name: name.to_owned(), labels, value })
}

/// A label's value up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            c => value.push(c),
        }
    }
    None
}

/// What each scrape showed, by one schema a group.
pub(crate) fn sights(scrapes: &[(u64, Scraped)]) -> Vec<(u64, Vec<Sight>)> {
    let groups: BTreeSet<&Group> = scrapes.iter().flat_map(|(_, scraped)| scraped.groups.keys()).collect();
    let mut all: Vec<(u64, Vec<Sight>)> = scrapes.iter().map(|&(time, _)| (time, Vec::new())).collect();
    for group in groups {
        let of = |scraped: &'_ Scraped| scraped.groups.contains_key(group);
        let series = scrapes.iter().filter_map(|(_, scraped)| scraped.groups.get(group)).flatten();
        let Some(schema) = schema(series).map(Arc::new) else { continue };
        let process = Arc::new(process(group));
        // One that may live again is not taken for dead meanwhile.
        let lives = |scraped: &Scraped| scraped.groups.get(group).is_some_and(|series| lives(series));
        let liveness =
            if scrapes.iter().any(|(_, scraped)| lives(scraped)) { Liveness::Live } else { Liveness::Dead };
        // One that was not there at first began after the scrape before.
        let first = scrapes.iter().position(|(_, scraped)| of(scraped)).unwrap_or(0);
        let born = if first == 0 { 0 } else { scrapes[first - 1].0 + 1 };
        for ((time, scraped), (_, sights)) in scrapes.iter().zip(&mut all) {
            if let Some(series) = scraped.groups.get(group) {
                sights.push(sight(series, &schema, &process, liveness, *time, born));
            }
        }
    }
    all
}

fn process(group: &Group) -> Process {
    Process {
        pid: 0,
        start_time: 0,
        sequence: 0,
        command: group.command.clone(),
        strategy: group.strategy.clone(),
        workload: group.workload.clone(),
        injected: group.injected.clone(),
        version: String::new(),
        created: 0,
    }
}

/// The metric whose series have this name, and what of a histogram it is.
fn metric(name: &str) -> Option<(Metric, &str)> {
    Metric::ALL.iter().find_map(|&metric| {
        let descriptor = metric.descriptor();
        let rest = name.strip_prefix(descriptor.name)?;
        let fits = if descriptor.kind == Kind::Histogram {
            matches!(rest, "_bucket" | "_sum" | "_count")
        } else {
            rest.is_empty()
        };
        fits.then_some((metric, rest))
    })
}

/// What a group counts; `None` if it is more than anything counts.
fn schema<'a>(series: impl Iterator<Item = &'a Series>) -> Option<Schema> {
    let (mut classes, mut shards, mut found) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut events = BTreeSet::new();
    for series in series {
        if series.name == EVENTS.name {
            events.extend(series.labels.get(EVENT).cloned());
        }
        let Some((metric, _)) = metric(&series.name) else { continue };
        found.insert(metric as usize);
        let number = |label: &str| series.labels.get(label).and_then(|value| value.parse::<u64>().ok());
        classes.extend(number("class"));
        shards.extend(number("shard"));
    }
    let by_shard =
        Metric::ALL.iter().any(|&m| m.descriptor().scope == Scope::Shard && found.contains(&(m as usize)));
    let texts = |numbers: &BTreeSet<u64>| numbers.iter().map(u64::to_string).collect();
    let values = |label: Label| match label {
        Label::Class => texts(&classes),
        Label::Shard => texts(&shards),
        Label::Op => Op::ALL.iter().map(|op| op.name().to_owned()).collect(),
    };
    let labels: Vec<LabelValues> = Label::ALL
        .iter()
        .map(|&label| LabelValues { name: label.name().to_owned(), values: values(label) })
        .collect();
    let counted = Metric::ALL.iter().copied().filter(|&metric| {
        let descriptor = metric.descriptor();
        let shown = found.contains(&(metric as usize)) || by_shard && descriptor.labels.contains(&Label::Op);
        shown && descriptor.scope != Scope::Process
    });
    let families: Vec<Family> = counted.map(|metric| Family::of(&metric.descriptor())).collect();
    let cells = families
        .iter()
        .map(|f| f.labels.iter().map(|&l| labels[l].values.len()).product::<usize>() * f.width);
    (cells.sum::<usize>() + events.len() <= CELLS).then(|| {
        if events.is_empty() {
            Schema::new(labels, families)
        } else {
            with_events(labels, families, events.into_iter())
        }
    })
}

fn sight(
    series: &[Series],
    schema: &Arc<Schema>,
    process: &Arc<Process>,
    liveness: Liveness,
    taken: u64,
    born: u64,
) -> Sight {
    let mut counts = Counts::zero(Arc::clone(schema));
    let mut raised = Vec::new();
    let mut gauges: Vec<(Gauge, Option<f64>)> = Gauge::all().map(|gauge| (gauge, None)).collect();
    for one in series {
        raised.extend(verdict(one));
        let Some((metric, part)) = metric(&one.name) else { continue };
        if let Some((_, gauge)) = gauges.iter_mut().find(|(gauge, _)| gauge.0 == metric) {
            *gauge = Some(one.value);
        }
        // Events are known by their name: no writer's table has their label.
        let by_name = || schema.families.iter().find(|family| family.name == one.name);
        let Some(family) = schema.family(metric).or_else(by_name) else { continue };
        let Some(start) = cell(schema, family, &one.labels) else { continue };
        let stored = (one.value * family.divisor).round() as u64;
        match part {
            "" => counts.values[start] = stored,
            "_sum" => counts.values[start + family.width - 1] = stored,
            "_bucket" => {
                if let Some(bucket) = bucket(family, &one.labels) {
                    counts.values[start + bucket] = one.value as u64;
                }
            }
            _ => {}
        }
    }
    uncumulate(&mut counts);
    let threads = gauges.iter().find(|(gauge, _)| gauge.0 == Metric::Threads).and_then(|(_, value)| *value);
    let snapshot = Snapshot {
        process: Arc::clone(process),
        liveness,
        taken,
        born,
        heartbeat: 0,
        threads: threads.unwrap_or(0.0) as u32,
        threads_started: 0,
        threads_dropped: 0,
        segment_bytes: 0,
        resident_bytes: None,
        counts,
    };
    Sight { snapshot, gauges, raised, cost: Cost::Judged }
}

/// Whether a process of a group lives; one of which that is not said does.
fn lives(series: &[Series]) -> bool {
    series.iter().find(|one| one.name == Metric::Up.descriptor().name).is_none_or(|up| up.value > 0.0)
}

/// The verdict that a series says is on.
fn verdict(series: &Series) -> Option<Raised> {
    if series.name != ACTIVE || series.value < 1.0 {
        return None;
    }
    let label = |name: &str| series.labels.get(name).filter(|value| !value.is_empty()).cloned();
    Some(Raised {
        verdict: verdicts::named(&label("verdict")?)?,
        class: label("class"),
        shard: label("shard"),
        evidence: "the sidecar says so".to_owned(),
    })
}

/// Index of a label combination's first value.
fn cell(schema: &Schema, family: &Family, labels: &Labels) -> Option<usize> {
    let mut index = 0;
    for &label in &family.labels {
        let label = &schema.labels[label];
        let value = labels.get(&label.name)?;
        index = index * label.values.len() + label.values.iter().position(|known| known == value)?;
    }
    Some(family.start + index * family.width)
}

/// The bucket with that bound; none of another writer's bounds.
fn bucket(family: &Family, labels: &Labels) -> Option<usize> {
    let le = labels.get("le")?;
    if le == "+Inf" {
        return Some(family.bounds.len());
    }
    let bound: f64 = le.parse().ok()?;
    family.bounds.iter().position(|&own| {
        let exposed = own as f64 / family.divisor;
        (exposed - bound).abs() <= exposed.abs() * 1e-9
    })
}

/// Buckets are exposed as those up to a bound, and kept as those between two.
fn uncumulate(counts: &mut Counts) {
    let schema = Arc::clone(&counts.schema);
    for family in schema.families.iter().filter(|family| family.kind == Kind::Histogram) {
        let cells = family.labels.iter().map(|&l| schema.labels[l].values.len()).product::<usize>();
        for cell in 0..cells {
            let start = family.start + cell * family.width;
            let buckets = &mut counts.values[start..=start + family.bounds.len()];
            for i in (1..buckets.len()).rev() {
                buckets[i] = buckets[i].saturating_sub(buckets[i - 1]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stormglass_telemetry::Select;
    use stormglass_telemetry::perf::Event;

    use super::*;

    /// What the sidecar writes; its own tests hold it to this file.
    const PAGE: &str = include_str!("../../../../dashboard/tests/golden/metrics.txt");

    fn seen() -> Vec<Sight> {
        let scraped = parse(PAGE).expect("a page of metrics");
        sights(&[(7, scraped)]).pop().expect("one scrape").1
    }

    #[test]
    fn the_sidecars_page_is_read_back_to_its_counts() {
        let all = seen();
        assert!(all.len() >= 3);
        let storm = all
            .iter()
            .find(|sight| sight.snapshot.process.strategy == "lockfree-single")
            .expect("it is there");
        let counts = &storm.snapshot.counts;
        assert_eq!(counts.sum(Metric::CasFailures, Select::ALL), Some(260));
        assert_eq!(counts.sum(Metric::CasAttempts, Select::ALL), Some(320));
        let retries = counts.histogram(Metric::CasRetries, Select::ALL).expect("it is there");
        assert_eq!((retries.buckets[0], retries.buckets[4], retries.count(), retries.sum), (10, 7, 18, 2100));
        assert_eq!(counts.schema.label_values(Label::Shard), ["5"]);
        assert_eq!(counts.sum(Metric::LargeFrees, Select::ALL), None, "a mid pool has none");
        let odd = all.iter().find(|sight| sight.snapshot.process.command.contains('"')).expect("it is there");
        assert_eq!(odd.snapshot.process.command, "say \"hi\"\\");
    }

    #[test]
    fn events_of_a_sidecar_are_counted_by_their_name() {
        let page = |cycles: u64| {
            format!(
                "stormglass_threads{{command=\"x\"}} 2\n\
                 stormglass_perf_events_total{{command=\"x\",event=\"cycles\"}} {cycles}\n\
                 stormglass_perf_events_total{{command=\"x\",event=\"page_faults\"}} 7\n"
            )
        };
        let scrapes = [1, 2].map(|n| (n, parse(&page(1000 * n)).expect("a page")));
        let counts = sights(&scrapes).pop().expect("the last").1.remove(0).snapshot.counts;
        let of = |event| crate::check::selection::event(&counts, event);
        assert_eq!(
            (of(Event::Cycles), of(Event::PageFaults), of(Event::Migrations)),
            (Some(2000), Some(7), None)
        );
    }

    #[test]
    fn a_group_of_which_nobody_lives_at_any_time_is_dead() {
        let page = |up: u8| {
            let labels = "command=\"a\",strategy=\"mutex\",workload=\"\"";
            parse(&format!("stormglass_up{{{labels}}} {up}\nstormglass_threads{{{labels}}} 2\n"))
                .expect("a page")
        };
        let ever = |ups: &[u8]| {
            let scrapes: Vec<(u64, Scraped)> = (1..).zip(ups.iter().map(|&up| page(up))).collect();
            let all = sights(&scrapes).into_iter().flat_map(|(_, sights)| sights);
            all.map(|sight| sight.snapshot.liveness).collect::<Vec<_>>()
        };
        assert_eq!(ever(&[0, 0]), [Liveness::Dead; 2]);
        assert_eq!(ever(&[1, 0, 1]), [Liveness::Live; 3], "between two processes of a group");
    }

    #[test]
    fn what_is_no_page_is_refused_with_its_line() {
        assert_eq!(parse("a 1\n<html>\n").err().as_deref(), Some("line 2 is no series"));
        assert!(parse("").expect("nothing is a page").is_empty());
    }

    #[test]
    fn a_verdict_that_the_sidecar_raised_is_heard() {
        let page = "stormglass_threads{command=\"x\"} 2\nstormglass_verdict_active{command=\"x\",class=\"8192\",shard=\"3\",verdict=\"retry_storm\"} 1\n";
        let all = sights(&[(7, parse(page).expect("a page"))]).pop().expect("one").1;
        assert_eq!(all[0].raised.len(), 1);
        assert_eq!(
            (all[0].raised[0].class.as_deref(), all[0].raised[0].shard.as_deref()),
            (Some("8192"), Some("3"))
        );
    }

    proptest! {
        #[test]
        fn any_page_has_an_answer(
            lines in prop::collection::vec(
                prop_oneof![
                    any::<String>(),
                    Just("stormglass_cas_retries_bucket{command=\"x\",class=\"1\",shard=\"0\",le=\"4\"} 1e300".to_owned()),
                    Just("stormglass_ring_hits_total{command=\"x\",class=\"-1\"} NaN".to_owned()),
                    "stormglass_refills_total\\{command=\"x\",class=\"[0-9]{1,3}\",shard=\"[0-9]{1,2}\"\\} [0-9]{1,9}",
                ],
                0..12,
            )
        ) {
            if let Ok(scraped) = parse(&lines.join("\n")) {
                let all = sights(&[(1, scraped)]);
                prop_assert_eq!(all.len(), 1);
            }
        }
    }
}
