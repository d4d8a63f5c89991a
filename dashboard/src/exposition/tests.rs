use std::path::Path;
use std::sync::Arc;

use stormglass_telemetry::{Counts, Liveness, Metric, Op, Process, Schema, Snapshot};

use super::*;
use crate::synthetic::{self, Fixed, SECOND, add};

/// Says how to accept a change of the golden file.
const BLESS: &str = "STORMGLASS_BLESS";

fn render(snapshots: Vec<Snapshot>) -> String {
    let exposition = Exposition::new(SharedSource::new(Fixed(snapshots))).expect("the table registers");
    exposition.render().expect("the text encodes")
}

/// One live process that storms on one shard and used the ring of another class, and one dead one.
fn storm() -> Vec<Snapshot> {
    let mut live = synthetic::snapshot(synthetic::process(4242, "lockfree-single"), 5 * SECOND);
    add(&mut live, Metric::RingHits, &[3], 0, 1000);
    add(&mut live, Metric::RingMisses, &[3], 0, 10);
    add(&mut live, Metric::RingReturns, &[3], 0, 900);
    add(&mut live, Metric::RingHits, &[0], 0, 1);
    add(&mut live, Metric::CasAttempts, &[3, 5, Op::Pop as usize], 0, 320);
    add(&mut live, Metric::CasFailures, &[3, 5, Op::Pop as usize], 0, 260);
    add(&mut live, Metric::SlowPath, &[3, 5], 0, 1_500_000);
    add(&mut live, Metric::PagesMapped, &[3, 5], 0, 2);
    for (bucket, count) in [(0, 10), (4, 7), (12, 1)] {
        add(&mut live, Metric::CasRetries, &[3, 5], bucket, count);
    }
    add(&mut live, Metric::CasRetries, &[3, 5], 13, 2100);

    let mut process = synthetic::process(17, "mutex");
    process.injected = Some("class=32768,shard=0,delay=1ms".to_owned());
    process.command = "say \"hi\"\\".to_owned();
    let mut dead = synthetic::snapshot(process, SECOND);
    dead.liveness = Liveness::Dead;
    dead.threads = 0;
    for (bucket, count) in [(0, 1), (11, 2)] {
        add(&mut dead, Metric::LockWait, &[6, 0], bucket, count);
    }
    add(&mut dead, Metric::LockWait, &[6, 0], 12, 250_000_000);
    vec![live, dead]
}

#[test]
fn the_exposition_is_the_golden_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/metrics.txt");
    let text = render(storm());
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, &text).expect("the golden file is written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden file is there");
    assert!(
        text == golden,
        "the exposition is not that of {}; if it is meant to be, run the test with {BLESS}=1 and look at the \
         change\n{text}",
        path.display()
    );
}

#[test]
fn buckets_add_up_and_bounds_are_in_seconds() {
    let text = render(storm());
    let labels =
        r#"pid="4242",command="hammer",strategy="lockfree-single",workload="storm",class="8192",shard="5""#;
    for line in [
        format!(r#"stormglass_cas_retries_bucket{{{labels},le="4"}} 10"#),
        format!(r#"stormglass_cas_retries_bucket{{{labels},le="1024"}} 17"#),
        format!(r#"stormglass_cas_retries_bucket{{{labels},le="+Inf"}} 18"#),
        format!("stormglass_cas_retries_sum{{{labels}}} 2100"),
        format!("stormglass_cas_retries_count{{{labels}}} 18"),
        format!("stormglass_slow_path_seconds_total{{{labels}}} 0.0015"),
    ] {
        assert!(text.contains(&(line.clone() + "\n")), "{line}");
    }
    assert!(text.contains(r#"le="0.000000064""#), "64 ns");
    assert!(text.contains(r#"stormglass_up{pid="17",command="say \"hi\"\\","#), "labels are escaped");
}

#[test]
fn only_what_was_touched_is_shown() {
    let text = render(storm());
    assert!(!text.contains(r#"shard="4""#));
    assert!(!text.contains(r#"class="5120""#));
    assert!(text.contains(r#"stormglass_ring_hits_total{pid="4242",command="hammer",strategy="lockfree-single",workload="storm",class="2048"} 1"#));
    let zero = r#"shard="5",op="push"} 0"#;
    assert!(text.contains(zero), "all of a touched shard, also what is 0");
    assert!(
        text.lines()
            .filter(|l| l.contains("pid=\"17\"") && l.contains(",class=\""))
            .all(|l| l.contains("lock_wait")),
        "of a dead process only what it counted"
    );
}

#[test]
fn several_segments_of_one_process_are_added_up() {
    let mut second = storm().remove(0);
    second.process = Arc::new(Process { sequence: 1, ..(*second.process).clone() });
    let mut snapshots = storm();
    snapshots.push(second);
    let text = render(snapshots);
    let labels = r#"pid="4242",command="hammer",strategy="lockfree-single",workload="storm""#;
    assert!(text.contains(&format!("stormglass_threads{{{labels}}} 4\n")));
    assert!(text.contains(&format!(r#"stormglass_ring_hits_total{{{labels},class="8192"}} 2000"#)));
    assert_eq!(text.matches("stormglass_up{").count(), 2);
    assert!(text.contains("stormglass_segments 3\n"));
}

#[test]
fn an_injected_delay_is_told_by_whoever_has_one_and_by_nobody_else() {
    let text = render(storm());
    let told: Vec<&str> = text.lines().filter(|l| l.starts_with("stormglass_injection_info{")).collect();
    let [line] = told.as_slice() else { panic!("one process has a delay: {told:?}") };
    assert!(line.contains(r#"pid="17","#), "{line}");
    assert!(line.ends_with(r#"workload="storm",injected="class=32768,shard=0,delay=1ms"} 1"#), "{line}");

    // Two pools of one process, of which one is delayed: what is added up is marked.
    let mut delayed = storm().remove(0);
    let injected = Some("delay=2us".to_owned());
    delayed.process = Arc::new(Process { sequence: 1, injected, ..(*delayed.process).clone() });
    for pools in [[storm().remove(0), delayed.clone()], [delayed, storm().remove(0)]] {
        let text = render(pools.to_vec());
        assert!(text.contains(r#"workload="storm",injected="delay=2us"} 1"#), "{text}");
        assert_eq!(text.matches("stormglass_up{").count(), 1);
    }
}

#[test]
fn a_newer_writer_shows_what_it_has_and_cannot_break_the_scrape() {
    let own = Schema::own();
    let mut families = own.families.clone();
    families.retain(|f| f.name != "stormglass_cas_retries");
    let mut unknown = families[0].clone();
    unknown.name = "stormglass_novelties_total".to_owned();
    unknown.help = "Two\nlines.".to_owned();
    let mut hostile = families[0].clone();
    hostile.name = "x 1\nstormglass_up".to_owned();
    let mut clash = families[0].clone();
    clash.name = "stormglass_threads".to_owned();
    families.extend([unknown, hostile, clash]);
    let schema = Schema::new(own.labels, families);

    let mut snapshot = synthetic::snapshot(synthetic::process(1, "future"), SECOND);
    snapshot.counts = Counts::zero(Arc::new(schema));
    snapshot.counts.values.fill(1);
    let text = render(vec![snapshot]);
    assert!(text.contains("# HELP stormglass_novelties_total Two\\nlines.\n"));
    assert!(!text.contains("stormglass_cas_retries"), "absent, not 0");
    assert!(!text.contains("x 1"));
    assert_eq!(text.matches("\nstormglass_threads{").count(), 1);
}

#[test]
fn scrapes_are_counted() {
    let exposition = Exposition::new(SharedSource::new(Fixed(Vec::new()))).expect("the table registers");
    exposition.render().expect("the text encodes");
    let text = exposition.render().expect("the text encodes");
    assert!(text.contains("stormglass_scrapes_total 1\n"));
    assert!(text.contains("stormglass_segments 0\n"));
    assert!(text.contains("stormglass_segment_errors_total 2\n"));
    assert!(!text.contains("stormglass_scrape_duration_seconds_total 0\n"));
}
