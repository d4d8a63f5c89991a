//! The rules: one a file, each with what it measures, from where on it speaks, and what it says.
//!
//! Invariants: a rule looks at counters and never at a design's name; each has a limit on a rate, so that no ratio of a few
//! events raises anything; and what clears a verdict lies clearly below what raises it.

mod cas_multiplication;
mod false_non_empty;
mod lock_convoy;
mod remote_free_flood;
mod retry_storm;
mod ring_starvation;
mod steal_thrash;
mod walk_amplification;
mod watching_cost;

use core::fmt::{self, Display};

use serde::Serialize;

use super::Verdict;
use super::tally::{ByClass, ByShard, Tally};
use super::verdict::{Advice, Scope};

pub use cas_multiplication::CasMultiplication;
pub use false_non_empty::FalseNonEmpty;
pub use lock_convoy::LockConvoy;
pub use remote_free_flood::RemoteFreeFlood;
pub use retry_storm::RetryStorm;
pub use ring_starvation::RingStarvation;
pub use steal_thrash::StealThrash;
pub use walk_amplification::WalkAmplification;
pub use watching_cost::WatchingCost;

/// From which value on a figure speaks for a verdict, and from which on no longer.
pub(super) struct Limit<E> {
    /// The field of the evidence.
    pub(super) field: &'static str,
    /// What it is, in words, with its unit.
    pub(super) what: &'static str,
    pub(super) of: fn(&E) -> f64,
    /// On which side of the limits the trouble lies.
    pub(super) side: Side,
    /// Reached by what raises.
    pub(super) raise: f64,
    /// Kept by what is still on.
    pub(super) clear: f64,
    /// Why there.
    pub(super) why: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    AtLeast,
    AtMost,
}

impl Side {
    fn reaches(self, value: f64, limit: f64) -> bool {
        match self {
            Side::AtLeast => value >= limit,
            Side::AtMost => value <= limit,
        }
    }
}

/// One rule; its type is its evidence.
pub(super) trait Rule: Sized + Into<Evidence> + 'static {
    const VERDICT: Verdict;
    const SCOPE: Scope;
    const ADVICE: Advice;
    const LIMITS: &'static [Limit<Self>];

    /// What is measured at a place; `None` where there is nothing to measure.
    fn of(at: &At<'_>) -> Option<Self>;

    /// How much of it there is, to tell the worst place of a verdict.
    fn weight(&self) -> f64;
}

/// What a rule found at one place in one look.
pub(super) struct Reading {
    pub(super) evidence: Evidence,
    /// Every limit for raising is reached.
    pub(super) raises: bool,
    /// Every limit for staying is kept.
    pub(super) holds: bool,
}

/// One limit in words, for the documentation.
pub(super) struct Stated {
    pub(super) field: &'static str,
    pub(super) what: &'static str,
    pub(super) side: Side,
    pub(super) raise: f64,
    pub(super) clear: f64,
    pub(super) why: &'static str,
}

/// A rule without its type.
pub(super) struct Entry {
    pub(super) verdict: Verdict,
    pub(super) scope: Scope,
    pub(super) advice: Advice,
    pub(super) read: fn(&At<'_>) -> Option<Reading>,
    pub(super) limits: fn() -> Vec<Stated>,
}

const fn entry<R: Rule>() -> Entry {
    Entry { verdict: R::VERDICT, scope: R::SCOPE, advice: R::ADVICE, read: read::<R>, limits: limits::<R> }
}

/// The table.
pub(super) static RULES: [Entry; 9] = [
    entry::<RetryStorm>(),
    entry::<WalkAmplification>(),
    entry::<CasMultiplication>(),
    entry::<LockConvoy>(),
    entry::<RingStarvation>(),
    entry::<RemoteFreeFlood>(),
    entry::<StealThrash>(),
    entry::<FalseNonEmpty>(),
    entry::<WatchingCost>(),
];

fn read<R: Rule>(at: &At<'_>) -> Option<Reading> {
    let evidence = R::of(at)?;
    let all =
        |limit: fn(&Limit<R>) -> f64| R::LIMITS.iter().all(|l| l.side.reaches((l.of)(&evidence), limit(l)));
    let (raises, holds) = (all(|l| l.raise), all(|l| l.clear));
    Some(Reading { evidence: evidence.into(), raises, holds })
}

fn limits<R: Rule>() -> Vec<Stated> {
    let stated = |l: &Limit<R>| Stated {
        field: l.field,
        what: l.what,
        side: l.side,
        raise: l.raise,
        clear: l.clear,
        why: l.why,
    };
    R::LIMITS.iter().map(stated).collect()
}

/// One place in one look.
pub(super) struct At<'a> {
    pub(super) tally: &'a Tally,
    pub(super) seconds: f64,
    pub(super) class: usize,
    pub(super) shard: usize,
    pub(super) around: &'a super::Around,
}

impl At<'_> {
    fn shard(&self, count: ByShard) -> f64 {
        self.tally.shard(count, self.class, self.shard) as f64
    }

    fn class(&self, count: ByClass) -> f64 {
        self.tally.class(count, self.class) as f64
    }

    /// Over all shards of the class.
    fn shards(&self, count: ByShard) -> f64 {
        self.tally.shards_of(count, self.class) as f64
    }

    fn rate(&self, count: f64) -> f64 {
        count / self.seconds
    }

    /// The shard of the class that has most of something, and its share of all.
    fn worst_shard(&self, count: impl Fn(usize) -> u64) -> Option<(usize, f64)> {
        let all: u64 = (0..self.tally.shards).map(&count).sum();
        let worst = (0..self.tally.shards).max_by_key(|&shard| (count(shard), core::cmp::Reverse(shard)))?;
        (all > 0).then(|| (worst, count(worst) as f64 / all as f64))
    }
}

/// A ratio; 0 of nothing.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// The numbers that a verdict rests on. Its `Display` is the sentence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant is the evidence of the verdict of its name")]
pub enum Evidence {
    RetryStorm(RetryStorm),
    WalkAmplification(WalkAmplification),
    CasMultiplication(CasMultiplication),
    LockConvoy(LockConvoy),
    RingStarvation(RingStarvation),
    RemoteFreeFlood(RemoteFreeFlood),
    StealThrash(StealThrash),
    FalseNonEmpty(FalseNonEmpty),
    WatchingCost(WatchingCost),
}

macro_rules! each_evidence {
    ($($name:ident)*) => {
        $(impl From<$name> for Evidence {
            fn from(evidence: $name) -> Evidence {
                Evidence::$name(evidence)
            }
        })*

        impl Evidence {
            /// How much of it there is: a rate, to be compared with that of the same verdict elsewhere and with nothing else.
            pub fn weight(&self) -> f64 {
                match self {
                    $(Evidence::$name(evidence) => Rule::weight(evidence),)*
                }
            }
        }

        impl Display for Evidence {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Evidence::$name(evidence) => evidence.fmt(f),)*
                }
            }
        }
    };
}

each_evidence! {
    RetryStorm WalkAmplification CasMultiplication LockConvoy RingStarvation RemoteFreeFlood StealThrash FalseNonEmpty
    WatchingCost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_each_verdict_in_its_place() {
        assert!(Verdict::ALL.iter().zip(&RULES).all(|(verdict, rule)| rule.verdict == *verdict));
        assert_eq!(Verdict::ALL.len(), RULES.len());
    }

    #[test]
    fn what_clears_lies_below_what_raises_and_every_limit_has_a_reason() {
        for rule in &RULES {
            let limits = (rule.limits)();
            assert!(
                limits.iter().any(|l| l.clear.total_cmp(&l.raise).is_ne()),
                "{:?} would flap",
                rule.verdict
            );
            for limit in limits {
                assert!(limit.side.reaches(limit.raise, limit.clear), "{:?} {}", rule.verdict, limit.field);
                assert!(limit.why.ends_with('.'), "{:?} {}", rule.verdict, limit.field);
            }
        }
    }
}
