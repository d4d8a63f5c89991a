//! Which runs a benchmark has, and in which order.
//!
//! Invariant: within a round the designs run one after another, always in the same order (A B C A B C), so that the two
//! runs of a pair are as close in time as they can be, and whatever drifts slowly (heat, neighbours on the machine) touches
//! both alike.

use stormglass_allocator::{Injection, StrategyId};

use crate::measure::Request;
use crate::shape::{Shape, SizeWishes};
use crate::workload::{self, Workload, reach};

/// One workload in one shape, under every design of the plan.
#[derive(Clone, Copy, Debug)]
pub struct Bout {
    /// What runs.
    pub workload: &'static dyn Workload,
    /// How large and how long.
    pub shape: Shape,
    /// How often each design runs.
    pub rounds: usize,
}

/// A benchmark.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One table each, in this order.
    pub bouts: Vec<Bout>,
    /// The designs, in the order of their turns.
    pub designs: Vec<StrategyId>,
    /// A delay that is injected into every run.
    pub inject: Option<Injection>,
}

/// One run of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Index into [`Plan::bouts`].
    pub bout: usize,
    /// Round within the bout, from 0.
    pub round: usize,
    /// Index into [`Plan::designs`].
    pub design: usize,
    /// What the child measures.
    pub request: Request,
}

/// What the user asks for; `None` where the plan's own choice stands.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Only these workloads; all if empty.
    pub workloads: Vec<&'static dyn Workload>,
    /// Only these designs; those that the paper tried if empty.
    pub designs: Vec<StrategyId>,
    /// Threads of every workload.
    pub threads: Option<usize>,
    /// Seconds of one run.
    pub seconds: Option<f64>,
    /// Rounds.
    pub rounds: Option<usize>,
    /// Sizes, blocks, life and seed.
    pub size: SizeWishes,
    /// A delay to inject into every run.
    pub inject: Option<Injection>,
    /// The paper's own lengths: 10 seconds, and larson with 1 and with 4 threads.
    pub full: bool,
}

/// Rounds of a short benchmark: the fewest whose interval, smallest to largest, covers more than 90%.
const ROUNDS: usize = 5;
/// Seconds of a run with `full`, as in the paper.
const FULL_SECONDS: f64 = 10.0;
/// Threads of larson with `full`, as in the paper.
const FULL_THREADS: [usize; 2] = [1, 4];
/// Rounds that a user may ask for.
const MOST_ROUNDS: usize = 1000;

impl Plan {
    /// The plan that fulfils the wishes.
    ///
    /// # Errors
    /// A sentence that says which wish cannot be fulfilled and why.
    pub fn new(wishes: &Wishes) -> Result<Plan, String> {
        let rounds = rounds(wishes.rounds, ROUNDS)?;
        let designs = if wishes.designs.is_empty() {
            StrategyId::PAPER_TRIED.to_vec()
        } else {
            unique(&wishes.designs)
        };
        let all = workload::ALL.to_vec();
        let workloads = if wishes.workloads.is_empty() { all } else { wishes.workloads.clone() };
        let mut bouts = Vec::new();
        for workload in workloads {
            for shape in shapes(workload, wishes) {
                workload.check(&shape)?;
                if let Some(injection) = wishes.inject {
                    reach::check(workload, &shape, injection)?;
                }
                bouts.push(Bout { workload, shape, rounds });
            }
        }
        Ok(Plan { bouts, designs, inject: wishes.inject })
    }

    /// Every run, in order.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (bout, b) in self.bouts.iter().enumerate() {
            for round in 0..b.rounds {
                for (design, &strategy) in self.designs.iter().enumerate() {
                    let request = Request {
                        workload: b.workload,
                        design: strategy,
                        shape: b.shape,
                        inject: self.inject,
                    };
                    steps.push(Step { bout, round, design, request });
                }
            }
        }
        steps
    }

    /// Index of the design that the others are compared with: the mutexes if they take part, else the first.
    pub fn baseline(&self) -> usize {
        self.designs.iter().position(|&d| d == StrategyId::Mutex).unwrap_or(0)
    }

    /// Seconds of the timed parts of all runs.
    pub fn seconds(&self) -> f64 {
        self.bouts.iter().map(|b| b.shape.seconds * (b.rounds * self.designs.len()) as f64).sum()
    }
}

/// The rounds that the user asks for, or a plan's own.
///
/// # Errors
/// A sentence, if they are none or too many.
pub(crate) fn rounds(wish: Option<usize>, own: usize) -> Result<usize, String> {
    let rounds = wish.unwrap_or(own);
    if (1..=MOST_ROUNDS).contains(&rounds) {
        return Ok(rounds);
    }
    Err(format!("--rounds {rounds} is out of range: it takes 1 to {MOST_ROUNDS}"))
}

/// The shapes in which a workload runs.
fn shapes(workload: &'static dyn Workload, wishes: &Wishes) -> Vec<Shape> {
    let own = workload.shape();
    let seconds = if wishes.full { FULL_SECONDS } else { own.seconds };
    let shape = Shape {
        threads: wishes.threads.unwrap_or(own.threads),
        seconds: wishes.seconds.unwrap_or(seconds),
        ..wishes.size.applied_to(own)
    };
    // A storm of one thread is none, so the paper's single-threaded run is larson's alone.
    if wishes.full && wishes.threads.is_none() && workload.home().is_none() {
        return FULL_THREADS.map(|threads| Shape { threads, ..shape }).to_vec();
    }
    vec![shape]
}

fn unique(designs: &[StrategyId]) -> Vec<StrategyId> {
    let mut unique = Vec::new();
    for design in designs {
        if !unique.contains(design) {
            unique.push(*design);
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(plan: &Plan) -> Vec<String> {
        plan.steps().iter().map(|s| s.request.to_string()).collect()
    }

    #[test]
    fn the_designs_take_turns() {
        let wishes = Wishes {
            workloads: vec![workload::named("storm").expect("listed")],
            designs: vec![StrategyId::LockfreeWalk, StrategyId::Mutex, StrategyId::LockfreeWalk],
            threads: Some(2),
            rounds: Some(2),
            ..Wishes::default()
        };
        let plan = Plan::new(&wishes).expect("a plan");
        assert_eq!(
            words(&plan),
            [
                "storm, lockfree-walk, 2 threads",
                "storm, mutex, 2 threads",
                "storm, lockfree-walk, 2 threads",
                "storm, mutex, 2 threads",
            ]
        );
        assert_eq!(plan.baseline(), 1);
    }

    #[test]
    fn the_default_takes_about_half_a_minute() {
        let plan = Plan::new(&Wishes::default()).expect("a plan");
        assert_eq!(plan.bouts.len(), workload::ALL.len());
        assert_eq!(plan.bouts[0].workload.name(), "storm");
        assert_eq!(plan.designs, StrategyId::PAPER_TRIED);
        assert!(plan.seconds() <= 28.0, "{} s", plan.seconds());
    }

    #[test]
    fn full_is_the_papers() {
        let plan = Plan::new(&Wishes { full: true, ..Wishes::default() }).expect("a plan");
        let larson: Vec<_> = plan
            .bouts
            .iter()
            .filter(|b| b.workload.name() == "larson")
            .map(|b| (b.shape.threads, b.shape.seconds, b.rounds))
            .collect();
        assert_eq!(larson, [(1, 10.0, 5), (4, 10.0, 5)]);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let error = |wishes| Plan::new(&wishes).expect_err("impossible");
        assert_eq!(
            error(Wishes { rounds: Some(0), ..Wishes::default() }),
            "--rounds 0 is out of range: it takes 1 to 1000"
        );
        assert_eq!(
            error(Wishes { threads: Some(0), ..Wishes::default() }),
            "--threads 0 is out of range: it takes 1 to 64"
        );
        let unfelt = error(Wishes { inject: "class=2048,delay=1us".parse().ok(), ..Wishes::default() });
        assert!(
            unfelt.starts_with("--inject class=2048,shard=*,delay=1us would never be felt: storm"),
            "{unfelt}"
        );
    }

    proptest! {
        #[test]
        fn every_design_runs_once_in_every_round(rounds in 1_usize..20, designs in 1..=StrategyId::ALL.len()) {
            let wishes = Wishes {
                rounds: Some(rounds), designs: StrategyId::ALL[..designs].to_vec(), ..Wishes::default()
            };
            let plan = Plan::new(&wishes).expect("a plan");
            let steps = plan.steps();
            prop_assert_eq!(steps.len(), plan.bouts.len() * rounds * designs);
            for (i, step) in steps.iter().enumerate() {
                prop_assert_eq!((step.bout * rounds + step.round) * designs + step.design, i);
            }
        }
    }
}
