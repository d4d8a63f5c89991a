//! Which runs a report is made from.
//!
//! larson as the paper ran it, with 1 and 4 threads and with as many as the machine makes worth it; storm, which is the
//! case that the paper argues about, with 2 and 4 and as many.

use std::time::Duration;

use stormglass_allocator::StrategyId;

use crate::plan::{Plan, Wishes};
use crate::shape::THREADS;
use crate::workload::{self, Workload};

/// Rounds: the fewest whose interval, smallest to largest, covers more than 95%.
const ROUNDS: usize = 6;
/// Seconds of one run, long enough for hundreds of a thread's lives in larson.
const SECONDS: f64 = 0.8;
/// Rounds of a quick report: the fewest that a verdict takes.
const QUICK_ROUNDS: usize = 5;
/// Seconds of one run of a quick report.
const QUICK_SECONDS: f64 = 0.3;
/// Threads go up to so many times the cores: what waits for a processor waits with whatever it holds.
pub(crate) const OVERCOMMIT: usize = 4;
/// What a run takes besides its seconds: a process, its set-up, its check.
const BESIDES: f64 = 0.07;

/// What the user asks for; `None` where the report's own choice stands.
#[derive(Clone, Debug, Default)]
pub struct ReportWishes {
    /// Only these designs; all if empty.
    pub designs: Vec<StrategyId>,
    /// These numbers of threads for both workloads (storm takes those of 2 and more); the report's own if empty.
    pub threads: Vec<usize>,
    /// Seconds of one run.
    pub seconds: Option<f64>,
    /// Rounds.
    pub rounds: Option<usize>,
    /// A coarse one: the paper's numbers of threads alone, shorter runs, fewer rounds.
    pub quick: bool,
}

/// The plan that fulfils the wishes on a machine of `cores`.
///
/// # Errors
/// A sentence that says which wish cannot be fulfilled and why.
pub fn plan(wishes: &ReportWishes, cores: usize) -> Result<Plan, String> {
    let (seconds, rounds) = if wishes.quick { (QUICK_SECONDS, QUICK_ROUNDS) } else { (SECONDS, ROUNDS) };
    let designs = if wishes.designs.is_empty() { StrategyId::ALL.to_vec() } else { wishes.designs.clone() };
    let mut plan: Option<Plan> = None;
    for name in ["larson", "storm"] {
        let workload = workload::named(name)?;
        for threads in threads(workload, wishes, cores) {
            let part = Plan::new(&Wishes {
                workloads: vec![workload],
                designs: designs.clone(),
                threads: Some(threads),
                seconds: Some(wishes.seconds.unwrap_or(seconds)),
                rounds: Some(wishes.rounds.unwrap_or(rounds)),
                ..Wishes::default()
            })?;
            match &mut plan {
                Some(plan) => plan.bouts.extend(part.bouts),
                None => plan = Some(part),
            }
        }
    }
    plan.ok_or_else(|| "--threads takes at least one number".to_owned())
}

/// How long a plan takes, roughly.
pub fn estimate(plan: &Plan) -> Duration {
    Duration::from_secs_f64(plan.seconds() + plan.steps().len() as f64 * BESIDES)
}

fn threads(workload: &dyn Workload, wishes: &ReportWishes, cores: usize) -> Vec<usize> {
    // A storm of one thread is none.
    let (least, papers) = if workload.home().is_some() { (2, [2, 4]) } else { (1, [1, 4]) };
    let mut threads = wishes.threads.clone();
    if threads.is_empty() {
        threads.extend(papers);
        if !wishes.quick {
            let most = (OVERCOMMIT * cores).min(*THREADS.end());
            threads.extend(std::iter::successors(Some(1), |n| Some(2 * n)).take_while(|n| *n <= most));
        }
    }
    threads.retain(|n| *n >= least || *n == 0);
    threads.sort_unstable();
    threads.dedup();
    threads
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bouts(wishes: &ReportWishes, cores: usize) -> Vec<(&'static str, usize)> {
        let plan = plan(wishes, cores).expect("a plan");
        plan.bouts.iter().map(|b| (b.workload.name(), b.shape.threads)).collect()
    }

    #[test]
    fn the_papers_threads_and_up_to_four_times_the_cores() {
        let all = ReportWishes::default();
        let paper = [("larson", 1), ("larson", 2), ("larson", 4), ("storm", 2), ("storm", 4)];
        assert_eq!(bouts(&all, 1), paper);
        let two = [paper[0], paper[1], paper[2], ("larson", 8), paper[3], paper[4], ("storm", 8)];
        assert_eq!(bouts(&all, 2), two);
        assert_eq!(bouts(&all, 8).len(), 6 + 5, "1 to 32 and 2 to 32");
        assert_eq!(bouts(&all, 500).last(), Some(&("storm", 64)), "no more than a workload can have");
        let quick = ReportWishes { quick: true, ..all };
        assert_eq!(bouts(&quick, 64), [("larson", 1), ("larson", 4), ("storm", 2), ("storm", 4)]);
        let own = ReportWishes { threads: vec![3, 1, 3], ..quick };
        assert_eq!(bouts(&own, 2), [("larson", 1), ("larson", 3), ("storm", 3)]);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let error = |wishes| plan(&wishes, 2).expect_err("impossible");
        assert!(error(ReportWishes { threads: vec![0], ..ReportWishes::default() }).contains("--threads 0"));
        assert!(error(ReportWishes { rounds: Some(0), ..ReportWishes::default() }).contains("--rounds 0"));
        assert!(
            error(ReportWishes { seconds: Some(0.0), ..ReportWishes::default() }).contains("--seconds 0")
        );
    }

    #[test]
    fn twelve_designs_take_minutes_and_a_quick_report_a_minute_and_a_half() {
        let each = |quick| {
            let plan = plan(&ReportWishes { quick, ..ReportWishes::default() }, 2).expect("a plan");
            estimate(&plan).as_secs_f64() / plan.designs.len() as f64
        };
        assert!((60.0..100.0).contains(&(12.0 * each(true))), "{}", 12.0 * each(true));
        assert!((120.0..480.0).contains(&(12.0 * each(false))), "{}", 12.0 * each(false));
    }
}
