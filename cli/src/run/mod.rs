//! `stormglass run`: any program under the allocator, the sidecar beside it, and a summary at its end.
//!
//! Invariant: to whoever started it, this is the program: its standard streams, its signals, its exit code. What we say goes
//! to standard error, before it starts and after it has ended.

mod gather;
mod library;
mod place;
mod relay;
mod summary;

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use stormglass_dashboard::{Config, ServeError, Sidecar};
use stormglass_telemetry::Directory;

use crate::args::RunArgs;
use crate::failure::Failure;
use crate::interrupt::runtime;
use crate::{output, serve};
use gather::Gatherer;
pub(crate) use place::Place;
use relay::{Relay, Target};

/// Where the page is if nobody says where; if that is taken, at any free port.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7070);
/// How long those that the program left behind are shown.
const KEEP_DEAD: Duration = Duration::from_hours(24);

/// Runs the program and exits as it did.
///
/// # Errors
/// If there is no library, no shared memory or no such program, or the address cannot be listened on.
pub(crate) fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    if let Some(word) =
        args.program.first().and_then(|word| word.to_str()).filter(|word| word.starts_with('-'))
    {
        return Err(Failure::impossible(format!(
            "run has no option `{word}` (`stormglass run --help` has them all); a program of that name is `./{word}`"
        )));
    }
    let library = library::find()?;
    let place = Place::make()?;
    // Before there is a second thread: the threads of the runtime must not get the program's signals.
    let relay = Relay::hold();
    let command = command(args, &library, place.directory());
    let status = runtime()?.block_on(async {
        if args.no_page {
            if args.perf {
                output::tell(
                    "stormglass: without a page only the slow paths are sampled: what processor and kernel count is read by the \
                     sidecar behind it",
                );
            }
            return watched(command, relay, &place).await;
        }
        let mut sidecar = bind(args, place.directory()).await?;
        if args.perf {
            serve::uncounted(&sidecar.count_events());
        }
        output::tell(serve::address_line(&sidecar).trim_end());
        serve::beside(sidecar, watched(command, relay, &place)).await
    })?;
    Ok(ExitCode::from(code(status)))
}

fn command(args: &RunArgs, library: &std::path::Path, directory: &Directory) -> Command {
    let mut command = under(&args.program, library, directory);
    if let Some(strategy) = args.strategy {
        command.env("STORMGLASS_STRATEGY", strategy.name());
    }
    if args.check {
        command.env("STORMGLASS_CHECK", "1");
    }
    if args.perf {
        command.env("STORMGLASS_PERF", "1");
    }
    command
}

/// The library that programs are run under.
///
/// # Errors
/// If there is none.
pub(crate) fn library() -> Result<std::path::PathBuf, Failure> {
    library::find()
}

/// A program under the library that is found, with its segments in a directory.
///
/// # Errors
/// If there is no library.
pub(crate) fn preloaded(program: &[OsString], directory: &Directory) -> Result<Command, Failure> {
    Ok(under(program, &library::find()?, directory))
}

fn under(program: &[OsString], library: &std::path::Path, directory: &Directory) -> Command {
    let (program, rest) = program.split_first().unwrap_or_else(|| unreachable!("clap takes one at least"));
    let mut command = Command::new(program);
    command.args(rest);
    command.env("LD_PRELOAD", library::preload(library, std::env::var_os("LD_PRELOAD").as_deref()));
    // Its counts are read after its end, so its segment must still be there.
    command.env("STORMGLASS_DIR", directory.path()).env("STORMGLASS_KEEP", "1");
    command
}

/// Starts the program, waits for its end, and says what it did.
async fn watched(mut command: Command, relay: Relay, place: &Place) -> Result<ExitStatus, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let started = Instant::now();
    relay.release_in(&mut command);
    let child = command.spawn().map_err(|error| cannot_start(&name, &error))?;
    let target = Target::of(&child);
    relay.to(target.clone())?;
    let gatherer = Gatherer::start(place.directory().clone())?;
    let status = tokio::task::spawn_blocking(move || target.wait(child))
        .await
        .map_err(|e| Failure::failed(format!("the wait for {name} ended in a bug: {e}")))?
        .map_err(|e| Failure::failed(format!("{name} cannot be waited for: {e}")))?;
    let counts = gatherer.finish();
    let ending = summary::Ending { name: &name, took: started.elapsed(), status };
    output::tell(&summary::summary(&ending, &counts));
    Ok(status)
}

/// A program that is not there or must not be run: the codes that shells have for it.
fn cannot_start(name: &str, error: &io::Error) -> Failure {
    let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
    Failure::with_code(format!("{name} cannot be started: {error}"), code)
}

/// Listens where the user says, or where there is room.
async fn bind(args: &RunArgs, directory: &Directory) -> Result<Sidecar, Failure> {
    let (listen, exposure) = (args.listen, args.exposure.exposure()?);
    let at = |listen| Config {
        listen,
        keep_dead: KEEP_DEAD,
        exposure: exposure.clone(),
        ..Config::of(directory.clone())
    };
    let sidecar = match Sidecar::bind(at(listen.unwrap_or(ADDRESS))).await {
        Err(ServeError::Listen { source, .. })
            if listen.is_none() && source.kind() == io::ErrorKind::AddrInUse =>
        {
            Sidecar::bind(at(SocketAddr::new(ADDRESS.ip(), 0))).await
        }
        other => other,
    };
    sidecar.map_err(Failure::failed)
}

/// The exit code, as a shell has it: 128 and the number of the signal that ended it.
fn code(status: ExitStatus) -> u8 {
    let signal = || status.signal().map_or(1, |signal| 128 + signal);
    // An exit code has 8 bits, and so has 128 and a signal's number.
    status.code().unwrap_or_else(signal) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(15)), 143);
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
        // Bit 7: it left a core file.
        assert_eq!(code(ExitStatus::from_raw(6 | 0x80)), 134);
    }
}
