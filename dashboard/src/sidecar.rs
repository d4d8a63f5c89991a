//! Puts the parts together and runs them: one listener, one sampler, one end.
//!
//! Invariant: when the shutdown resolves, the streams end first and the server then, so that an open page never
//! keeps the program from ending.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stormglass_telemetry::Directory;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::discovery::Discovery;
use crate::error::ServeError;
use crate::exposition::Exposition;
use crate::listener::Bounded;
use crate::observer::Observer;
use crate::results::Results;
use crate::routes::{Shared, router};
use crate::security::Hosts;
use crate::source::SharedSource;
use crate::stream;
use crate::verdicts::Verdicts;

/// How long a connection may go on after the shutdown.
const GRACE: Duration = Duration::from_secs(1);

/// What the sidecar serves, and to whom.
#[derive(Debug)]
pub struct Config {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where the segments lie.
    pub directory: Directory,
    /// Names, beside the loopback ones and the address itself, that a request may call the sidecar by.
    pub allowed_hosts: Vec<String>,
    /// How long a dead process is shown before its segment is removed.
    pub keep_dead: Duration,
}

/// A sidecar that listens, and serves once it is told to.
pub struct Sidecar {
    listener: TcpListener,
    address: SocketAddr,
    hosts: Hosts,
    source: SharedSource,
    results: Results,
    verdicts: Verdicts,
}

impl Sidecar {
    /// Takes the address. Nothing is read or answered yet, but connections wait.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened on; the error says what to do.
    pub async fn bind(config: Config) -> Result<Sidecar, ServeError> {
        let failed = |source| ServeError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Sidecar {
            listener,
            address,
            hosts: Hosts::new(address, &config.allowed_hosts),
            source: SharedSource::new(Discovery::new(config.directory, config.keep_dead)),
            results: Results::default(),
            verdicts: Verdicts::default(),
        })
    }

    /// Where it listens, with the port that was found.
    pub fn address(&self) -> SocketAddr {
        self.address
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
    /// If the server stops by itself.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
        let exposition = Exposition::new(self.source.clone(), self.verdicts.clone())?;
        let observer = Arc::new(Mutex::new(Observer::new(self.source, self.results, self.verdicts)));
        let (sampler, frames) = stream::channel(Arc::clone(&observer));
        let router = router(Shared { observer, frames, exposition }, self.hosts);

        let (close, closed) = watch::channel(());
        let end = |mut closed: watch::Receiver<()>| async move {
            // Nothing is ever sent: the change is that the sender goes.
            let _ = closed.changed().await;
        };
        let mut server = std::pin::pin!(
            axum::serve(Bounded::new(self.listener), router)
                .with_graceful_shutdown(end(closed.clone()))
                .into_future()
        );
        let mut sampling = std::pin::pin!(sampler.run(end(closed)));
        let mut shutdown = std::pin::pin!(shutdown);
        tracing::info!(address = %self.address, "serving");
        let sampling_ended = tokio::select! {
            result = &mut server => return result.map_err(ServeError::Serve),
            () = &mut sampling => true,
            () = &mut shutdown => false,
        };
        drop(close);
        if !sampling_ended {
            sampling.await;
        }
        if let Ok(result) = tokio::time::timeout(GRACE, server).await {
            return result.map_err(ServeError::Serve);
        }
        tracing::debug!("left connections open that did not end in time");
        Ok(())
    }
}
