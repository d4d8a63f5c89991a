//! Pictures: golden text, at the sizes of small and large terminals. `STORMGLASS_BLESS=1 cargo test -p stormglass top` writes them
//! anew; look at what it wrote.

use std::path::Path;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::heat::Measure;
use super::look::Look;
use super::state::{Event, Key, POINTS, Sort, State, next};
use super::view::View;
use super::{picture, pressed};

const PLAIN: Look = Look { colour: false, unicode: false };
const CLASSES: [&str; 7] = ["2048", "3072", "5120", "8192", "12288", "20480", "32768"];

/// A grid of 7 by 8 with one value at class 8192 shard 3, and a smaller one beside it.
fn cells(hot: f64, warm: f64) -> Value {
    let row = |class: usize| -> Vec<Value> {
        (0..8)
            .map(|shard| match (class, shard) {
                (3, 3) => json!(hot),
                (3, 4) => json!(warm),
                _ => json!(0.0),
            })
            .collect()
    };
    json!((0..7).map(row).collect::<Vec<_>>())
}

fn none() -> Value {
    json!(vec![vec![Value::Null; 8]; 7])
}

fn process(pid: u32, strategy: &str, failures: f64, lock_wait: f64) -> Value {
    json!({
        "id": format!("{pid}-1-0"),
        "pid": pid,
        "command": "stormglass",
        "strategy": strategy,
        "workload": "storm 2T",
        "injected": null,
        "live": true,
        "threads": 2,
        "live_bytes": 73_400_320_u64,
        "resident_bytes": 209_715_200_u64,
        "age_seconds": 0.1,
        "rates": {
            "allocations_per_second": 3_510_000.0,
            "cas_failures_per_second": failures,
            "failures_per_batch": failures / 20_000.0,
            "lock_wait_ratio": lock_wait,
            "ring_hit_ratio": 0.97,
        },
        "classes": CLASSES,
        "shards": ["0", "1", "2", "3", "4", "5", "6", "7"],
        "grid": {
            "cas_failures_per_second": cells(failures, failures / 100.0),
            "failures_per_attempt": cells(0.93, 0.1),
            "lock_wait_ratio": cells(lock_wait, 0.0),
            "walked_per_kept": none(),
        },
        "verdicts": [],
    })
}

/// One in which a storm is told of.
fn storming() -> Value {
    let mut process = process(4711, "lockfree-single", 410_321.0, 0.0);
    process["verdicts"] = json!([{
        "verdict": "retry_storm",
        "class": "8192",
        "shard": "3",
        "since": 1,
        "evidence": "26 failed CASes for each batch, 410k a second",
        "advice": "try design `depot`, which hands over whole batches with one CAS",
    }]);
    process
}

fn view(processes: Vec<Value>, left_out: usize) -> Event {
    let frame = json!({ "time": 1_700_000_000_000_u64, "processes": processes, "left_out": left_out, "results": null });
    Event::Frame(Box::new(serde_json::from_value::<View>(frame).expect("a frame")))
}

fn after(events: impl IntoIterator<Item = Event>) -> State {
    events.into_iter().fold(State::default(), next)
}

/// A storm among calm ones, twice, so that there are lines.
fn storm() -> State {
    let look = |n: f64| {
        let calm = process(4712, "mutex", 0.0, 0.012);
        let mut dead = process(99, "page", 0.0, 0.0);
        dead["live"] = json!(false);
        let mut storm = storming();
        storm["rates"]["cas_failures_per_second"] = json!(410_321.0 / n);
        view(vec![calm, dead, storm], 0)
    };
    after([8.0, 4.0, 2.0, 1.0].map(look))
}

fn hundred() -> State {
    let all = (0..100).map(|n| process(1000 + n, "hybrid", f64::from(n), 0.0)).collect();
    after([view(all, 36)])
}

fn general() -> Event {
    let classes: Vec<String> = (1..=45).map(|n| (n * 16).to_string()).collect();
    let cells = |value: f64| -> Value {
        json!((1..=45).map(|n| vec![if n == 20 { json!(value) } else { json!(0.0) }]).collect::<Vec<_>>())
    };
    let mut one = process(7, "page", 0.0, 0.0);
    one["command"] = json!("redis-server");
    one["workload"] = json!("");
    one["classes"] = json!(classes);
    one["shards"] = json!(["0"]);
    one["grid"] = json!({
        "cas_failures_per_second": cells(25_000.0),
        "failures_per_attempt": cells(0.4),
        "lock_wait_ratio": cells(0.0),
        "walked_per_kept": cells(1.0),
    });
    view(vec![one], 0)
}

/// Holds a picture against its file.
fn golden(name: &str, state: &State, width: u16, height: u16) -> String {
    let drawn = picture(state, PLAIN, width, height);
    assert_eq!(drawn.lines().count(), usize::from(height));
    assert!(drawn.lines().all(|line| line.chars().count() <= usize::from(width)));
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/top/golden/{name}-{width}x{height}.txt"));
    if std::env::var_os("STORMGLASS_BLESS").is_some() {
        std::fs::write(&file, &drawn).expect("writable");
    }
    let wanted = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(drawn, wanted, "{} is another picture", file.display());
    drawn
}

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 10)];

#[test]
fn the_storm_is_what_a_person_sees_first_at_every_size() {
    for (width, height) in SIZES {
        let drawn = golden("storm", &storm(), width, height);
        let first = drawn.lines().nth(2).expect("a row");
        assert!(first.starts_with('!') && first.contains("4711"), "the worst comes first: {first}");
        assert!(drawn.contains("! retry_storm class 8192 shard 3"), "{drawn}");
    }
    // Without colour the hot cell has a character that no other has.
    let drawn = picture(&storm(), Look { colour: false, unicode: true }, 80, 24);
    let grid = drawn.lines().find(|line| line.contains("   8192 ")).expect("the class's row");
    assert!(grid.contains("#410k"), "{grid}");
    assert_eq!(drawn.matches('#').count(), 1, "{drawn}");
}

#[test]
fn no_processes_says_how_to_start_one() {
    for (width, height) in SIZES {
        let drawn = golden("none", &after([view(Vec::new(), 0)]), width, height);
        assert!(drawn.contains("No process runs under stormglass."));
    }
}

#[test]
fn a_hundred_processes_keep_the_selected_one_in_sight() {
    for (width, height) in SIZES {
        let mut state = hundred();
        golden("hundred", &state, width, height);
        for _ in 0..60 {
            state = next(state, Event::Key(Key::Down));
        }
        let pid = state.selected().expect("one").pid.to_string();
        let drawn = picture(&state, PLAIN, width, height);
        assert!(drawn.lines().skip(2).any(|line| line.contains(&pid)), "{pid} is not in sight:\n{drawn}");
        assert!(drawn.contains("36 more not shown") || width < 80, "{drawn}");
    }
}

#[test]
fn one_shard_of_many_classes_shows_the_hot_class() {
    for (width, height) in SIZES {
        golden("general", &after([general()]), width, height);
    }
    assert!(picture(&after([general()]), PLAIN, 80, 24).contains("320 *25k"));
}

#[test]
fn a_window_that_is_too_small_says_so() {
    let drawn = picture(&storm(), PLAIN, 29, 5);
    assert!(drawn.starts_with("29x5 is too small: 30x6"), "{drawn}");
    for width in 1..=130 {
        for height in [1, 2, 3, 6, 7, 17, 18, 19, 25] {
            picture(&storm(), PLAIN, width, height);
            picture(&after([general()]), PLAIN, width, height);
            picture(&next(storm(), Event::Key(Key::Help)), PLAIN, width, height);
        }
    }
}

#[test]
fn help_names_every_key_and_any_key_leaves_it() {
    let state = next(storm(), Event::Key(Key::Help));
    golden("help", &state, 80, 24);
    golden("help", &state, 40, 10);
    assert!(!next(state.clone(), Event::Key(Key::Other)).help);
    assert!(next(state, Event::Key(Key::Quit)).done);
}

#[test]
fn a_frozen_view_stands_still_and_goes_on_from_now() {
    let mut state = next(storm(), Event::Key(Key::Freeze));
    state = next(state, view(vec![process(1, "mutex", 0.0, 0.0)], 0));
    assert!(picture(&state, PLAIN, 80, 24).contains("FROZEN"));
    assert_eq!(state.view.processes.len(), 3, "as it was");
    state = next(state, Event::Key(Key::Freeze));
    assert_eq!((state.view.processes.len(), state.frozen()), (1, false));
}

#[test]
fn keys_choose_sort_and_measure() {
    let mut state = storm();
    assert_eq!(state.selected().map(|p| p.pid), Some(4711), "the worst");
    state = next(state, Event::Key(Key::Down));
    assert_eq!(state.selected().map(|p| p.pid), Some(4712));
    state = next(state, view(vec![storming(), process(4712, "mutex", 0.0, 0.9)], 0));
    assert_eq!(state.selected().map(|p| p.pid), Some(4712), "the choice stays with the process");
    state = next(state, Event::Key(Key::Escape));
    assert_eq!(state.selected().map(|p| p.pid), Some(4711));
    for _ in 0..3 {
        state = next(state, Event::Key(Key::Sort));
    }
    assert_eq!((state.sort, state.selected().map(|p| p.pid)), (Sort::LockWait, Some(4712)));
    state = next(state, Event::Key(Key::Measure));
    assert_eq!(state.measure, Measure::Failures);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut state = State::default();
    for _ in 0..POINTS + 50 {
        state = next(state, view(vec![process(1, "mutex", 0.0, 0.0)], 0));
    }
    assert_eq!(state.lines.values().map(std::collections::VecDeque::len).collect::<Vec<_>>(), [POINTS]);
    state = next(state, view(Vec::new(), 0));
    assert!(state.lines.is_empty(), "one that is gone is forgotten");
}

#[test]
fn a_sidecar_that_does_not_answer_is_said_and_the_last_picture_stays() {
    let state = next(storm(), Event::Lost("http://127.0.0.1:7070 does not answer".to_owned()));
    let drawn = picture(&state, PLAIN, 100, 24);
    assert!(drawn.lines().next().is_some_and(|line| line.contains("does not answer")), "{drawn}");
    assert!(drawn.contains("retry_storm"));
}

#[test]
fn colour_is_never_all_that_tells_and_none_is_none() {
    use ratatui::style::Color;
    let terminal = |look: Look| {
        let mut terminal =
            ratatui::Terminal::new(ratatui::backend::TestBackend::new(80, 24)).expect("no I/O");
        terminal.draw(|frame| super::draw::draw(&storm(), look, frame)).expect("no I/O");
        terminal.backend().buffer().clone()
    };
    let (colour, plain) = (terminal(Look { colour: true, unicode: false }), terminal(PLAIN));
    assert!(colour.content().iter().any(|cell| cell.bg == Color::Red), "the hot cell is red");
    assert!(plain.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    let text = |buffer: &ratatui::buffer::Buffer| {
        buffer.content().iter().map(|cell| cell.symbol().to_owned()).collect::<String>()
    };
    assert_eq!(text(&colour), text(&plain), "the same characters");
}

#[test]
fn keys_are_read_as_one_expects() {
    let key = |code| pressed(KeyEvent::new(code, KeyModifiers::NONE));
    assert_eq!(key(KeyCode::Char('q')), Some(Key::Quit));
    assert_eq!(key(KeyCode::Char('?')), Some(Key::Help));
    assert_eq!(key(KeyCode::Char(' ')), Some(Key::Freeze));
    assert_eq!(key(KeyCode::Char('x')), Some(Key::Other));
    assert_eq!(pressed(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Some(Key::Quit));
    assert_eq!(pressed(KeyEvent::new(KeyCode::Char('s'), KeyModifiers::CONTROL)), None);
}
