use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use stormglass_telemetry::{Counts, Liveness, Metric, Op, Process, Schema, Snapshot};

use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;

use super::*;
use crate::packed::{Packed, packed};
use crate::retired::Retired;
use crate::source::Source;
use crate::synthetic::{self, Fixed, SECOND, add};

/// Says how to accept a change of the golden file.
const BLESS: &str = "STORMGLASS_BLESS";

pub(super) fn exposition(source: Fixed, max_series: u64) -> Exposition {
    Exposition::new(
        SharedSource::new(source),
        Verdicts::default(),
        Options { grouping: Grouping::Kind, max_series },
    )
}

fn text(exposition: &Exposition) -> String {
    String::from_utf8(exposition.render(Format::Text, false).expect("it encodes")).expect("text")
}

fn render(snapshots: Vec<Snapshot>) -> String {
    text(&exposition(Fixed::new(snapshots), u64::MAX))
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
pub(super) fn general(pid: u32) -> Snapshot {
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

/// Everything that is in the golden files.
fn golden() -> Exposition {
    let mut snapshots = storm();
    snapshots.push(general(18));
    exposition(Fixed::new(snapshots), u64::MAX)
}

/// Holds what is written in a format against the file of that name.
fn check(name: &str, format: Format) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let written = golden().render(format, false).expect("it encodes");
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, &written).expect("the golden file is written");
    }
    let golden = std::fs::read(&path).expect("the golden file is there");
    assert!(
        written == golden,
        "the exposition is not that of {}; if it is meant to be, run the test with {BLESS}=1 and look at the \
         change\n{}",
        path.display(),
        String::from_utf8_lossy(&written)
    );
}

#[test]
fn the_exposition_is_the_golden_one() {
    check("metrics.txt", Format::Text);
}

#[test]
fn in_openmetrics_too() {
    check("openmetrics.txt", Format::OpenMetrics);
}

#[test]
fn in_protobuf_too() {
    check("metrics.pb", Format::Protobuf);
}

#[test]
fn protobuf_says_what_the_text_says() {
    let bytes = golden().render(Format::Protobuf, false).expect("it encodes");
    let mut input = ::protobuf::CodedInputStream::from_bytes(&bytes);
    let mut families: Vec<MetricFamily> = Vec::new();
    while !input.eof().expect("bytes") {
        families.push(input.read_message().expect("a family"));
    }
    let text = TextEncoder::new().encode_to_string(&families).expect("it encodes");
    assert_eq!(text, self::text(&golden()));
}

/// Samples of either text: name, labels and value, with all numbers written alike.
fn samples(text: &str) -> Vec<(String, String)> {
    let alike = |line: &str| {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let value: f64 = value.parse().expect("a number");
        let series = match series.split_once("le=\"") {
            Some((before, bound)) => {
                let bound: f64 = bound.trim_end_matches("\"}").parse().expect("a bound");
                format!("{before}le={bound}")
            }
            None => series.to_owned(),
        };
        (series, value.to_string())
    };
    text.lines().filter(|line| !line.starts_with('#')).map(alike).collect()
}

#[test]
fn openmetrics_has_the_samples_of_the_text() {
    let openmetrics = golden().render(Format::OpenMetrics, false).expect("it encodes");
    let openmetrics = String::from_utf8(openmetrics).expect("text");
    assert_eq!(samples(&openmetrics), samples(&text(&golden())));
    assert!(openmetrics.contains("# TYPE stormglass_cas_failures counter\n"));
    assert!(openmetrics.contains("# TYPE stormglass_process info\n"));
    assert!(openmetrics.contains(
        "# TYPE stormglass_lock_wait_seconds histogram\n# UNIT stormglass_lock_wait_seconds seconds\n"
    ));
    assert!(openmetrics.contains("le=\"4.0\"") && openmetrics.contains("le=\"6.4e-8\""));
    assert!(openmetrics.ends_with("\n# EOF\n") && openmetrics.matches("# EOF").count() == 1);
}

#[test]
fn what_is_compressed_is_the_same() {
    let bytes = golden().render(Format::Text, true).expect("it encodes");
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut unpacked).expect("gzip");
    assert_eq!(unpacked, text(&golden()));
    assert!(bytes.len() * 5 < unpacked.len(), "{} of {}", bytes.len(), unpacked.len());
}

/// The value of the series that starts so.
fn value(text: &str, series: &str) -> Option<f64> {
    let line =
        text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

fn lines(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn series_are_counted_each_line_one() {
    let text = text(&golden());
    assert_eq!(value(&text, "stormglass_series"), Some(lines(&text) as f64));
    assert_eq!(value(&text, "stormglass_series_dropped_total"), Some(0.0));
}

#[test]
fn a_budget_keeps_what_was_there_first_and_counts_what_it_drops() {
    let whole = lines(&text(&exposition(Fixed::new(storm()), u64::MAX))) as u64;
    for budget in [0, 1, 30, 100, whole - 20, whole] {
        let exposition = exposition(Fixed::new(storm()), budget);
        let first = text(&exposition);
        let own = first.lines().filter(|line| !line.starts_with('#') && !line.contains("command=")).count();
        assert!(lines(&first) - own <= budget as usize, "{budget}");
        assert_eq!(value(&first, "stormglass_series"), Some(lines(&first) as f64));
        let dropped = whole as f64 - lines(&first) as f64;
        assert_eq!(value(&first, "stormglass_series_dropped_total"), Some(dropped), "{budget}");
        let again = text(&exposition);
        assert_eq!(
            value(&again, "stormglass_series_dropped_total"),
            Some(2.0 * dropped),
            "each scrape counts"
        );
        let names =
            |text: &str| -> Vec<String> { samples(text).into_iter().map(|(series, _)| series).collect() };
        assert_eq!(names(&first), names(&again), "the same are shown");
        // What is about the whole of a process comes first, histograms last.
        if budget >= 30 {
            assert!(first.contains("stormglass_up{"), "{budget}");
        }
        assert!(
            budget == whole
                || !first.contains("lock_wait_seconds_bucket")
                || first.contains("class=\"8192\"")
        );
    }
}

#[test]
fn a_newcomer_takes_no_series_from_those_that_were_there() {
    let before = storm().remove(0);
    let mut newcomer = storm().remove(0);
    newcomer.process = Arc::new(Process { command: "a newcomer".to_owned(), ..(*newcomer.process).clone() });
    let budget = lines(&text(&exposition(Fixed::new(vec![before.clone()]), u64::MAX))) as u64;
    let source = std::sync::Arc::new(std::sync::Mutex::new(vec![before]));
    let exposition = Exposition::new(
        SharedSource::new(Changing(Arc::clone(&source), Retired::default())),
        Verdicts::default(),
        Options { grouping: Grouping::Kind, max_series: budget },
    );
    let of_hammer = |text: String| {
        text.lines().filter(|line| line.contains("\"hammer\"")).map(str::to_owned).collect::<Vec<_>>()
    };
    let alone = of_hammer(text(&exposition));
    source.lock().expect("no panic").push(newcomer);
    assert_eq!(of_hammer(text(&exposition)), alone);
}

/// A source whose processes change.
struct Changing(Arc<std::sync::Mutex<Vec<Snapshot>>>, Retired);

impl Source for Changing {
    fn snapshots(&mut self) -> Vec<Packed> {
        packed(&self.0.lock().expect("no panic"))
    }
    fn retired(&self) -> &Retired {
        &self.1
    }
    fn errors(&self) -> u64 {
        0
    }
}

#[test]
fn a_command_is_one_group_if_that_is_asked_for() {
    let mut snapshots = storm();
    let mut other = storm().remove(0);
    other.process = Arc::new(Process {
        strategy: "mutex".to_owned(),
        workload: "larson".to_owned(),
        ..(*other.process).clone()
    });
    // Of another shape: its class 8192 is another one's place.
    snapshots.extend([other, general(18)]);
    let mut source = Fixed::new(snapshots);
    source.retired.bury(storm().remove(0));
    let options = Options { grouping: Grouping::Command, max_series: u64::MAX };
    let text = text(&Exposition::new(SharedSource::new(source), Verdicts::default(), options));
    let labels = r#"command="hammer",strategy="",workload="""#;
    for (series, wanted) in [
        (format!("stormglass_threads{{{labels}}}"), 6.0),
        (format!(r#"stormglass_ring_hits_total{{{labels},class="8192"}}"#), 3000.0),
        (format!(r#"stormglass_ring_hits_total{{{labels},class="48"}}"#), 40.0),
        (format!("stormglass_large_allocations_total{{{labels}}}"), 3.0),
        (format!(r#"stormglass_cas_failures_total{{{labels},class="8192",shard="5",op="pop"}}"#), 780.0),
    ] {
        assert_eq!(value(&text, &series), Some(wanted), "{series}");
    }
    assert_eq!(text.matches("\nstormglass_up{").count(), 2, "the two commands");
    let mut all: Vec<String> = samples(&text).into_iter().map(|(series, _)| series).collect();
    let said = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), said, "no series is said twice");
}

#[test]
fn names_that_another_format_would_take_for_somebody_elses_are_left_out() {
    let own = Schema::own();
    let mut families = own.families.clone();
    let called = |name: &str| stormglass_telemetry::Family { name: name.to_owned(), ..families[0].clone() };
    let hostile = [
        "stormglass_threads_total",
        "stormglass_x",
        "stormglass_x_count_total",
        "stormglass_process_total",
        "stormglass_cas_retries_total",
        "stormglass_good_total",
    ]
    .map(called);
    families.extend(hostile);
    let mut snapshot = synthetic::snapshot(synthetic::process(1, "future"), SECOND);
    snapshot.counts = Counts::zero(Arc::new(Schema::new(own.labels, families)));
    snapshot.counts.values.fill(1);
    let text = render(vec![snapshot]);
    let shown = |name: &str| text.contains(&format!("\n{name}{{"));
    assert!(shown("stormglass_good_total"));
    for name in [
        "stormglass_threads_total",
        "stormglass_x",
        "stormglass_x_count_total",
        "stormglass_process_total",
        "stormglass_cas_retries_total",
    ] {
        assert!(!shown(name), "{name}");
    }
}

#[test]
fn labels_that_prometheus_or_a_group_has_for_itself_are_left_out_with_their_family() {
    let own = Schema::own();
    let (mut labels, mut families) = (own.labels, own.families);
    for (i, name) in
        ["le", "quantile", "__name__", "__x", "command", "injected", "0x", "mood"].iter().enumerate()
    {
        let values = vec!["a".to_owned(), "b".to_owned()];
        labels.push(stormglass_telemetry::LabelValues { name: (*name).to_owned(), values });
        let name = format!("stormglass_novelty{i}_total");
        let labels = vec![labels.len() - 1];
        families.push(stormglass_telemetry::Family { name, labels, ..families[0].clone() });
    }
    let mut snapshot = synthetic::snapshot(synthetic::process(1, "future"), SECOND);
    snapshot.counts = Counts::zero(Arc::new(Schema::new(labels, families)));
    snapshot.counts.values.fill(1);
    let text = render(vec![snapshot]);
    let shown: Vec<&str> = text.lines().filter(|line| line.starts_with("stormglass_novelty")).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown.iter().all(|line| line.contains(r#"mood=""#)), "{shown:?}");
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
    let text = text(&exposition(source, u64::MAX));
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
    let exposition = exposition(Fixed::new(Vec::new()), u64::MAX);
    text(&exposition);
    let text = text(&exposition);
    assert!(text.contains("stormglass_scrapes_total 1\n"));
    assert!(text.contains("stormglass_segments 0\n"));
    assert!(text.contains("stormglass_segment_errors_total 2\n"));
    assert!(text.contains("stormglass_scrape_duration_seconds_count 1\n"));
    assert!(text.contains("stormglass_scrape_duration_seconds_bucket{le=\"0.0005\"} "));
    assert!(text.contains("stormglass_scrape_duration_seconds_bucket{le=\"1\"} "));
    assert!(!text.contains("stormglass_scrape_duration_seconds_sum 0\n"));
}

#[test]
fn what_watching_costs_is_told_once_it_was_measured() {
    assert!(!render(storm()).contains("watching_cost"), "nobody measured it");
    let (_dir, watching) = crate::watching::tests::kept();
    let options = Options { grouping: Grouping::Kind, max_series: u64::MAX };
    let source = SharedSource::new(Fixed::new(Vec::new()));
    let said = text(&Exposition::knowing(source, Verdicts::default(), watching, options));
    let labels = r#"{allocator="general",strategy="page",watched="#;
    for (name, watched, value) in [
        ("ratio", "counted", "0.93"),
        ("ratio", "scraped", "0.9"),
        ("low_ratio", "counted", "0.91"),
        ("high_ratio", "counted", "0.94"),
    ] {
        let line = format!(
            "stormglass_watching_cost_{name}{labels}\"{watched}\",workload=\"larson 2T\"}} {value}\n"
        );
        assert!(said.contains(&line), "{line} in {said}");
    }
    assert!(said.contains("stormglass_watching_cost_measured_timestamp_seconds 1700000000\n"), "{said}");
}
