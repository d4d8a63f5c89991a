//! A comparison that nobody measured, for tests of what is made of one.

use super::contender::{Contender, Missing, Serving};
use super::measure::Run;
use super::plan::{Bout, Plan};
use super::report::{Ledger, Report};
use super::workload;
use crate::machine::Machine;
use crate::shape::Shape;

pub(super) fn plan(rounds: usize) -> Plan {
    let bout = |name| {
        let workload = workload::named(name).expect("listed");
        Bout { workload, shape: Shape { threads: 2, ..workload.shape() } }
    };
    let contender = |name: &str, serving| Contender { name: name.to_owned(), serving };
    Plan {
        bouts: vec![bout("larson"), bout("xmalloc")],
        contenders: vec![
            contender("stormglass", Serving::Library("/s.so".into())),
            contender("glibc", Serving::Glibc),
            contender("jemalloc", Serving::Library("/j.so".into())),
            contender("limit", Serving::Limit),
        ],
        baseline: 0,
        rounds,
    }
}

pub(super) fn run(ops_per_second: f64, peak_bytes: u64) -> Run {
    Run {
        ops: (ops_per_second * 0.4) as u64,
        seconds: 0.4,
        ops_per_second,
        cpu_seconds: 0.5,
        served_by: "/lib/served.so".into(),
        counted: None,
        peak_bytes,
        minor_faults: 1234,
        switches: 56,
        others: Some(0.01),
    }
}

/// Five rounds of the plan.
pub(super) fn report() -> Report {
    let plan = plan(5);
    let machine = Machine { cpu: "Z80".into(), cores: 2, memory_bytes: 4 << 30, kernel: "6.1.0".into() };
    let missing =
        vec![Missing { name: "mimalloc".into(), hint: "`apt install libmimalloc2.0` brings it".into() }];
    let mut ledger = Ledger::new(&plan, machine, "stormglass compare".into(), missing);
    for step in plan.steps() {
        let (share, mib) = match step.name.as_str() {
            "stormglass" => (1.0, 40),
            "glibc" => (0.25, 50),
            "jemalloc" => (0.8, 60),
            _ => (1.25, 36),
        };
        // A machine that drifts: only pairs agree.
        let speed = 40e6 * (1.0 + step.round as f64 / 10.0) * share;
        ledger.enter(&step, run(speed, mib << 20));
    }
    ledger.problem("glibc, larson, 2 threads, round 9: it ran into its time limit.".into());
    ledger.report()
}
