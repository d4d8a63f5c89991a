//! `stormglass serve`: the sidecar alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args as Group;
use stormglass_dashboard::{Config, Exposure, Grouping, ServeError, Sidecar, Token};
use stormglass_telemetry::Directory;
use tokio::sync::oneshot;

use crate::args::span;
use crate::failure::Failure;
use crate::interrupt::{Interrupt, runtime};
use crate::output;

/// How long open connections may take to end; a page's event stream never ends by itself.
const GRACE: Duration = Duration::from_millis(500);

#[derive(Debug, Group)]
pub(crate) struct ServeArgs {
    /// Address and port of the page and of /metrics
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7070")]
    pub(crate) listen: SocketAddr,
    /// Also answer requests for this host name; may be repeated
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_host: Vec<String>,
    /// How long a process is still shown after its death, such as 90s, 10m, 2h
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = span)]
    pub(crate) keep_dead: Duration,
    /// Also count what processor and kernel count of each process: cycles, cache misses, faults, switches, as far as this machine and its
    /// settings allow; what is not counted says why
    #[arg(long)]
    pub(crate) perf: bool,
    /// Show the processes of every user; for root
    #[arg(long)]
    pub(crate) all_users: bool,
    /// What /metrics adds up: processes of one command, strategy and workload (kind), or all of a command
    #[arg(long, value_name = "WHAT", default_value = "kind", value_parser = grouping)]
    pub(crate) group_by: Grouping,
    /// Series about processes in a scrape at most; what is new is left out first
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    pub(crate) max_series: u64,
    #[command(flatten)]
    pub(crate) exposure: ExposureArgs,
}

/// Who may reach the page.
#[derive(Debug, Group)]
pub(crate) struct ExposureArgs {
    /// Listen where other machines can reach it, if --listen says so
    #[arg(long)]
    expose: bool,
    /// Ask for the token in this file's first line: as a bearer, or as a password in a browser
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Speak TLS with this certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl ExposureArgs {
    /// # Errors
    /// If the token cannot be read.
    pub(crate) fn exposure(&self) -> Result<Exposure, Failure> {
        let token = self.token_file.as_deref().map(Token::read).transpose().map_err(Failure::impossible)?;
        let tls = self.tls_cert.clone().zip(self.tls_key.clone());
        Ok(Exposure { exposed: self.expose, token, tls })
    }
}

fn grouping(word: &str) -> Result<Grouping, String> {
    match word {
        "kind" => Ok(Grouping::Kind),
        "command" => Ok(Grouping::Command),
        other => Err(format!("`{other}` is no way to group: take kind or command")),
    }
}

/// Serves until an interrupt.
///
/// # Errors
/// If the address cannot be listened on, or serving fails.
pub(crate) fn serve(args: &ServeArgs) -> Result<ExitCode, Failure> {
    runtime()?.block_on(async {
        let mut interrupt = Interrupt::listen()?;
        let sidecar = bind(args).await?;
        output::print(&address_line(&sidecar))?;
        beside(sidecar, async {
            interrupt.next().await;
            Ok(())
        })
        .await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A sidecar that listens.
///
/// # Errors
/// If the address is in use or not this machine's.
pub(crate) async fn bind(args: &ServeArgs) -> Result<Sidecar, Failure> {
    let config = Config {
        listen: args.listen,
        all_users: args.all_users,
        allowed_hosts: args.allow_host.clone(),
        keep_dead: args.keep_dead,
        grouping: args.group_by,
        max_series: args.max_series,
        exposure: args.exposure.exposure()?,
        ..Config::of(Directory::from_env())
    };
    let mut sidecar = listen(config).await?;
    if args.perf {
        uncounted(&sidecar.count_events());
    }
    Ok(sidecar)
}

/// Says what of processor and kernel is not counted.
pub(crate) fn uncounted(problems: &[String]) {
    for problem in problems {
        output::tell(&format!("stormglass: not counted: {problem}"));
    }
}

/// A sidecar that listens.
///
/// # Errors
/// If it cannot, or must not.
pub(crate) async fn listen(config: Config) -> Result<Sidecar, Failure> {
    Sidecar::bind(config).await.map_err(|error| match error {
        ServeError::Exposed { .. } | ServeError::NotRoot | ServeError::Secret { .. } => {
            Failure::impossible(error)
        }
        other @ ServeError::Listen { .. } => Failure::failed(other),
    })
}

/// Where to look.
pub(crate) fn address_line(sidecar: &Sidecar) -> String {
    format!("stormglass: watch it at {}\n", sidecar.url())
}

/// Serves while `work` lasts, and a moment longer so that open requests can end.
///
/// # Errors
/// Those of `work`, and those of serving, which also ends the wait for `work`.
pub(crate) async fn beside<T>(
    sidecar: Sidecar,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let (end, ended) = oneshot::channel::<()>();
    let mut serving = std::pin::pin!(sidecar.serve(async {
        // A sender that is gone means the same as one that has sent.
        let _ = ended.await;
    }));
    let result = tokio::select! {
        result = work => result,
        served = &mut serving => {
            served.map_err(Failure::failed)?;
            return Err(Failure::failed("the sidecar ended although nobody asked it to; this is a bug"));
        }
    };
    drop(end);
    let _ = tokio::time::timeout(GRACE, serving).await;
    result
}
