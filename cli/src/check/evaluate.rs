//! Whether assertions hold of what was seen. Pure.
//!
//! Invariants: what was not seen holds nothing and breaks nothing: it is [`Judgement::NoData`], with a sentence on what
//! is missing. A share of fewer events than `least` is no data either. What this machine or this run cannot count at all is
//! [`Judgement::Unavailable`]: it says nothing of the program.

use std::time::Duration;

use stormglass_telemetry::{Delta, Dimension, Select, diagnosis};

use super::evidence::{Seconds, Seen};
use super::expression::{Assertion, Claim, Comparison, Counted, Fold, Matcher, Sum, Verdict, What};
use super::missing::{Missing, name, nobody, nowhere};
use super::selection::{cell_matchers, event, filtered, has_cells, is_asked, quantile, selections};

/// How an assertion came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    Holds,
    Fails,
    NoData,
    /// It takes hardware counters, and no process had them; or what was to be looked at broke.
    Unavailable,
}

/// One assertion's result.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) assertion: String,
    pub(crate) judgement: Judgement,
    /// The value on the left that decided, and the one that it was compared with.
    pub(crate) value: Option<f64>,
    pub(crate) limit: Option<f64>,
    /// What the value is counted in, where that is known.
    pub(crate) dimension: Option<Dimension>,
    /// Where that value is from.
    pub(crate) place: Option<Place>,
    /// What else there is to say.
    pub(crate) note: String,
}

impl Outcome {
    fn without_value(assertion: &str, judgement: Judgement, note: String) -> Outcome {
        Outcome {
            assertion: assertion.to_owned(),
            judgement,
            value: None,
            limit: None,
            dimension: None,
            place: None,
            note,
        }
    }
}

/// Where a value is from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) process: String,
    pub(crate) class: Option<String>,
    pub(crate) shard: Option<String>,
    /// Begin of the second, after the first look.
    pub(crate) at: Option<Duration>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.process)?;
        if let Some(class) = &self.class {
            write!(f, " class {class}")?;
        }
        if let Some(shard) = &self.shard {
            write!(f, " shard {shard}")?;
        }
        if let Some(at) = self.at {
            write!(f, " at {:.1} s", at.as_secs_f64())?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
struct Reading {
    value: f64,
    place: Option<Place>,
}

/// What an expression comes to.
enum Value {
    /// One for all, or none.
    One(Option<Reading>),
    /// One for each process that has it, by its number.
    Each(Vec<(usize, Reading)>),
}

/// Judges an assertion.
pub(crate) fn judge(assertion: &Assertion, seen: &Seen, least: u64) -> Outcome {
    match &assertion.claim {
        Claim::Verdict(verdict) => judge_verdict(&assertion.text, verdict, seen),
        Claim::Compare { left, comparison, right } => {
            let judge = Judge { seen, least };
            judge.compare(&assertion.text, left, *comparison, right)
        }
    }
}

/// An assertion that could not be judged, because what was to be looked at broke.
pub(crate) fn unknown(assertion: &Assertion, why: &str) -> Outcome {
    Outcome::without_value(&assertion.text, Judgement::Unavailable, why.to_owned())
}

fn judge_verdict(text: &str, asked: &Verdict, seen: &Seen) -> Outcome {
    let outcome = |judgement, place, note| Outcome { place, ..Outcome::without_value(text, judgement, note) };
    let tracks: Vec<&Seconds> = seen.tracks.iter().filter(|track| is_asked(&asked.labels, track)).collect();
    if tracks.iter().all(|track| track.span.is_none()) {
        return outcome(Judgement::NoData, None, nobody(seen, &asked.labels));
    }
    let found = tracks.iter().flat_map(|track| track.raised.iter().map(move |raised| (track, raised)));
    let mut found = found.filter(|(_, raised)| {
        let of = |label: &str, value: &Option<String>| {
            let mut matchers = asked.labels.iter().filter(|matcher| matcher.label == label);
            matchers.all(|matcher| matcher.takes(value.as_deref().unwrap_or_default()))
        };
        asked.which.is_none_or(|verdict| verdict == raised.verdict)
            && of("class", &raised.class)
            && of("shard", &raised.shard)
    });
    let Some((track, raised)) = found.next() else {
        if let Some(note) = nowhere(&asked.labels, seen) {
            return outcome(Judgement::NoData, None, note);
        }
        if asked.which == Some(diagnosis::Verdict::WatchingCost)
            && !tracks.iter().any(|track| track.cost_known)
        {
            let note = "what counting costs was not measured here: `stormglass bench --cost` does, and processes that run are judged by it";
            return outcome(Judgement::NoData, None, note.to_owned());
        }
        if !tracks.iter().any(|track| track.could_tell) {
            let note = "no process was seen alive for the 0.7 s that a verdict takes";
            return outcome(Judgement::NoData, None, note.to_owned());
        }
        return outcome(if asked.raised { Judgement::Fails } else { Judgement::Holds }, None, String::new());
    };
    let more = found.count();
    let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    let place =
        Place { process: name(track), class: raised.class.clone(), shard: raised.shard.clone(), at: None };
    let mut note = format!("{}: {}{more}", raised.verdict, raised.evidence);
    if !asked.raised {
        note = format!("{note}; to try: {}", raised.verdict.tries());
    }
    outcome(if asked.raised { Judgement::Holds } else { Judgement::Fails }, Some(place), note)
}

struct Judge<'a> {
    seen: &'a Seen,
    least: u64,
}

impl Judge<'_> {
    fn compare(&self, text: &str, left: &Sum, comparison: Comparison, right: &Sum) -> Outcome {
        let (a, b) = (self.value(left), self.value(right));
        let pairs = pair(&a, &b);
        let mut outcome = Outcome {
            dimension: left.dimension(),
            ..Outcome::without_value(text, Judgement::NoData, String::new())
        };
        let fails = |pair: &&(Reading, Reading)| !comparison.holds(pair.0.value, pair.1.value);
        let distance = |pair: &&(Reading, Reading)| (pair.0.value - pair.1.value).abs();
        let failing: Vec<_> = pairs.iter().filter(fails).collect();
        // Of those that fail the farthest from the limit, else the nearest to it.
        let far = failing.iter().copied().max_by(|a, b| distance(a).total_cmp(&distance(b)));
        let near = || pairs.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
        let Some((value, limit)) = far.or_else(near) else {
            if let Some(missing) = self.missing(left).or_else(|| self.missing(right)) {
                (outcome.judgement, outcome.note) = missing.judged();
            }
            return outcome;
        };
        outcome.judgement = if failing.is_empty() { Judgement::Holds } else { Judgement::Fails };
        outcome.value = Some(value.value);
        outcome.limit = Some(limit.value);
        outcome.place = value.place.clone().or_else(|| limit.place.clone());
        if failing.len() > 1 {
            outcome.note = format!("{} of {} processes", failing.len(), pairs.len());
        }
        outcome
    }

    fn value(&self, sum: &Sum) -> Value {
        match sum {
            Sum::Number(value, _) => Value::One(Some(Reading { value: *value, place: None })),
            Sum::Each(counted) => self.each(counted, |track, kept| self.whole(counted.what, track, kept)),
            Sum::Quantile(share, counted) => self.each(counted, |track, kept| {
                let What::Histogram(metric) = counted.what else { return None };
                quantile(&filtered(track.span.as_ref()?, kept), metric, *share)
            }),
            Sum::Fold(fold, counted) => Value::One(self.fold(*fold, counted)),
            Sum::Two(left, sign, right) => {
                let (a, b) = (self.value(left), self.value(right));
                let apply = |a: &Reading, b: &Reading| Reading {
                    value: sign.apply(a.value, b.value),
                    place: a.place.clone().or_else(|| b.place.clone()),
                };
                match (a, b) {
                    (Value::One(a), Value::One(b)) => {
                        Value::One(a.zip(b).map(|(a, b)| apply(&a, &b)).filter(is_number))
                    }
                    (Value::Each(a), Value::One(b)) => each(a, |_, a| Some(apply(a, b.as_ref()?))),
                    (Value::One(a), Value::Each(b)) => each(b, |_, b| Some(apply(a.as_ref()?, b))),
                    (Value::Each(a), Value::Each(b)) => {
                        each(a, |process, a| b.iter().find(|(of, _)| of == process).map(|(_, b)| apply(a, b)))
                    }
                }
            }
        }
    }

    /// A value for each process that is asked for.
    fn each(&self, counted: &Counted, of: impl Fn(&Seconds, &[Matcher]) -> Option<f64>) -> Value {
        let asked = self.seen.tracks.iter().enumerate();
        let asked =
            asked.filter(|(_, track)| is_asked(&counted.labels, track) && has_cells(&counted.labels, track));
        let readings = asked.filter_map(|(process, track)| {
            let value = of(track, &cell_matchers(&counted.labels))?;
            let place = Some(Place { process: name(track), ..Place::default() });
            Some((process, Reading { value, place }))
        });
        Value::Each(readings.filter(|(_, reading)| is_number(reading)).collect())
    }

    /// A process as a whole, over the whole span.
    fn whole(&self, what: What, track: &Seconds, kept: &[Matcher]) -> Option<f64> {
        match what {
            What::Gauge(gauge) => track.gauge(gauge),
            What::Figure(_) | What::Counter(_) | What::Rate(_) | What::Event(_) | What::EventRate(_) => {
                self.of_cells(what, &filtered(track.span.as_ref()?, kept), Select::ALL)
            }
            What::Histogram(_) => None,
        }
    }

    /// Some cells of a span of time.
    fn of_cells(&self, what: What, delta: &Delta, select: Select) -> Option<f64> {
        match what {
            What::Figure(figure) => {
                let thin =
                    figure.events(&delta.counts, select).is_some_and(|events| events < self.least.max(1));
                if thin { None } else { figure.value(&delta.measures(select)) }
            }
            What::Counter(metric) => {
                Some(delta.counts.sum(metric, select)? as f64 / metric.descriptor().unit.divisor())
            }
            What::Rate(metric) => {
                let count = self.of_cells(What::Counter(metric), delta, select)?;
                Some(count / delta.elapsed?.as_secs_f64())
            }
            What::Event(of) => Some(event(&delta.counts, of)? as f64),
            What::EventRate(of) => Some(event(&delta.counts, of)? as f64 / delta.elapsed?.as_secs_f64()),
            What::Gauge(_) | What::Histogram(_) => None,
        }
    }

    fn fold(&self, fold: Fold, counted: &Counted) -> Option<Reading> {
        let mut all = Vec::new();
        let asked = self.seen.tracks.iter();
        for track in
            asked.filter(|track| is_asked(&counted.labels, track) && has_cells(&counted.labels, track))
        {
            self.samples(fold, counted, track, &mut all);
        }
        all.retain(is_number);
        let compare = |a: &Reading, b: &Reading| a.value.total_cmp(&b.value);
        let total: f64 = all.iter().map(|reading| reading.value).sum();
        match fold {
            _ if all.is_empty() => None,
            Fold::Max => all.into_iter().max_by(compare),
            Fold::Min => all.into_iter().min_by(compare),
            Fold::Avg => Some(Reading { value: total / all.len() as f64, place: None }),
            Fold::Sum => Some(Reading { value: total, place: None }),
        }
    }

    /// The values of one process that a fold is over. Of a figure and of a rate: each second of each cell; of a counter: the
    /// whole span of each cell; of a gauge: each second. A sum is over the whole span, or what a second counted would be
    /// counted for each of them.
    fn samples(&self, fold: Fold, counted: &Counted, track: &Seconds, all: &mut Vec<Reading>) {
        let kept = cell_matchers(&counted.labels);
        let reading = |value, place| Reading { value, place: Some(Place { process: name(track), ..place }) };
        let is_total = fold == Fold::Sum || matches!(counted.what, What::Counter(_) | What::Event(_));
        if let What::Gauge(gauge) = counted.what {
            if fold == Fold::Sum {
                all.extend(track.gauge(gauge).map(|value| reading(value, Place::default())));
                return;
            }
            all.extend(track.windows.iter().filter_map(|window| {
                let extent = window.extent(gauge)?;
                let value = match fold {
                    Fold::Min => extent.low,
                    Fold::Max => extent.high,
                    Fold::Avg | Fold::Sum => extent.mean(),
                };
                Some(reading(value, Place { at: Some(window.at), ..Place::default() }))
            }));
            return;
        }
        let mut cells = |delta: &Delta, at: Option<Duration>| {
            let delta = filtered(delta, &kept);
            for (select, class, shard) in selections(counted.what, &delta.counts) {
                let matches = |label: &str, value: &Option<String>| {
                    let mut asked = kept.iter().filter(|matcher| matcher.label == label);
                    value.as_ref().is_none_or(|value| asked.all(|matcher| matcher.takes(value)))
                };
                if matches("class", &class)
                    && matches("shard", &shard)
                    && let Some(value) = self.of_cells(counted.what, &delta, select)
                {
                    all.push(reading(value, Place { class, shard, at, ..Place::default() }));
                }
            }
        };
        if is_total {
            if let Some(span) = &track.span {
                cells(span, None);
            }
            return;
        }
        for window in &track.windows {
            cells(&window.delta(), Some(window.at));
        }
    }

    /// Why there is no value, if there is none.
    fn missing(&self, sum: &Sum) -> Option<Missing> {
        let empty = match self.value(sum) {
            Value::One(reading) => reading.is_none(),
            Value::Each(readings) => readings.is_empty(),
        };
        match sum {
            _ if !empty => None,
            Sum::Number(..) => None,
            Sum::Two(left, _, right) => self
                .missing(left)
                .or_else(|| self.missing(right))
                .or_else(|| Some(Missing::Data("it comes to no number, as a division by 0 does".to_owned()))),
            Sum::Each(counted) | Sum::Fold(_, counted) | Sum::Quantile(_, counted) => {
                Some(Missing::of(counted, self.seen, self.least))
            }
        }
    }
}

fn is_number(reading: &Reading) -> bool {
    reading.value.is_finite()
}

fn each(readings: Vec<(usize, Reading)>, f: impl Fn(&usize, &Reading) -> Option<Reading>) -> Value {
    let mapped = readings.iter().filter_map(|(process, reading)| Some((*process, f(process, reading)?)));
    Value::Each(mapped.filter(|(_, reading)| is_number(reading)).collect())
}

/// What is compared with what.
fn pair(a: &Value, b: &Value) -> Vec<(Reading, Reading)> {
    match (a, b) {
        (Value::One(a), Value::One(b)) => a.clone().zip(b.clone()).into_iter().collect(),
        (Value::Each(a), Value::One(b)) => {
            a.iter().filter_map(|(_, a)| Some((a.clone(), b.clone()?))).collect()
        }
        (Value::One(a), Value::Each(b)) => {
            b.iter().filter_map(|(_, b)| Some((a.clone()?, b.clone()))).collect()
        }
        (Value::Each(a), Value::Each(b)) => a
            .iter()
            .filter_map(|(process, a)| {
                let (_, b) = b.iter().find(|(of, _)| of == process)?;
                Some((a.clone(), b.clone()))
            })
            .collect(),
    }
}
