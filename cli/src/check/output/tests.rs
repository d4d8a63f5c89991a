//! Each form of one check.

use stormglass_bench::table::Colour;
use stormglass_telemetry::Dimension;

use super::*;
use crate::check::evaluate::Place;

fn checked() -> Checked {
    let place = Place {
        process: "hammer 2 (lockfree-single)".to_owned(),
        class: Some("8192".to_owned()),
        shard: Some("3".to_owned()),
        at: Some(std::time::Duration::from_secs(2)),
    };
    let outcome = |assertion: &str, judgement, value, place, note: &str| Outcome {
        assertion: assertion.to_owned(),
        judgement,
        value,
        limit: None,
        dimension: Some(Dimension::Number),
        place,
        note: note.to_owned(),
    };
    Checked {
        source: "`bench`".to_owned(),
        processes: 2,
        seconds: 3.25,
        outcomes: vec![
            outcome("max(cas_failures_per_batch) < 0.5", Judgement::Fails, Some(26.125), Some(place), ""),
            outcome("ring_hit_ratio{class=\"8192\"} > 95%", Judgement::Holds, Some(0.97), None, ""),
            outcome("p99(x) < 1 & \u{7}", Judgement::NoData, None, None, "100% of nothing"),
        ],
    }
}

#[test]
fn the_table_lines_up_and_says_where() {
    let text = table(&checked(), Colour::Plain);
    assert_eq!(
        text,
        "\
result   assertion                           value
FAILED   max(cas_failures_per_batch) < 0.5   26.12
         hammer 2 (lockfree-single) class 8192 shard 3 at 2.0 s
ok       ring_hit_ratio{class=\"8192\"} > 95%  0.970
NO DATA  p99(x) < 1 & \u{7}                          -
         100% of nothing
`bench`: 3 assertions: 1 hold, 1 fail, 1 without data; 2 processes seen
"
    );
}

#[test]
fn json_has_the_values_in_base_units() {
    let json = json(&checked());
    assert_eq!(json["holds"], false);
    assert_eq!(json["assertions"][0]["value"], 26.125);
    assert_eq!(json["assertions"][0]["place"]["class"], "8192");
    assert_eq!(json["assertions"][2]["result"], "no_data");
    assert!(json["assertions"][2]["value"].is_null());
}

#[test]
fn junit_tells_failures_from_errors_and_is_xml_whatever_is_said() {
    let xml = junit(&checked());
    assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"1\""), "{xml}");
    assert!(xml.contains("<testcase name=\"max(cas_failures_per_batch) &lt; 0.5\" classname=\"stormglass.check\"><failure message=\"is 26.12; hammer 2"), "{xml}");
    assert!(xml.contains("<testcase name=\"p99(x) &lt; 1 &amp; ?\" classname=\"stormglass.check\"><error message=\"no data: 100% of nothing\""), "{xml}");
    assert!(!xml.contains('\u{7}'));
}

#[test]
fn what_is_not_available_is_said_in_every_form_and_is_no_failure() {
    let mut all = checked();
    for outcome in &mut all.outcomes {
        outcome.judgement = Judgement::Unavailable;
        outcome.value = None;
    }
    assert!(!all.holds() && !all.is_known());
    let text = table(&all, Colour::Plain);
    assert!(
        text.contains("NOT AVAILABLE  p99(x)") && text.contains("0 without data, 3 not available;"),
        "{text}"
    );
    assert_eq!(json(&all)["assertions"][0]["result"], "not_available");
    assert!(
        junit(&all).contains("failures=\"0\" errors=\"3\"") && junit(&all).contains("type=\"not available\"")
    );
    assert!(annotations(&all).contains("%3A not available::p99(x) < 1"), "{}", annotations(&all));
    assert!(checked().is_known(), "one failed");
}

#[test]
fn annotations_are_of_what_does_not_hold_and_one_line_each() {
    let text = annotations(&checked());
    assert_eq!(text.lines().count(), 2);
    assert!(text.starts_with("::error title=stormglass check%3A an assertion failed::max(cas_failures_per_batch) < 0.5: it is 26.12;"), "{text}");
    assert!(text.contains("no data: 100%25 of nothing"), "{text}");
    let table = summary(&checked());
    assert!(table.contains("| FAILED | `max(cas_failures_per_batch) < 0.5` | 26.12 |"), "{table}");
    assert_eq!(table.lines().filter(|line| line.starts_with('|')).count(), 5, "{table}");
}
