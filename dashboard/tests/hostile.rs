//! Clients that are slow, many or rude, on raw sockets. Whatever they do, a scrape is answered meanwhile.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{PATIENCE, Running};
use stormglass_telemetry::{Directory, Identity, Writer};

/// A sidecar with one process to show.
fn scene() -> (tempfile::TempDir, Writer, Running) {
    let place = tempfile::tempdir().expect("a directory");
    let directory = Directory::at(place.path().join("segments"));
    let writer = Writer::create(&directory, &Identity { strategy: "mutex", ..Identity::default() })
        .expect("a segment");
    writer.claim().expect("a slot").shard(3, 3).refills.add(1);
    let running = Running::of(&directory);
    (place, writer, running)
}

/// What a client gets until the sidecar ends the connection, in whichever way.
fn until_the_end(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    let deadline = Instant::now() + PATIENCE;
    loop {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(n) => answer.extend_from_slice(&part[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("it was left open: {error}"),
        }
        assert!(Instant::now() < deadline, "it goes on for ever");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_head_that_comes_byte_by_byte_delays_nobody_and_does_not_come_to_its_end() {
    let (_place, _writer, running) = scene();
    let mut slow: Vec<TcpStream> = (0..50).map(|_| running.connect()).collect();
    let mut dripped = 0;
    let begun = Instant::now();
    // Until the sidecar has had enough of the first.
    while slow[0].write_all(b"G").is_ok() && begun.elapsed() < PATIENCE {
        dripped += 1;
        for stream in &mut slow[1..] {
            let _ = stream.write_all(b"G");
        }
        running.scrape();
        sleep(Duration::from_millis(200));
    }
    assert!(begun.elapsed() < PATIENCE, "{dripped} bytes and no end");
}

#[test]
fn a_thousand_connections_that_say_nothing_keep_nobody_out() {
    let (_place, _writer, running) = scene();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).expect("as much as it may be");
    // Both ends are here.
    let room = limit.maximum.is_none_or(|most| most > 1500);
    let many = if room { 1000 } else { 500 };
    let mut silent = Vec::new();
    for number in 0..many {
        silent.push(running.connect());
        if number % 100 == 0 {
            running.scrape();
        }
    }
    running.scrape();
    // A client that was pushed out is told so by the end of its connection.
    assert_eq!(until_the_end(silent.swap_remove(0)), "");
    running.scrape();
}

#[test]
fn half_closed_connections_end() {
    let (_place, _writer, running) = scene();
    for said in [
        "",
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        let mut stream = running.connect();
        stream.write_all(said.as_bytes()).expect("sent");
        stream.shutdown(Shutdown::Write).expect("half closed");
        until_the_end(stream);
    }
    running.scrape();
}

#[test]
fn heads_without_end_are_refused() {
    let (_place, _writer, running) = scene();
    let long = |line: String| {
        let mut stream = running.connect();
        let head = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n");
        // The sidecar may have closed it before all is sent.
        let _ = stream.write_all(head.as_bytes());
        until_the_end(stream)
    };
    for answer in [
        long(format!("X: {}", "x".repeat(1 << 20))),
        long("X: y\r\n".repeat(1000).trim_end().to_owned()),
        long(format!("{}: y", "x".repeat(1 << 17))),
    ] {
        // Either a refusal or, where its own bytes were still under way, none at all; never an answer.
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431") || answer.starts_with("HTTP/1.1 400"),
            "{answer}"
        );
    }
    let mut stream = running.connect();
    stream.write_all(&[0; 1000]).expect("sent");
    assert!(!until_the_end(stream).contains("stormglass_up"));
    running.scrape();
}

#[test]
fn who_never_reads_delays_nobody() {
    let (_place, _writer, running) = scene();
    let rude: Vec<TcpStream> = (0..20)
        .map(|number| {
            let mut stream = running.connect();
            let path = if number % 2 == 0 { "/api/stream" } else { "/metrics" };
            write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
            stream.set_nonblocking(true).expect("set");
            // And goes on asking, for as long as it is listened to.
            let more = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200);
            let _ = stream.write(more.as_bytes());
            stream
        })
        .collect();
    for _ in 0..20 {
        running.scrape();
        sleep(Duration::from_millis(50));
    }
    drop(rude);
    running.scrape();
}

#[test]
fn a_body_that_is_announced_and_never_comes_is_not_waited_for() {
    let (_place, _writer, running) = scene();
    let mut stream = running.connect();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
        .expect("sent");
    let answer = until_the_end(stream);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    running.scrape();
}
