//! The paper's claims, as data: what it says, where it is judged, by which figure, and where that figure must lie.
//!
//! The criteria follow from the paper's figures, never from ours. Where it has a number, it gets some room, and the
//! room is stated: a retry rate of 50% is confirmed between 40% and 60%, and what follows from it (tries, walked blocks)
//! between what 40% and what 60% would make. Where it only says slower or faster, the limit is 0%.

use super::figures::{Figure, Place, Quantity};
use super::judge::{Claim, Range, judge};
use super::record::Record;
use crate::report::Report;

/// A claim before it is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    pub(super) id: &'static str,
    pub(super) phase: &'static str,
    pub(super) title: &'static str,
    /// What the paper says, with its figures and no others.
    pub(super) paper: &'static str,
    pub(super) place: Place,
    pub(super) quantity: Quantity,
    pub(super) range: Range,
    /// What the figure cannot say, besides what its place says; empty where there is nothing to add.
    pub(super) caveat: &'static str,
}

/// Judges every claim, in the order of the table below.
pub fn claims(record: &Record) -> Vec<Claim> {
    CLAIMS.iter().map(|statement| judge(statement, record)).collect()
}

/// What a claim that is judged on a place can and cannot say: one sentence or more for each place that was measured.
pub(super) fn places(report: &Report) -> Vec<String> {
    let mut places: Vec<Place> = Vec::new();
    for statement in CLAIMS {
        if !places.contains(&statement.place) {
            places.push(statement.place);
        }
    }
    places.iter().filter_map(|place| place.mind(report)).collect()
}

const LARSON_1: Place = Place::Larson(1);
const LARSON_4: Place = Place::Larson(4);

const SLOWER: Range = Range::below(1.0);
const FASTER: Range = Range::above(1.0);
/// A retry rate of 50%, give or take 10 points.
const HALF: Range = Range::between(0.4, 0.6);
/// Twice the work: 1 / (1 - r) for a retry rate r of 40 to 60%.
const TWICE: Range = Range::between(1.67, 2.5);

const fn speed(of: &'static str, against: &'static str) -> Quantity {
    Quantity { figure: Figure::Speed, of, against: Some(against) }
}

const fn count(figure: Figure, of: &'static str) -> Quantity {
    Quantity { figure, of, against: None }
}

const fn ratio(figure: Figure, of: &'static str, against: &'static str) -> Quantity {
    Quantity { figure, of, against: Some(against) }
}

/// What stands for cache-line bounces.
const LINES: &str = "CAS attempts are the measure, since each one asks for the head's line for itself; what caches did stands under \
                     Caches, where the processor counts it.";
/// What the slow path's time holds.
const SPAN: &str = "Ticks are those of the time-stamp counter, not core cycles. The span is the whole slow path, refills and \
                    spills, over the number of refills: besides the batch pop it holds copying into the ring, the push of the \
                    spill and whatever suspends the thread, so the criterion allows three times the paper's figure, and a longer \
                    span refutes nothing.";
/// What the designs without shards change besides the number of locks.
const ONE_SHARD: &str = "Without shards no free is remote, and in larson many are: what is measured is that, and not the number of \
                         locks alone. With one thread, where no lock is contended, the difference shows what it is worth.";
/// What pages change besides whose they are.
const PAGES: &str = "Without shards every free goes into the freeing thread's ring, while the mutexes' frees of blocks of other \
                     shards pass it by, and in larson those are many: the gain holds that too. The comparison with class-lock, \
                     whose frees do the same, tells the two apart.";
/// What hybrid and targeted are for, and what runs here.
const SINGLES: &str = "Single blocks reach a shared list only when a thread ends, because a ring stands in front: what sets this \
                       design apart hardly runs here.";
/// What orderings can do on this kind of processor.
const ORDERINGS: &str = "On x86-64 a CAS is a full barrier whatever its ordering says, and acquire loads and release stores are \
                         plain moves: little is left to win there, more on aarch64. The paper would also relax the \
                         updates of the non-empty mask; here all designs keep the mask's fence, which its proof needs.";

/// The table.
#[rustfmt::skip]
pub(super) static CLAIMS: &[Statement] = &[
    // Speed.
    Statement { id: "walk-1t", phase: "7.1", title: "Lock-free is slower than the mutexes even with one thread.",
        paper: "4.03 to 3.89 M/s, -3.5%, from the overhead of the atomics alone.",
        place: LARSON_1, quantity: speed("lockfree-walk", "mutex"), range: SLOWER, caveat: "" },
    Statement { id: "walk-4t", phase: "7.1", title: "Lock-free is slower than the mutexes with four threads.",
        paper: "13.78 to 13.34 M/s, -3.2%.",
        place: LARSON_4, quantity: speed("lockfree-walk", "mutex"), range: SLOWER, caveat: "" },
    Statement { id: "single-4t", phase: "7.1.1", title: "Repeated single pops are slower than the mutexes.",
        paper: "13.78 to 12.87 M/s, -6.6%.",
        place: LARSON_4, quantity: speed("lockfree-single", "mutex"), range: SLOWER, caveat: "" },
    Statement { id: "single-walk-4t", phase: "7.1.1", title: "32 simple CASes are slower than one complex one.",
        paper: "-3.5% against 7.1.",
        place: LARSON_4, quantity: speed("lockfree-single", "lockfree-walk"), range: SLOWER, caveat: "" },
    Statement { id: "single-walk-storm", phase: "7.1.1", title: "32 simple CASes are slower than one complex one under contention.",
        paper: "32 times the CAS contention weighs more than walking the chain again.",
        place: Place::Storm, quantity: speed("lockfree-single", "lockfree-walk"), range: SLOWER, caveat: "" },
    // Why.
    Statement { id: "retries-larson", phase: "7.1", title: "Half of all CASes are retries, in its benchmark.",
        paper: "A CAS retry rate of 50% with 4 threads.",
        place: LARSON_4, quantity: count(Figure::RetryRate, "lockfree-walk"), range: HALF, caveat: "" },
    Statement { id: "retries-storm", phase: "7.1", title: "Half of all CASes are retries, where all threads share one list.",
        paper: "A CAS retry rate of 50%: 4 threads and 1 free list make contention inevitable.",
        place: Place::Storm, quantity: count(Figure::RetryRate, "lockfree-walk"), range: HALF, caveat: "" },
    Statement { id: "walked-larson", phase: "7.1", title: "Walking again doubles the work, in its benchmark.",
        paper: "With a retry rate of 50% the chain of 32 blocks is walked twice.",
        place: LARSON_4, quantity: count(Figure::WalkedPerKept, "lockfree-walk"), range: TWICE, caveat: "" },
    Statement { id: "walked-storm", phase: "7.1", title: "Walking again doubles the work, where all threads share one list.",
        paper: "With a retry rate of 50% the chain of 32 blocks is walked twice.",
        place: Place::Storm, quantity: count(Figure::WalkedPerKept, "lockfree-walk"), range: TWICE, caveat: "" },
    Statement { id: "attempts-walk", phase: "7.1", title: "A batch takes two CASes when it is one chain.",
        paper: "1 CAS, 2 attempts on average, 2 bounces of the head's cache line.",
        place: Place::Storm, quantity: count(Figure::Attempts, "lockfree-walk"), range: TWICE, caveat: LINES },
    Statement { id: "attempts-single", phase: "7.1.1", title: "A batch takes 64 CASes when it is 32 single pops.",
        paper: "32 CASes, 64 attempts on average, 64 bounces of the head's cache line.",
        place: Place::Storm, quantity: count(Figure::Attempts, "lockfree-single"), range: Range::between(53.0, 80.0), caveat: LINES },
    Statement { id: "attempts-ratio", phase: "7.1.1", title: "Single pops bounce the head's cache line 32 times as often.",
        paper: "64 bounces against 2. The criterion allows a factor of two.",
        place: Place::Storm, quantity: ratio(Figure::Attempts, "lockfree-single", "lockfree-walk"),
        range: Range::between(16.0, 64.0), caveat: LINES },
    Statement { id: "attempts-ratio-larson", phase: "7.1.1", title: "Single pops bounce the head's cache line 32 times as often, in its benchmark.",
        paper: "64 bounces against 2. The criterion allows a factor of two.",
        place: LARSON_4, quantity: ratio(Figure::Attempts, "lockfree-single", "lockfree-walk"),
        range: Range::between(16.0, 64.0), caveat: LINES },
    Statement { id: "cycles-walk", phase: "7.1", title: "A batch of one chain costs 60 to 80 cycles.",
        paper: "About 60 to 80 cycles, the second walk included.",
        place: Place::Storm, quantity: count(Figure::SlowPath, "lockfree-walk"), range: Range::between(60.0, 240.0), caveat: SPAN },
    Statement { id: "cycles-single", phase: "7.1.1", title: "A batch of single pops costs 100 to 150 cycles.",
        paper: "About 100 to 150 cycles.",
        place: Place::Storm, quantity: count(Figure::SlowPath, "lockfree-single"), range: Range::between(100.0, 450.0), caveat: SPAN },
    Statement { id: "cycles-ratio", phase: "7.1.1", title: "A batch of single pops costs one and a quarter to two and a half times one of one chain.",
        paper: "100 to 150 cycles against 60 to 80.",
        place: Place::Storm, quantity: ratio(Figure::SlowPath, "lockfree-single", "lockfree-walk"), range: Range::between(1.25, 2.5),
        caveat: "What both spans hold besides the batch draws their ratio towards 1, so a ratio nearer to 1 than claimed refutes nothing." },
    // When.
    Statement { id: "locks-win", phase: "7.1", title: "Locks win where the critical section does significant work.",
        paper: "A mutex walks the chain once; lock-free walks it again. (It also says that lock-free wins under very high contention, of \
                short sections.)",
        place: Place::Storm, quantity: speed("lockfree-walk", "mutex"), range: SLOWER, caveat: "" },
    Statement { id: "not-viable-larson", phase: "7.1.1", title: "Lock-free is not viable for the mid pool.",
        paper: "Both lock-free lists are slower than the mutexes, so sharing itself is taken to be at fault. Judged by a lock-free list \
                whose unit is the whole batch, so that nobody walks and one CAS hands over 32 blocks.",
        place: LARSON_4, quantity: speed("depot", "mutex"), range: SLOWER, caveat: "" },
    Statement { id: "not-viable-storm", phase: "7.1.1", title: "Lock-free is not viable where all threads share one list.",
        paper: "As above, judged under the heaviest contention.",
        place: Place::Storm, quantity: speed("depot", "mutex"), range: SLOWER, caveat: "" },
    // What it proposes.
    Statement { id: "a1-walk", phase: "A1", title: "Walking once wastes fewer walked blocks.",
        paper: "Walk the chain once, before the CAS loop, with versioned pointers.",
        place: Place::Storm, quantity: ratio(Figure::WalkedPerKept, "walk-once", "lockfree-walk"), range: SLOWER,
        caveat: "Of walk-once, links that are read again to see that they still hold are not counted as walked." },
    Statement { id: "a1-walk-4t", phase: "A1", title: "Walking once is faster than walking inside the CAS loop.",
        paper: "High impact.",
        place: LARSON_4, quantity: speed("walk-once", "lockfree-walk"), range: FASTER, caveat: "" },
    Statement { id: "a1-walk-storm", phase: "A1", title: "Walking once is faster where all threads share one list.",
        paper: "High impact.",
        place: Place::Storm, quantity: speed("walk-once", "lockfree-walk"), range: FASTER, caveat: "" },
    Statement { id: "a1-small-4t", phase: "A1", title: "Batches of 4 are faster than batches of 32.",
        paper: "Or limit the batch to, say, 4 blocks, so that less is walked.",
        place: LARSON_4, quantity: speed("small-batch", "lockfree-walk"), range: FASTER, caveat: "" },
    Statement { id: "a1-small-storm", phase: "A1", title: "Batches of 4 are faster where all threads share one list.",
        paper: "Or limit the batch to, say, 4 blocks, so that less is walked.",
        place: Place::Storm, quantity: speed("small-batch", "lockfree-walk"), range: FASTER, caveat: "" },
    Statement { id: "a1-gain", phase: "A1", title: "Lock-free, optimised, gains 10 to 15% on the mutexes.",
        paper: "+10 to 15%. The criterion allows 5 points.",
        place: LARSON_4, quantity: speed("walk-once", "mutex"), range: Range::between(1.05, 1.2), caveat: "" },
    Statement { id: "a2-1t", phase: "A2", title: "Relaxed orderings win with one thread.",
        paper: "Acquire and release are not free, even with one thread.",
        place: LARSON_1, quantity: speed("relaxed", "walk-once"), range: FASTER, caveat: ORDERINGS },
    Statement { id: "a2-4t", phase: "A2", title: "Relaxed orderings win with four threads.",
        paper: "Medium impact.",
        place: LARSON_4, quantity: speed("relaxed", "walk-once"), range: FASTER, caveat: ORDERINGS },
    Statement { id: "a3-4t", phase: "A3", title: "A mutex for batches mends the lock-free list.",
        paper: "CAS for single blocks, a mutex for batches: medium impact.",
        place: LARSON_4, quantity: speed("hybrid", "lockfree-walk"), range: FASTER, caveat: SINGLES },
    Statement { id: "c-4t", phase: "C", title: "Lock-free only for remote frees and single blocks is the best of both.",
        paper: "Mutex batches; remote-free stacks and single pushes without locks.",
        place: LARSON_4, quantity: speed("targeted", "mutex"), range: FASTER, caveat: SINGLES },
    Statement { id: "b2-class", phase: "B2", title: "7 mutexes are faster than 56.",
        paper: "One lock a class, no shards, as an option.",
        place: LARSON_4, quantity: speed("class-lock", "mutex"), range: FASTER, caveat: ONE_SHARD },
    Statement { id: "b2-global", phase: "B2", title: "One lock behind a lock-free fast path is faster than 56 mutexes.",
        paper: "A single global lock with an optimistic lock-free fast path, as an option.",
        place: LARSON_4, quantity: speed("global-lock", "mutex"), range: FASTER, caveat: ONE_SHARD },
    Statement { id: "b1-gain", phase: "B1, MF2", title: "Pages that belong to one thread are worth +50%.",
        paper: "13.78 to 20.7 M/s, +50%. The criterion is 40% or more.",
        place: LARSON_4, quantity: speed("page", "mutex"), range: Range::above(1.4), caveat: PAGES },
    Statement { id: "b1-lock", phase: "B1, MF2", title: "Pages that belong to one thread are faster than one lock a class.",
        paper: "The gain is taken to come from not sharing. Judged against a design that shares, and whose frees go into the ring too.",
        place: LARSON_4, quantity: speed("page", "class-lock"), range: FASTER, caveat: "" },
    Statement { id: "b1-sharing", phase: "B1, MF2", title: "Sharing is the bottleneck, not the kind of lock: pages win in the storm.",
        paper: "Eliminate sharing: no mutex, no lock-free list, no contention.",
        place: Place::Storm, quantity: speed("page", "mutex"), range: FASTER, caveat: "" },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::judge::Verdict;
    use crate::analysis::synthetic;
    use crate::report::Round;

    #[test]
    fn every_statement_has_a_name_of_its_own_and_whole_sentences() {
        let mut seen = std::collections::BTreeSet::new();
        for s in CLAIMS {
            assert!(seen.insert(s.id), "{} is there twice", s.id);
            assert!(s.title.ends_with('.') && s.paper.ends_with(['.', ')']), "{}", s.id);
            assert!(s.caveat.is_empty() || s.caveat.ends_with('.'), "{}", s.id);
            assert!(s.range.low < s.range.high, "{}", s.id);
        }
    }

    /// Makes the figure of a statement be `values`, one a round, and everything else as it was.
    fn set(record: &mut Record, s: &Statement, values: [f64; 5]) {
        let Ok(place) = s.place.table(&record.report).map(|t| (t.workload.clone(), t.threads)) else {
            return;
        };
        let table = record
            .report
            .tables
            .iter_mut()
            .find(|t| (&t.workload, t.threads) == (&place.0, place.1))
            .expect("the same table");
        let mut rounds = |design: &str, values: [f64; 5]| {
            let row = table.rows.iter_mut().find(|r| r.design == design).expect("a row");
            for (round, value) in row.rounds.iter_mut().zip(values) {
                put(round.as_mut().expect("a round"), s.quantity.figure, value);
            }
        };
        if let Some(against) = s.quantity.against {
            rounds(against, [1.0; 5]);
        }
        rounds(s.quantity.of, values);
        record.conditions.ticks_per_second = Some(1e9);
    }

    fn put(round: &mut Round, figure: Figure, value: f64) {
        let m = &mut round.measures;
        match figure {
            Figure::Speed => round.ops_per_second = value,
            Figure::RetryRate => {
                m.attempts_per_batch = Some(1.0);
                m.failures_per_batch = Some(value);
            }
            Figure::WalkedPerKept => m.walked_per_kept = Some(value),
            Figure::Attempts => m.attempts_per_batch = Some(value),
            Figure::SlowPath => m.slow_path_nanoseconds_per_batch = Some(value),
        }
    }

    fn verdict(record: &Record, id: &str) -> Claim {
        claims(record).into_iter().find(|c| c.id == id).expect("a claim of that name")
    }

    #[test]
    fn every_claim_can_come_out_in_every_way() {
        for s in CLAIMS {
            let (low, high) = (s.range.low.max(s.range.high / 10.0), s.range.high.min(s.range.low * 10.0));
            let low = if s.range.low.is_finite() { s.range.low } else { low };
            let high = if s.range.high.is_finite() { s.range.high } else { high };
            let inside = f64::midpoint(low, high);
            // A ratio of slow paths that is too near to 1 refutes nothing.
            let diluted = matches!((s.quantity.figure, s.quantity.against), (Figure::SlowPath, Some(_)));
            let below = s.range.low.is_finite() && !diluted;
            let outside = if below { s.range.low * 0.9 } else { s.range.high * 1.1 };
            for (values, wanted) in [
                ([inside; 5], Verdict::Confirmed),
                ([outside; 5], Verdict::Refuted),
                ([inside, outside, inside, outside, inside], Verdict::CannotTell),
            ] {
                let mut record = synthetic::record();
                set(&mut record, s, values);
                let claim = verdict(&record, s.id);
                assert_eq!(claim.verdict, wanted, "{}: {claim:?}", s.id);
                assert!(claim.interval.is_some(), "{}", s.id);
            }
        }
    }

    #[test]
    fn what_was_not_measured_cannot_be_told_and_has_a_reason() {
        let mut record = synthetic::record();
        record.report.tables.clear();
        for claim in claims(&record) {
            assert_eq!(claim.verdict, Verdict::CannotTell);
            assert_eq!(claim.measured, "not measured");
            assert!(claim.why.contains("was not measured with"), "{}", claim.why);
        }
        let mut record = synthetic::record();
        for table in &mut record.report.tables {
            table.rows.retain(|row| row.design != "mutex");
        }
        let claim = verdict(&record, "walk-4t");
        assert_eq!(claim.verdict, Verdict::CannotTell);
        assert_eq!(claim.why, "no run of mutex was finished here.");
    }

    #[test]
    fn a_busy_machine_decides_nothing() {
        let mut record = synthetic::record();
        assert_eq!(verdict(&record, "retries-larson").verdict, Verdict::Refuted);
        for table in record.report.tables.iter_mut().filter(|t| t.workload == "larson") {
            for round in table.rows.iter_mut().flat_map(|row| row.rounds.iter_mut().flatten()) {
                round.others = Some(0.58);
            }
        }
        let claim = verdict(&record, "retries-larson");
        assert_eq!(claim.verdict, Verdict::CannotTell);
        assert!(claim.why.starts_with("Other programs took 58% of the machine's time"), "{}", claim.why);
        assert_eq!(
            verdict(&record, "retries-storm").verdict,
            Verdict::Refuted,
            "the storm was measured in quiet"
        );
    }

    #[test]
    fn an_injected_delay_decides_nothing() {
        let mut record = synthetic::record();
        record.report.injected = Some("delay=500ns".into());
        let claims = claims(&record);
        assert!(claims.iter().all(|c| c.verdict == Verdict::CannotTell));
        assert!(claims.iter().all(|c| c.why.starts_with("A delay was injected (delay=500ns)")));
    }

    #[test]
    fn a_claim_says_where_it_was_judged() {
        let mut record = synthetic::record();
        record.report.machine.cores = 2;
        assert_eq!(verdict(&record, "walk-4t").place, "larson, 4 threads");
        assert_eq!(verdict(&record, "retries-storm").place, "storm, 2 threads");
        record.report.machine.cores = 8;
        assert_eq!(verdict(&record, "retries-storm").place, "storm, 4 threads");
    }

    #[test]
    fn every_place_is_explained_once() {
        let mut record = synthetic::record();
        record.report.machine.cores = 2;
        let told = places(&record.report);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[1].starts_with("larson, 4 threads: the paper's benchmark"), "{}", told[1]);
        assert!(told[1].contains("at most 2 run at once"), "{}", told[1]);
        assert!(told[2].starts_with("storm, 2 threads: ") && !told[2].contains("at once"), "{}", told[2]);
        record.report.machine.cores = 1;
        assert!(places(&record.report)[1].contains("at most one runs at once"));
        record.report.tables.clear();
        assert!(places(&record.report).is_empty());
    }
}
