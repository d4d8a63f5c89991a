//! What is measured, and in which order.
//!
//! Invariant: as in [`crate::plan`], the runs of a round stand together and always in the same order, so that the two runs of a
//! pair are as close in time as they can be.

use std::fmt;
use std::str::FromStr;

use stormglass_allocator::StrategyId;
use stormglass_telemetry::cost::{GENERAL, POOL};

use crate::compare::workload as general;
use crate::plan::rounds;
use crate::shape::Shape;
use crate::workload as pool;

/// How a run is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    /// Nothing is counted: a build without counters.
    Uncounted,
    /// Events are counted, and nobody looks.
    Counted,
    /// Events are counted, and a sidecar is scraped ten times a second.
    Scraped,
}

impl Arm {
    /// In the order of their turns. The first is what the others are compared with.
    pub const ALL: [Arm; 3] = [Arm::Uncounted, Arm::Counted, Arm::Scraped];
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Arm::Uncounted => "without counters",
            Arm::Counted => "counted",
            Arm::Scraped => "counted and scraped",
        })
    }
}

/// An allocator on a workload.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// The allocator of every size, as the library that is preloaded.
    General(&'static dyn general::Workload, Shape),
    /// The mid pool under a design.
    Pool(&'static dyn pool::Workload, StrategyId, Shape),
}

impl Subject {
    /// Which allocator.
    pub fn allocator(&self) -> &'static str {
        match self {
            Subject::General(..) => GENERAL,
            Subject::Pool(..) => POOL,
        }
    }

    /// Its design.
    pub fn strategy(&self) -> &'static str {
        match self {
            Subject::General(..) => StrategyId::Page.name(),
            Subject::Pool(_, design, _) => design.name(),
        }
    }

    /// The workload and its threads, as segments say it.
    pub fn workload(&self) -> String {
        let name = match self {
            Subject::General(workload, _) => workload.name(),
            Subject::Pool(workload, ..) => workload.name(),
        };
        format!("{name} {}T", self.shape().threads)
    }

    /// How large and how long.
    pub fn shape(&self) -> &Shape {
        match self {
            Subject::General(_, shape) | Subject::Pool(.., shape) => shape,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {}", self.allocator(), self.strategy(), self.workload())
    }
}

/// Which allocators a user wants measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum What {
    /// Both.
    #[default]
    All,
    /// The allocator of every size.
    General,
    /// The mid pool.
    Pool,
}

impl FromStr for What {
    type Err = String;

    fn from_str(word: &str) -> Result<What, String> {
        match word {
            "all" => Ok(What::All),
            GENERAL => Ok(What::General),
            POOL => Ok(What::Pool),
            other => Err(format!("`{other}` is nothing that is counted: take general, pool or all")),
        }
    }
}

/// What the user asks for; `None` or nothing where the plan's own choice stands.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Which allocators.
    pub what: What,
    /// Workloads of the mid pool.
    pub workloads: Vec<&'static dyn pool::Workload>,
    /// Designs of the mid pool.
    pub designs: Vec<StrategyId>,
    /// Threads of every workload.
    pub threads: Option<usize>,
    /// Seconds of one run.
    pub seconds: Option<f64>,
    /// Rounds.
    pub rounds: Option<usize>,
    /// A coarse measurement in about a minute.
    pub quick: bool,
}

/// A measurement.
#[derive(Clone, Debug)]
pub struct Plan {
    /// A row each, in this order.
    pub subjects: Vec<Subject>,
    /// How often each arm runs.
    pub rounds: usize,
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Index into [`Plan::subjects`].
    pub index: usize,
    /// Round, from 0.
    pub round: usize,
    /// How it is watched.
    pub arm: Arm,
    /// What runs.
    pub subject: Subject,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.subject, self.arm)
    }
}

/// One that lives on its rings, one that shares, one that hands over from thread to thread.
const GENERAL_WORKLOADS: [&str; 3] = ["larson", "churn", "xmalloc"];
/// Locks, a CAS stack that storms, the default, whole batches.
const DESIGNS: [StrategyId; 4] =
    [StrategyId::Mutex, StrategyId::LockfreeWalk, StrategyId::Page, StrategyId::Depot];
/// A cost is a per cent or less, and pairs scatter by some: 15 leave the three largest and smallest out.
const ROUNDS: usize = 15;
const SECONDS: f64 = 1.0;
/// The fewest rounds from which anything may be concluded.
const QUICK_ROUNDS: usize = 5;
const QUICK_SECONDS: f64 = 0.4;

impl Plan {
    /// The plan that fulfils the wishes on a machine of `cores`.
    ///
    /// # Errors
    /// A sentence that says which wish cannot be fulfilled and why.
    pub fn new(wishes: &Wishes, cores: usize) -> Result<Plan, String> {
        let (seconds, own) = if wishes.quick { (QUICK_SECONDS, QUICK_ROUNDS) } else { (SECONDS, ROUNDS) };
        let rounds = rounds(wishes.rounds, own)?;
        if wishes.what == What::General && !(wishes.designs.is_empty() && wishes.workloads.is_empty()) {
            return Err("--designs and --workload are the mid pool's: take --cost=pool, or --cost".to_owned());
        }
        // More threads than cores measure the scheduler.
        let shape = |own: Shape| Shape {
            threads: wishes.threads.unwrap_or(cores.clamp(own.threads, 4.max(own.threads))),
            seconds: wishes.seconds.unwrap_or(seconds),
            ..own
        };
        let mut subjects = Vec::new();
        if wishes.what != What::Pool {
            for name in GENERAL_WORKLOADS {
                let workload = general::named(name)?;
                let shape = shape(workload.shape());
                workload.check(&shape)?;
                subjects.push(Subject::General(workload, shape));
            }
        }
        if wishes.what != What::General {
            let designs = if wishes.designs.is_empty() { &DESIGNS[..] } else { &wishes.designs };
            let workloads = match &wishes.workloads[..] {
                [] => vec![pool::named("larson")?],
                some => some.to_vec(),
            };
            for workload in workloads {
                // Of its own number of threads, the one that suits the paper's machine is not asked for.
                let shape = shape(Shape { threads: 2, ..workload.shape() });
                workload.check(&shape)?;
                subjects.extend(designs.iter().map(|&design| Subject::Pool(workload, design, shape)));
            }
        }
        Ok(Plan { subjects, rounds })
    }

    /// Every run, in order.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (index, &subject) in self.subjects.iter().enumerate() {
            for round in 0..self.rounds {
                steps.extend(Arm::ALL.map(|arm| Step { index, round, arm, subject }));
            }
        }
        steps
    }

    /// Seconds of the timed parts of all runs.
    pub fn seconds(&self) -> f64 {
        self.steps().iter().map(|step| step.subject.shape().seconds).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_arms_take_turns() {
        let wishes = Wishes { what: What::General, rounds: Some(2), ..Wishes::default() };
        let plan = Plan::new(&wishes, 2).expect("a plan");
        let words: Vec<_> = plan.steps().iter().take(4).map(Step::to_string).collect();
        assert_eq!(
            words,
            [
                "general page, larson 2T, without counters",
                "general page, larson 2T, counted",
                "general page, larson 2T, counted and scraped",
                "general page, larson 2T, without counters",
            ]
        );
    }

    #[test]
    fn a_quick_one_takes_less_than_two_minutes() {
        let seconds = |quick| {
            let plan = Plan::new(&Wishes { quick, ..Wishes::default() }, 2).expect("a plan");
            assert_eq!(plan.subjects.len(), 7);
            // A process, a sidecar, the check.
            plan.seconds() + 0.5 * plan.steps().len() as f64
        };
        assert!(seconds(true) < 120.0, "{}", seconds(true));
        assert!(seconds(false) < 600.0, "{}", seconds(false));
    }

    #[test]
    fn what_cannot_be_is_said() {
        let error = |wishes| Plan::new(&wishes, 2).expect_err("impossible");
        let all = Wishes::default;
        assert!(error(Wishes { rounds: Some(0), ..all() }).starts_with("--rounds 0 is out of range"));
        assert!(error(Wishes { seconds: Some(0.0), ..all() }).starts_with("--seconds 0 is out of range"));
        assert!(error(Wishes { threads: Some(1), ..all() }).contains("too few for xmalloc"));
        let designs = vec![StrategyId::Mutex];
        assert!(error(Wishes { what: What::General, designs, ..all() }).contains("--cost=pool"));
        assert!("both".parse::<What>().expect_err("no such").contains("general, pool or all"));
    }

    proptest! {
        #[test]
        fn every_arm_runs_once_in_every_round(rounds in 1_usize..20, cores in 1_usize..200) {
            let plan = Plan::new(&Wishes { rounds: Some(rounds), ..Wishes::default() }, cores).expect("a plan");
            let steps = plan.steps();
            prop_assert_eq!(steps.len(), plan.subjects.len() * rounds * Arm::ALL.len());
            for (i, triple) in steps.chunks(Arm::ALL.len()).enumerate() {
                prop_assert!(triple.iter().all(|s| s.index * rounds + s.round == i));
                prop_assert!(triple.iter().map(|s| s.arm).eq(Arm::ALL));
            }
        }
    }
}
