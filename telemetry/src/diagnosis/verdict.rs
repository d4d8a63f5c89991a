//! The nine verdicts: their names, what each is about, and what is said of it.

use core::fmt::{self, Display};
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::rules::{Entry, RULES};

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Threads beat each other's CASes on one list.
    RetryStorm,
    /// Lists are walked for CASes that then fail.
    WalkAmplification,
    /// Many small CASes where one would do, and they fail.
    CasMultiplication,
    /// Threads queue behind a shard's lock.
    LockConvoy,
    /// The ring in front of the lists serves too few allocations.
    RingStarvation,
    /// Most frees are of blocks that another shard or thread owns.
    RemoteFreeFlood,
    /// Threads look through the shards of others and find little.
    StealThrash,
    /// The mask names a shard that is empty.
    FalseNonEmpty,
    /// Counting, or reading the counts, takes too much.
    WatchingCost,
}

/// What a verdict is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One shard of a class.
    Shard,
    /// A class.
    Class,
    /// The whole process.
    Process,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// What is measured is not only the program.
    Note,
    /// Work that need not be.
    Waste,
    /// Threads undo or await each other's work: more threads get less done.
    Storm,
}

/// What is said of a verdict. Text in backticks is a name: of a design, a metric, an option.
#[derive(Clone, Copy, Debug)]
pub(super) struct Advice {
    pub(super) severity: Severity,
    pub(super) title: &'static str,
    pub(super) says: &'static str,
    pub(super) means: &'static str,
    pub(super) tries: &'static str,
}

impl Verdict {
    /// All, the worst first.
    pub const ALL: [Verdict; 9] = [
        Verdict::RetryStorm,
        Verdict::WalkAmplification,
        Verdict::CasMultiplication,
        Verdict::LockConvoy,
        Verdict::RingStarvation,
        Verdict::RemoteFreeFlood,
        Verdict::StealThrash,
        Verdict::FalseNonEmpty,
        Verdict::WatchingCost,
    ];

    /// Its name in metrics, JSON and docs.
    pub const fn id(self) -> &'static str {
        match self {
            Verdict::RetryStorm => "retry_storm",
            Verdict::WalkAmplification => "walk_amplification",
            Verdict::CasMultiplication => "cas_multiplication",
            Verdict::LockConvoy => "lock_convoy",
            Verdict::RingStarvation => "ring_starvation",
            Verdict::RemoteFreeFlood => "remote_free_flood",
            Verdict::StealThrash => "steal_thrash",
            Verdict::FalseNonEmpty => "false_non_empty",
            Verdict::WatchingCost => "watching_cost",
        }
    }

    fn rule(self) -> &'static Entry {
        &RULES[self as usize]
    }

    /// Its name for people.
    pub fn title(self) -> &'static str {
        self.rule().advice.title
    }

    /// What it says, in a sentence.
    pub fn says(self) -> &'static str {
        self.rule().advice.says
    }

    /// What that means for the program.
    pub fn means(self) -> &'static str {
        self.rule().advice.means
    }

    /// What to try.
    pub fn tries(self) -> &'static str {
        self.rule().advice.tries
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        self.rule().advice.severity
    }

    /// What it is about.
    pub fn scope(self) -> Scope {
        self.rule().scope
    }
}

impl Severity {
    /// Its name in JSON and on the page.
    pub const fn id(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Waste => "waste",
            Severity::Storm => "storm",
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// A name that is none of the nine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVerdict(String);

impl Display for UnknownVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = Verdict::ALL.iter().map(|v| v.id()).collect();
        write!(f, "`{}` is no verdict; there are {}", self.0, ids.join(", "))
    }
}

impl core::error::Error for UnknownVerdict {}

impl FromStr for Verdict {
    type Err = UnknownVerdict;

    fn from_str(text: &str) -> Result<Verdict, UnknownVerdict> {
        let found = Verdict::ALL.into_iter().find(|v| v.id() == text);
        found.ok_or_else(|| UnknownVerdict(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for verdict in Verdict::ALL {
            assert_eq!(verdict.id().parse(), Ok(verdict));
            assert_eq!(serde_like(verdict), verdict.id());
        }
        let error = "storm".parse::<Verdict>().expect_err("no verdict");
        assert!(error.to_string().starts_with("`storm` is no verdict; there are retry_storm, "), "{error}");
    }

    /// The name that the derived serialization has, without a serializer at hand: snake case of the variant's.
    fn serde_like(verdict: Verdict) -> String {
        let mut name = String::new();
        for (i, c) in format!("{verdict:?}").chars().enumerate() {
            if c.is_uppercase() && i > 0 {
                name.push('_');
            }
            name.extend(c.to_lowercase());
        }
        name
    }
}
