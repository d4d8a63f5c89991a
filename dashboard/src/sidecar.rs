//! Puts the parts together and runs them: one listener, one sampler, one end.
//!
//! Invariant: when the shutdown resolves, the streams end first and the server then, so that an open page never
//! keeps the program from ending.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stormglass_telemetry::Directory;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::discovery::Discovery;
use crate::error::ServeError;
use crate::everyone::Everyone;
use crate::exposition::{Exposition, Grouping, Options};
use crate::exposure::{self, Exposure};
use crate::observer::Observer;
use crate::past::routes::{Archive, Playing};
use crate::recording::RecordingError;
use crate::replay::Last;
use crate::results::Results;
use crate::routes::{Shared, router};
use crate::security::{Hosts, Rules};
use crate::server::{self, Limits};
use crate::source::SharedSource;
use crate::stream;
use crate::tape::Tape;
use crate::verdicts::Verdicts;
use crate::watching::Watching;

/// Series of a scrape at most, unless the user says otherwise.
const MAX_SERIES: u64 = 50_000;

/// What the sidecar serves, and to whom.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where the segments lie.
    pub directory: Directory,
    /// Show the processes of every user instead of those in `directory`; for root.
    pub all_users: bool,
    /// Names, beside the loopback ones and the address itself, that a request may call the sidecar by.
    pub allowed_hosts: Vec<String>,
    /// How long a dead process is shown before its segment is removed.
    pub keep_dead: Duration,
    /// Whose counts `/metrics` adds up.
    pub grouping: Grouping,
    /// Series of a scrape at most.
    pub max_series: u64,
    /// Who may reach it.
    pub exposure: Exposure,
}

impl Config {
    /// For this machine alone, on any free port.
    pub fn of(directory: Directory) -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            directory,
            all_users: false,
            allowed_hosts: Vec::new(),
            keep_dead: Duration::from_mins(10),
            grouping: Grouping::Kind,
            max_series: MAX_SERIES,
            exposure: Exposure::default(),
        }
    }
}

/// A sidecar that listens, and serves once it is told to.
pub struct Sidecar {
    listener: TcpListener,
    address: SocketAddr,
    rules: Rules,
    tls: Option<TlsAcceptor>,
    source: SharedSource,
    options: Options,
    results: Results,
    watching: Watching,
    /// What is shown in place of processes.
    tape: Option<(Arc<Tape>, Playing)>,
    verdicts: Verdicts,
}

impl Sidecar {
    /// Takes the address. Nothing is read or answered yet, but connections wait.
    ///
    /// # Errors
    ///
    /// If the address cannot or must not be listened on, or a file that was named cannot be used; the error says what to do.
    pub async fn bind(config: Config) -> Result<Sidecar, ServeError> {
        if config.all_users && !stormglass_telemetry::is_root() {
            return Err(ServeError::NotRoot);
        }
        if !config.listen.ip().to_canonical().is_loopback() {
            if !config.exposure.exposed {
                return Err(ServeError::Exposed { address: config.listen });
            }
            if config.exposure.token.is_none() {
                tracing::warn!(
                    "whoever can reach {} can read it: --token-file asks for a token",
                    config.listen
                );
            }
        }
        let tls = config.exposure.tls.as_ref().map(exposure::acceptor).transpose()?;
        let failed = |source| ServeError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        // That of one user says nothing of the others' processes, and root trusts no file of theirs but segments.
        let watching =
            if config.all_users { Watching::default() } else { Watching::of(config.directory.clone()) };
        let source = if config.all_users {
            SharedSource::new(Everyone::new(config.keep_dead))
        } else {
            SharedSource::new(Discovery::new(config.directory, config.keep_dead))
        };
        Ok(Sidecar {
            listener,
            address,
            rules: Rules { hosts: Hosts::new(address, &config.allowed_hosts), token: config.exposure.token },
            tls,
            source,
            options: Options { grouping: config.grouping, max_series: config.max_series },
            results: Results::default(),
            watching,
            tape: None,
            verdicts: Verdicts::default(),
        })
    }

    /// Also counts what the processor and the kernel count of each process, as far as this machine and its settings allow. Raises
    /// this process's limit of open files as far as it may. Returns, in sentences, what cannot be counted.
    pub fn count_events(&mut self) -> Vec<String> {
        self.source.count_events()
    }

    /// Shows a recording in place of processes: the page opens at its beginning and plays it, so many times as fast as it went.
    /// The stream and `/metrics` say what its last moment says.
    ///
    /// # Errors
    /// If that last moment cannot be read.
    pub fn replay(mut self, tape: Arc<Tape>, name: String, speed: f64) -> Result<Sidecar, RecordingError> {
        self.source = SharedSource::new(Last::of(&tape)?);
        // Of this machine, which need not be that of the recording.
        self.watching = Watching::default();
        self.tape = Some((tape, Playing { name, speed }));
        Ok(self)
    }

    /// Where it listens, with the port that was found.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a browser finds it.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }

    /// Where benchmark reports are published.
    pub fn results(&self) -> Results {
        self.results.clone()
    }

    /// What is found wrong, while it serves.
    pub fn verdicts(&self) -> Verdicts {
        self.verdicts.clone()
    }

    /// Serves until `shutdown` resolves. Needs no more than a current-thread runtime with time and I/O.
    ///
    /// # Errors
    ///
    /// None any more: what can go wrong is found out by [`Sidecar::bind`].
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
        let (source, verdicts, watching) =
            (self.source.clone(), self.verdicts.clone(), self.watching.clone());
        let exposition = Exposition::knowing(source, verdicts, watching, self.options);
        let observer = Observer::new(self.source, self.results, self.verdicts).knowing(self.watching);
        let observer = Arc::new(Mutex::new(observer.beside(Arc::clone(exposition.own()))));
        let (sampler, frames) = stream::channel(Arc::clone(&observer));
        let archive = match self.tape {
            Some((tape, playing)) => Archive::Tape(tape, playing),
            None => Archive::Live(Arc::clone(&observer)),
        };
        let router = router(Shared::new(observer, frames, exposition, archive), self.rules);

        let (close, closed) = watch::channel(());
        let end = |mut closed: watch::Receiver<()>| async move {
            // Nothing is ever sent: the change is that the sender goes.
            let _ = closed.changed().await;
        };
        tracing::info!(address = %self.address, "serving");
        // The streams end with the sampler, and the server's open requests with them.
        let serving = server::serve(self.listener, router, self.tls, Limits::DEFAULT, end(closed.clone()));
        let closing = async {
            shutdown.await;
            drop(close);
        };
        tokio::join!(serving, sampler.run(end(closed)), closing);
        Ok(())
    }
}
