//! kill -9, at any moment, of who is watched and of who watches, under load: nothing lost, nothing wrong, nothing hung.
//!
//! The others are this test binary again, told by an environment variable whom to play.

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{PATIENCE, Running};
use stormglass_dashboard::{Config, Sidecar};
use stormglass_telemetry::{Directory, Identity, Metric, Op, Segment, Select, Writer};

const ROLE: &str = "STORMGLASS_TEST_ROLE";

/// Played in a child: counts for ever, two to one.
#[test]
#[ignore = "a role, played in a child process"]
fn writer() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let writer =
        Writer::create(&Directory::from_env(), &Identity { strategy: "mutex", ..Identity::default() });
    let writer = writer.expect("a segment");
    let slot = writer.claim().expect("a slot");
    loop {
        slot.classes[3].ring_misses.add(1);
        slot.shard(3, 3).cas_attempts[Op::Pop as usize].add(2);
        slot.shard(3, 3).cas_failures[Op::Pop as usize].add(1);
    }
}

/// Played in a child: a sidecar that says where it is.
#[test]
#[ignore = "a role, played in a child process"]
fn sidecar() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let config = Config { keep_dead: Duration::from_hours(1), ..Config::of(Directory::from_env()) };
        let sidecar = Sidecar::bind(config).await.expect("a free port");
        eprintln!("address={}", sidecar.address());
        sidecar.serve(std::future::pending()).await.expect("no error");
    });
}

fn play(role: &str, directory: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this binary"))
        .args([role, "--exact", "--ignored", "--nocapture"])
        .env(ROLE, "1")
        .env("STORMGLASS_DIR", directory)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child")
}

fn end(mut child: Child) {
    child.kill().expect("SIGKILL");
    child.wait().expect("reaped");
}

/// A number that is hardly the same twice.
fn some(below: u64) -> u64 {
    let nanoseconds =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    nanoseconds as u64 / 1000 % below
}

/// The sum of a counter's series in a scrape.
fn sum(text: &str, name: &str) -> u64 {
    let of = |line: &str| line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok());
    text.lines().filter(|line| line.starts_with(&format!("{name}{{"))).filter_map(of).sum::<f64>() as u64
}

#[test]
fn writers_that_are_killed_at_random_keep_their_counts_and_totals_never_fall() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = Directory::at(place.path().join("segments"));
    let running = Running::of(&directory);
    let mut last = 0;
    for _ in 0..8 {
        let children: Vec<Child> = (0..3).map(|_| play("writer", directory.path())).collect();
        let until = Instant::now() + Duration::from_millis(100 + some(300));
        while Instant::now() < until {
            let now = sum(&running.scrape(), "stormglass_cas_attempts_total");
            assert!(now >= last, "a total fell from {last} to {now}");
            last = now;
        }
        children.into_iter().for_each(end);
    }
    // What the files say is what is shown, now that nobody counts any more.
    let begun = Instant::now();
    loop {
        let files = directory.scan().expect("ours");
        let read = |path: &std::path::PathBuf| Segment::open(path).and_then(|segment| segment.snapshot());
        let of = |metric| -> u64 {
            let sum = |path| read(path).ok()?.counts.sum(metric, Select::ALL);
            files.iter().filter_map(sum).sum()
        };
        let text = running.scrape();
        let shown = sum(&text, "stormglass_cas_attempts_total");
        let failures = sum(&text, "stormglass_cas_failures_total");
        if shown == of(Metric::CasAttempts) && failures == of(Metric::CasFailures) {
            assert!(shown >= last && shown.abs_diff(2 * failures) <= 2 * files.len() as u64);
            assert_eq!(sum(&text, "stormglass_threads"), 0);
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{shown} shown, {} in the files", of(Metric::CasAttempts));
    }
}

#[test]
fn a_sidecar_that_is_killed_at_random_harms_nobody_and_the_next_one_goes_on() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = Directory::at(place.path().join("segments"));
    let writer = Writer::create(&directory, &Identity { strategy: "mutex", ..Identity::default() })
        .expect("a segment");
    let slot = writer.claim().expect("a slot");
    let mut counted = 0;
    for _ in 0..10 {
        let mut sidecar = play("sidecar", directory.path());
        let mut lines = BufReader::new(sidecar.stderr.take().expect("piped")).lines();
        let address = lines.find_map(|line| line.ok()?.strip_prefix("address=")?.parse::<SocketAddr>().ok());
        let address = address.expect("it serves");
        let until = Instant::now() + Duration::from_millis(some(150));
        let mut asked = false;
        while Instant::now() < until || !asked {
            asked = true;
            slot.classes[3].ring_misses.add(1);
            slot.shard(3, 3).refills.add(1);
            counted += 1;
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .expect("sent");
            let mut text = String::new();
            stream.read_to_string(&mut text).expect("an answer");
            let shown = sum(&text, "stormglass_refills_total");
            // An answer may be a little old, but is never of what was not counted.
            assert!(text.contains("stormglass_up{") && shown <= counted, "{shown} of {counted}");
        }
        // In the middle of an answer, too.
        let mut last = TcpStream::connect(address).expect("it listens");
        let _ = write!(last, "GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
        end(sidecar);
        drop(last);
    }
    let running = Running::of(&directory);
    assert_eq!(sum(&running.scrape(), "stormglass_refills_total"), counted);
    drop(running);
    let reaper = directory.reaper().expect("the killed hold no right to remove");
    assert_eq!(reaper.reap(Duration::ZERO), 0, "the writer lives");
    let path = writer.path().expect("a path").to_owned();
    drop(slot);
    drop(writer);
    assert_eq!(reaper.reap(Duration::ZERO), 1);
    assert!(!path.exists());
}
