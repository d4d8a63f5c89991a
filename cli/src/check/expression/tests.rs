//! What is understood, what is not, and that nothing brings the parser down.

use proptest::prelude::*;

use super::*;

fn mistake(text: &str) -> String {
    Assertion::parse(text).expect_err("it makes no sense").to_string()
}

#[test]
fn what_people_write_is_understood() {
    for text in [
        "max(cas_failures_per_batch) < 0.5",
        "ring_hit_ratio{class=\"8192\"} > 0.95",
        "ring_hit_ratio{class=8192, strategy='page'} >= 95%",
        "no verdict",
        "no retry_storm",
        "no retry_storm{class=\"8192\",shard!=\"3\"}",
        "retry_storm",
        "verdict{command=\"redis-server\"}",
        "sum(stormglass_cas_failures_total) == 0",
        "cas_failures{op=\"batch_pop\"} < 10k",
        "rate(cas_failures) < 1000/s",
        "rate(page_mapped_bytes) < 1.5MiB/s",
        "p99(lock_wait_seconds) < 1ms",
        "p999(cas_retries) <= 16",
        "max(live_bytes) < 64MiB",
        "max(cas_failures_per_batch{strategy=\"depot\"}) < 0.5 * max(cas_failures_per_batch{strategy=\"mutex\"}) + 1",
        "(refills + 2) * 3 != 8e0",
        "avg(walked_per_kept)<1.2",
        "slow_path_seconds_per_batch < 2us",
        "remote_frees / refills < 0.5",
    ] {
        if let Err(mistake) = Assertion::parse(text) {
            panic!("{mistake}");
        }
    }
}

#[test]
fn a_mistake_is_shown_under_its_place_with_what_was_probably_meant() {
    for (text, sentence, caret) in [
        ("max(cas_failure_per_batch) < 1", "did you mean `cas_failures_per_batch`?", 4),
        ("failures_per_batch < 1", "did you mean `cas_failures_per_batch`?", 0),
        ("no retry_strom", "did you mean `retry_storm`?", 3),
        ("ring_hit_ratio{shard=\"3\"} > 1", "`ring_hit_ratio` has no label `shard`", 15),
        ("ring_hit_ratio{clas=\"3\"} > 1", "did you mean `class`?", 15),
        ("mx(ring_hit_ratio) > 1", "there is no `mx(...)`; did you mean `max`?", 0),
        ("ring_hit_ratio > 1 parsec", "`parsec`", 19),
        ("ring_hit_ratio > 1parsec", "`parsec` is no unit: take %, ns,", 18),
        ("ring_hit_ratio", "a comparison is missing", 14),
        ("ring_hit_ratio = 1", "compared with `==`", 15),
        ("ring_hit_ratio >", "is missing here", 16),
        ("max(ring_hit_ratio > 1", "`)` is missing", 19),
        ("cas_retries < 1", "take p50, p90, p99 or p999", 0),
        ("p99(refills) < 1", "is of a histogram", 4),
        ("sum(ring_hit_ratio) < 1", "a sum of shares means nothing", 4),
        ("rate(ring_hit_ratio) < 1", "a rate is of a counter", 5),
        ("max(retry_storm) < 1", "is a verdict, which has no value", 4),
        ("live_bytes < 5ms", "on the left are bytes, on the right seconds", 0),
        ("scrapes < 5", "is about the sidecar", 0),
        ("no verdict no verdict", "this is left over", 11),
        ("retry_storm < 1", "it is compared with nothing", 12),
        ("1 < 2", "this asserts nothing of a process", 0),
        ("ring_hit_ratio > \"1", "the quote \" is not closed", 17),
        ("ring_hit_ratio > 1.2.3", "`1.2.3` is no number", 17),
        ("ring_hit_ratio ~ 1", "`~` means nothing here", 15),
        ("", "nothing is asserted", 0),
    ] {
        let said = mistake(text);
        if text.contains("parsec") && !text.contains("1parsec") {
            assert!(said.contains("left over"), "{said}");
            continue;
        }
        assert!(said.contains(sentence), "{text}: {said}");
        let line = said.lines().last().expect("a line of carets");
        assert_eq!(line.find('^'), Some(caret + 2), "{said}");
    }
}

#[test]
fn units_are_base_units() {
    let number = |left: &str, text: &str| {
        let Claim::Compare { right: Sum::Number(value, unit), .. } =
            Assertion::parse(&format!("{left} < {text}")).expect("understood").claim
        else {
            panic!("{text} is no number")
        };
        (value, unit)
    };
    assert_eq!(number("ring_hit_ratio", "95%"), (0.95, Some(Dimension::Number)));
    assert_eq!(number("live_bytes", "64MiB"), (64.0 * 1_048_576.0, Some(Dimension::Bytes)));
    assert_eq!(number("cas_attempts_per_second", "10k/s"), (10_000.0, Some(Dimension::PerSecond)));
    assert_eq!(number("refills", "1_000e-3"), (1.0, None));
    assert_eq!(number("p99(lock_wait_seconds)", "2us"), (2e-6, Some(Dimension::Seconds)));
}

#[test]
fn parentheses_without_end_are_refused_and_no_crash() {
    let deep = format!("{}1{} < 2", "(".repeat(2000), ")".repeat(2000));
    assert!(mistake(&deep).contains("too many parentheses"));
    assert!(mistake(&"a".repeat(5000)).contains("longer than 4096 bytes"));
}

#[test]
fn everything_that_is_listed_can_be_named() {
    let all = listed();
    assert!(all.len() > 60);
    for one in all {
        let text = match one.kind {
            "histogram" => format!("p50({}) > 0", one.name),
            _ if one.labels == ["event"] => format!("max(rate({}{{event=\"cycles\"}})) > 0", one.name),
            _ => format!("max({}) > 0", one.name),
        };
        assert!(Assertion::parse(&text).is_ok(), "{text}");
        assert!(one.help.ends_with('.') && !one.help.is_empty());
    }
}

#[test]
fn an_event_is_asked_for_by_its_name() {
    assert!(Assertion::parse("perf_events{command!=\"x\",event=\"page_faults\"} < 1").is_ok());
    for text in [
        "perf_events < 1",
        "perf_events{event!=\"cycles\"} < 1",
        "perf_events{event=\"cycels\"} < 1",
        "perf_events{event=\"cycles\",event=\"cycles\"} < 1",
        "rate(perf_events{command=\"x\"}) < 1",
    ] {
        assert!(mistake(text).contains("take one of cycles, instructions"), "{text}: {}", mistake(text));
    }
    assert!(mistake("perf_events{class=\"8192\"} < 1").contains("has no label `class`"));
}

/// Texts that are nearly assertions.
fn nearly() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "max",
        "(",
        ")",
        "no",
        "verdict",
        "retry_storm",
        "{",
        "}",
        "class",
        "=",
        "!=",
        "\"8192\"",
        ",",
        "<",
        ">=",
        "0.5",
        "5ms",
        "1e",
        "cas_failures",
        "ring_hit_ratio",
        "+",
        "*",
        "/",
        "-",
        "rate",
        "p99",
        "µ",
        "\\",
        "'",
        "%",
    ]);
    prop::collection::vec(words, 0..24).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn any_text_has_an_answer(text in prop_oneof![any::<String>(), nearly(), "[a-z(){}<>=\"0-9 ./*+-]{0,60}"]) {
        match Assertion::parse(&text) {
            Ok(assertion) => prop_assert!(!assertion.text.is_empty()),
            Err(mistake) => {
                let said = mistake.to_string();
                let lines: Vec<&str> = said.lines().collect();
                prop_assert!(lines.len() >= 2 && lines[lines.len() - 1].contains('^'), "{}", said);
            }
        }
    }
}
