//! Which runs a comparison has, and in which order.
//!
//! Invariant: as in [`crate::plan`], the contenders of a round run one after another, always in the same order (A B C A B C),
//! so that the two runs of a pair are as close in time as they can be.

use std::fmt;

use super::contender::{Contender, Field, OURS, Serving};
use super::workload::{self, Workload};
use crate::analysis::OVERCOMMIT;
use crate::machine::Machine;
use crate::plan::rounds;
use crate::shape::{Shape, SizeWishes};

/// What a child measures.
#[derive(Clone, Debug)]
pub struct Request {
    /// The workload.
    pub workload: &'static dyn Workload,
    /// What is to serve it.
    pub serving: Serving,
    /// How large and how long.
    pub shape: Shape,
}

/// One workload in one shape, under every contender that can run it.
#[derive(Clone, Debug)]
pub struct Bout {
    /// What runs.
    pub workload: &'static dyn Workload,
    /// How large and how long.
    pub shape: Shape,
}

/// A comparison.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One table each, in this order.
    pub bouts: Vec<Bout>,
    /// In the order of their turns.
    pub contenders: Vec<Contender>,
    /// Index of the one that the others are compared with.
    pub baseline: usize,
    /// How often each runs.
    pub rounds: usize,
}

/// One run of a plan.
#[derive(Clone, Debug)]
pub struct Step {
    /// Index into [`Plan::bouts`].
    pub bout: usize,
    /// Round within the bout, from 0.
    pub round: usize,
    /// Index into [`Plan::contenders`].
    pub contender: usize,
    /// Its name.
    pub name: String,
    /// What the child measures.
    pub request: Request,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { workload, shape, .. } = &self.request;
        let s = if shape.threads == 1 { "" } else { "s" };
        write!(f, "{}, {}, {} thread{s}", workload.name(), self.name, shape.threads)
    }
}

/// What the user asks for; `None` or nothing where the plan's own choice stands.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Only these workloads.
    pub workloads: Vec<&'static dyn Workload>,
    /// Only these contenders.
    pub allocators: Vec<String>,
    /// The one that the others are compared with.
    pub baseline: Option<String>,
    /// Numbers of threads of every workload; those that one cannot run with are left out for it.
    pub threads: Vec<usize>,
    /// Seconds of one run.
    pub seconds: Option<f64>,
    /// Rounds.
    pub rounds: Option<usize>,
    /// Sizes, blocks, life and seed.
    pub size: SizeWishes,
    /// Longer runs, and threads up to four times the cores.
    pub full: bool,
}

/// The fewest rounds whose interval, smallest to largest, covers more than 90%.
const ROUNDS: usize = 5;
/// Seconds of a run with `full`.
const FULL_SECONDS: f64 = 2.0;
const MOST_THREADS: usize = 64;

impl Plan {
    /// The plan that fulfils the wishes, on this machine and with these contenders.
    ///
    /// # Errors
    /// A sentence that says which wish cannot be fulfilled and why.
    pub fn new(wishes: &Wishes, field: &Field, machine: &Machine) -> Result<Plan, String> {
        let rounds = rounds(wishes.rounds, ROUNDS)?;
        let contenders = contenders(wishes, field)?;
        let baseline = baseline(wishes.baseline.as_deref(), &contenders)?;
        let workloads =
            if wishes.workloads.is_empty() { workload::ALL.to_vec() } else { wishes.workloads.clone() };
        let mut bouts = Vec::new();
        for workload in workloads {
            let before = bouts.len();
            for threads in threads(workload, wishes, machine.cores) {
                let shape = shape(workload, wishes, threads);
                workload.check(&shape)?;
                room(workload, &shape, machine)?;
                bouts.push(Bout { workload, shape });
            }
            if bouts.len() == before {
                let (name, least) = (workload.name(), workload.shape().threads);
                return Err(format!(
                    "--threads has no number that {name} runs with: it takes {least}{}",
                    match name {
                        "startup" => " alone",
                        _ => " and more",
                    }
                ));
            }
        }
        Ok(Plan { bouts, contenders, baseline, rounds })
    }

    /// Every run, in order.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (bout, Bout { workload, shape }) in self.bouts.iter().enumerate() {
            for round in 0..self.rounds {
                for (contender, Contender { name, serving }) in self.contenders.iter().enumerate() {
                    if !can_run(serving, *workload) {
                        continue;
                    }
                    let request = Request { workload: *workload, serving: serving.clone(), shape: *shape };
                    steps.push(Step { bout, round, contender, name: name.clone(), request });
                }
            }
        }
        steps
    }

    /// Seconds of the timed parts of all runs.
    pub fn seconds(&self) -> f64 {
        self.steps().iter().map(|step| step.request.shape.seconds).sum()
    }
}

/// Whether it makes sense. The limit never brings a block back to the thread that allocates.
fn can_run(serving: &Serving, workload: &dyn Workload) -> bool {
    !(*serving == Serving::Limit && workload.one_way())
}

fn contenders(wishes: &Wishes, field: &Field) -> Result<Vec<Contender>, String> {
    if wishes.allocators.is_empty() {
        return Ok(field.contenders.clone());
    }
    let mut chosen: Vec<Contender> = Vec::new();
    for name in &wishes.allocators {
        let contender = field.named(name)?;
        if !chosen.contains(contender) {
            chosen.push(contender.clone());
        }
    }
    Ok(chosen)
}

/// The one asked for; else ours; else, where that is not there, the first.
fn baseline(wish: Option<&str>, contenders: &[Contender]) -> Result<usize, String> {
    let at = |name: &str| contenders.iter().position(|contender| contender.name == name);
    match wish {
        None => Ok(at(OURS).unwrap_or(0)),
        Some(name) => at(name).ok_or_else(|| {
            let names: Vec<_> = contenders.iter().map(|contender| contender.name.as_str()).collect();
            format!("--baseline {name} takes no part; those that do are {}", names.join(", "))
        }),
    }
}

fn threads(workload: &dyn Workload, wishes: &Wishes, cores: usize) -> Vec<usize> {
    let own = workload.threads();
    let least = own[0];
    // What runs with one number only is not swept.
    if own.len() == 1 {
        let fits = wishes.threads.is_empty() || wishes.threads.contains(&least);
        return if fits { vec![least] } else { vec![] };
    }
    if !wishes.threads.is_empty() {
        let mut threads: Vec<usize> = Vec::new();
        for &n in &wishes.threads {
            // 0 and what is too many are kept for the check to refuse.
            if (n == 0 || n >= least) && !threads.contains(&n) {
                threads.push(n);
            }
        }
        return threads;
    }
    if !wishes.full {
        return own.to_vec();
    }
    let most = (cores * OVERCOMMIT).clamp(least, MOST_THREADS);
    let mut threads: Vec<usize> =
        (0..usize::BITS).map(|power| 1 << power).take_while(|n| *n < most).collect();
    threads.push(most);
    threads.retain(|n| *n >= least);
    threads
}

fn shape(workload: &dyn Workload, wishes: &Wishes, threads: usize) -> Shape {
    let own = workload.shape();
    let seconds = if wishes.full { FULL_SECONDS } else { own.seconds };
    // A steady larson and one of short lives would be the same with the same life.
    let life = wishes.size.life.filter(|_| own.rounds > 0);
    Shape {
        threads,
        seconds: wishes.seconds.unwrap_or(seconds),
        ..SizeWishes { life, ..wishes.size }.applied_to(own)
    }
}

/// Half of the machine's memory is what a workload may hold, where that is known.
fn room(workload: &dyn Workload, shape: &Shape, machine: &Machine) -> Result<(), String> {
    let held = shape.threads as u64 * shape.chunks as u64 * shape.max as u64;
    let room = machine.memory_bytes / 2;
    if machine.memory_bytes > 0 && held > room {
        return Err(format!(
            "{} with {} threads and {} chunks of up to {} bytes may hold {} MiB, and half of this machine's memory is {}: take \
             fewer threads or chunks, or smaller ones",
            workload.name(),
            shape.threads,
            shape.chunks,
            shape.max,
            held >> 20,
            room >> 20
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field() -> Field {
        let contender = |name: &str, serving| Contender { name: name.to_owned(), serving };
        Field {
            contenders: vec![
                contender("stormglass", Serving::Library("/s.so".into())),
                contender("glibc", Serving::Glibc),
                contender("limit", Serving::Limit),
            ],
            missing: vec![],
        }
    }

    fn machine() -> Machine {
        Machine { cpu: "Z80".into(), cores: 2, memory_bytes: 8 << 30, kernel: "6".into() }
    }

    fn plan(wishes: &Wishes) -> Result<Plan, String> {
        Plan::new(wishes, &field(), &machine())
    }

    fn wishes(workload: &str) -> Wishes {
        Wishes { workloads: vec![workload::named(workload).expect("listed")], ..Wishes::default() }
    }

    #[test]
    fn the_contenders_take_turns() {
        let plan = plan(&Wishes { threads: vec![2], rounds: Some(2), ..wishes("churn") }).expect("a plan");
        let words: Vec<_> = plan.steps().iter().map(Step::to_string).collect();
        assert_eq!(
            words,
            [
                "churn, stormglass, 2 threads",
                "churn, glibc, 2 threads",
                "churn, limit, 2 threads",
                "churn, stormglass, 2 threads",
                "churn, glibc, 2 threads",
                "churn, limit, 2 threads",
            ]
        );
        assert_eq!(plan.baseline, 0);
    }

    #[test]
    fn the_limit_sits_out_where_blocks_go_one_way() {
        let plan = plan(&wishes("xmalloc")).expect("a plan");
        assert!(plan.steps().iter().all(|step| step.name != "limit"));
        assert_eq!(plan.bouts.iter().map(|b| b.shape.threads).collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn full_sweeps_the_threads_and_what_has_one_number_stays_with_it() {
        let sweep = |name: &str, threads: &[usize]| -> Vec<usize> {
            let wishes = Wishes { full: true, threads: threads.to_vec(), ..wishes(name) };
            plan(&wishes).expect("a plan").bouts.iter().map(|b| b.shape.threads).collect()
        };
        assert_eq!(sweep("larson", &[]), [1, 2, 4, 8]);
        assert_eq!(sweep("xmalloc", &[]), [2, 4, 8]);
        assert_eq!(sweep("xmalloc", &[1, 2, 2, 3]), [2, 3]);
        assert_eq!(sweep("startup", &[]), [1]);
    }

    #[test]
    fn the_default_takes_some_minutes() {
        let plan = plan(&Wishes::default()).expect("a plan");
        assert_eq!(plan.rounds, 5);
        assert!(plan.seconds() < 180.0, "{} s", plan.seconds());
    }

    #[test]
    fn a_life_is_for_those_that_end() {
        let life = |name| {
            plan(&Wishes { size: SizeWishes { life: Some(7), ..SizeWishes::default() }, ..wishes(name) })
                .expect("a plan")
                .bouts[0]
                .shape
                .rounds
        };
        assert_eq!((life("larson"), life("larson-short")), (0, 7));
    }

    #[test]
    fn what_cannot_be_is_said() {
        let error = |wishes: Wishes| plan(&wishes).expect_err("impossible");
        let all = Wishes::default;
        assert_eq!(
            error(Wishes { rounds: Some(0), ..all() }),
            "--rounds 0 is out of range: it takes 1 to 1000"
        );
        assert_eq!(
            error(Wishes { threads: vec![0], ..all() }),
            "--threads 0 is out of range: it takes 1 to 64"
        );
        assert_eq!(
            error(Wishes { baseline: Some("hoard".into()), ..all() }),
            "--baseline hoard takes no part; those that do are stormglass, glibc, limit"
        );
        assert!(error(Wishes { allocators: vec!["hoard".into()], ..all() }).contains("no allocator `hoard`"));
        assert_eq!(
            error(Wishes { threads: vec![2], ..wishes("startup") }),
            "--threads has no number that startup runs with: it takes 1 alone"
        );
        assert!(
            error(Wishes { size: SizeWishes { min: Some(8), ..SizeWishes::default() }, ..all() })
                .contains("--min 8 is out of range")
        );
        let much = error(Wishes {
            size: SizeWishes { chunks: Some(1_000_000), ..SizeWishes::default() },
            ..wishes("churn")
        });
        assert!(much.contains("half of this machine's memory is 4096"), "{much}");
    }

    proptest! {
        /// Runs of one round and bout stand together, each contender once, in order.
        #[test]
        fn pairs_are_neighbours(rounds in 1_usize..12) {
            let plan = plan(&Wishes { rounds: Some(rounds), ..Wishes::default() }).expect("a plan");
            let steps = plan.steps();
            let keys: Vec<_> = steps.iter().map(|s| (s.bout, s.round, s.contender)).collect();
            let mut sorted = keys.clone();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(keys, sorted);
        }
    }
}
