//! What the tests of the sidecar share: one that runs, and a client on a raw socket.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use stormglass_dashboard::{Config, Sidecar};
use stormglass_telemetry::Directory;
use tokio::sync::oneshot;

/// How long anything may take: long enough for a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A sidecar that serves until this is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn of(directory: &Directory) -> Running {
        Running::start(Config { keep_dead: Duration::from_hours(1), ..Config::of(directory.clone()) })
    }

    pub(crate) fn start(config: Config) -> Running {
        let (stop, stopped) = oneshot::channel::<()>();
        let (started, address) = std::sync::mpsc::channel();
        let server = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let sidecar = Sidecar::bind(config).await.expect("a free port");
                started.send(sidecar.address()).expect("the test waits");
                sidecar.serve(async { drop(stopped.await) }).await.expect("no error");
            });
        });
        let address = address.recv().expect("the sidecar starts");
        Running { address, stop: Some(stop), server: Some(server) }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the sidecar listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// The whole answer to a request with these further header lines, each with its end.
    pub(crate) fn ask(&self, path: &str, headers: &str) -> Vec<u8> {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n")
            .expect("a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        answer
    }

    /// The text of a scrape.
    pub(crate) fn scrape(&self) -> String {
        let answer = String::from_utf8(self.ask("/metrics", "")).expect("text");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("stormglass_segments "), "{answer}");
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.take();
        let ended = self.server.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_some_and(|ended| ended.is_ok()), "the sidecar panicked");
    }
}
