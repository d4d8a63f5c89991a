use std::path::Path;
use std::sync::Arc;

use stormglass_telemetry::{Counts, Liveness, Metric, Op, Process, Schema, Snapshot};

use super::*;
use crate::synthetic::{self, Fixed, SECOND, add};

/// Says how to accept a change of the golden file.
const BLESS: &str = "STORMGLASS_BLESS";

fn render(snapshots: Vec<Snapshot>) -> String {
    let exposition = Exposition::new(SharedSource::new(Fixed::new(snapshots)), Verdicts::default())
        .expect("the table registers");
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
    add(&mut live, Metric::PageMappedBytes, &[3, 5], 0, 2 << 20);
    for (bucket, count) in [(0, 10), (4, 7), (12, 1)] {
        add(&mut live, Metric::CasRetries, &[3, 5], bucket, count);
    }
    add(&mut live, Metric::CasRetries, &[3, 5], 13, 2100);

    let mut process = synthetic::process(17, "mutex");
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

/// A general allocator: small blocks in one shard, and large ones.
fn general(pid: u32) -> Snapshot {
    let mut general = synthetic::general(pid, SECOND);
    add(&mut general, Metric::RingHits, &[1], 0, 40);
    add(&mut general, Metric::RingMisses, &[1], 0, 2);
    add(&mut general, Metric::RingRefilledBlocks, &[1], 0, 64);
    add(&mut general, Metric::RingReturns, &[1], 0, 12);
    add(&mut general, Metric::Refills, &[1, 0], 0, 2);
    add(&mut general, Metric::PageMappedBytes, &[1, 0], 0, 24_576);
    add(&mut general, Metric::PagePurgedBytes, &[1, 0], 0, 8192);
    add(&mut general, Metric::LargeAllocations, &[], 0, 3);
    add(&mut general, Metric::LargeAllocatedBytes, &[], 0, 300_000);
    add(&mut general, Metric::LargeMappedBytes, &[], 0, 327_680);
    add(&mut general, Metric::Purge, &[], 0, 12_000);
    general
}

#[test]
fn the_exposition_is_the_golden_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/metrics.txt");
    let mut snapshots = storm();
    snapshots.push(general(18));
    let text = render(snapshots);
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
    let labels = r#"command="hammer",strategy="lockfree-single",workload="storm",class="8192",shard="5""#;
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
    assert!(text.contains(r#"stormglass_up{command="say \"hi\"\\","#), "labels are escaped");
}

#[test]
fn only_what_was_touched_is_shown() {
    let text = render(storm());
    assert!(!text.contains(r#"shard="4""#));
    assert!(!text.contains(r#"class="5120""#));
    assert!(text.contains(r#"stormglass_ring_hits_total{command="hammer",strategy="lockfree-single",workload="storm",class="2048"} 1"#));
    assert!(text.contains(r#"aba_averted_total{command="hammer",strategy="lockfree-single",workload="storm",class="8192",shard="5"} 0"#),
        "all counters of a touched shard, also what is 0");
    assert!(!text.contains(r#"op="push""#), "but no operation that the design does not have");
    assert!(
        !text.contains("lock_hold_seconds_bucket"),
        "a histogram without a value is many lines of nothing"
    );
}

#[test]
fn the_processes_of_a_group_are_added_up_and_what_has_gone_stays() {
    let mut second = storm().remove(0);
    second.process =
        Arc::new(Process { pid: 4243, version: "0.2.0".to_owned(), ..(*second.process).clone() });
    let mut dead = second.clone();
    dead.process = Arc::new(Process { pid: 4244, ..(*second.process).clone() });
    dead.liveness = Liveness::Dead;
    let gone = storm().remove(0);
    let mut snapshots = storm();
    snapshots.extend([second, dead]);
    let mut source = Fixed::new(snapshots);
    source.retired.bury(gone);
    let text = Exposition::new(SharedSource::new(source), Verdicts::default())
        .expect("the table registers")
        .render()
        .expect("the text encodes");
    let labels = r#"command="hammer",strategy="lockfree-single",workload="storm""#;
    for line in [
        format!("stormglass_up{{{labels}}} 1"),
        format!("stormglass_threads{{{labels}}} 4"),
        format!("stormglass_threads_started_total{{{labels}}} 12"),
        format!(r#"stormglass_ring_hits_total{{{labels},class="8192"}} 4000"#),
        format!(r#"stormglass_process_info{{{labels},version="0.1.0"}} 1"#),
        format!(r#"stormglass_process_info{{{labels},version="0.2.0"}} 1"#),
        format!("stormglass_mapped_bytes{{{labels}}} 4194304"),
        "stormglass_segments 4".to_owned(),
    ] {
        assert!(text.contains(&(line.clone() + "\n")), "{line}");
    }
    assert_eq!(text.matches("stormglass_up{").count(), 2);
}

#[test]
fn what_is_delayed_on_purpose_is_marked_in_every_series_and_added_to_nothing_else() {
    let mut delayed = storm().remove(0);
    let injected = Some("class=8192,shard=5,delay=2us".to_owned());
    delayed.process = Arc::new(Process { pid: 4243, injected, ..(*delayed.process).clone() });
    let text = render(vec![storm().remove(0), delayed]);
    let of_processes: Vec<&str> = text.lines().filter(|l| l.contains(r#"command="hammer""#)).collect();
    let marked =
        of_processes.iter().filter(|l| l.contains(r#"injected="class=8192,shard=5,delay=2us""#)).count();
    assert_eq!(2 * marked, of_processes.len());
    for hits in [
        r#"workload="storm",class="8192"} 1000"#,
        r#"workload="storm",injected="class=8192,shard=5,delay=2us",class="8192"} 1000"#,
    ] {
        assert!(text.contains(hits), "{hits}");
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
    let exposition = Exposition::new(SharedSource::new(Fixed::new(Vec::new())), Verdicts::default())
        .expect("the table registers");
    exposition.render().expect("the text encodes");
    let text = exposition.render().expect("the text encodes");
    assert!(text.contains("stormglass_scrapes_total 1\n"));
    assert!(text.contains("stormglass_segments 0\n"));
    assert!(text.contains("stormglass_segment_errors_total 2\n"));
    assert!(!text.contains("stormglass_scrape_duration_seconds_total 0\n"));
}
