//! `stormglass serve`: the sidecar alone.

use std::process::ExitCode;
use std::time::Duration;

use stormglass_dashboard::{Config, ServeError, Sidecar};
use stormglass_telemetry::Directory;
use tokio::sync::oneshot;

use crate::args::ServeArgs;
use crate::failure::Failure;
use crate::interrupt::{Interrupt, runtime};
use crate::output;

/// How long open connections may take to end; a page's event stream never ends by itself.
const GRACE: Duration = Duration::from_millis(500);

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
        for problem in sidecar.count_events() {
            output::tell(&format!("stormglass: not counted: {problem}"));
        }
    }
    Ok(sidecar)
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
