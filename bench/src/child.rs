//! A measurement in a child process: this program again, with the hidden subcommand `measure`.
//!
//! A fresh process has a fresh address space, fresh rings and no warm page: no run is helped or hurt by the one before.
//! Invariants: when `launch` returns, the child is gone and has been waited for; a child ends with its parent, however
//! that ends, and hears of an interrupt from nobody else.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::Request;
use crate::measurement::{Measurement, shorten};
use crate::runner::{Failure, Launch, Stop};

/// How often a running child is looked at. The parent sleeps meanwhile, so as not to disturb what it measures.
const LOOK: Duration = Duration::from_millis(20);
/// Time for set-up, check and a slow machine, besides twice the run itself.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// What is kept of a child's output; a result is some kilobytes.
const MOST_OUTPUT: u64 = 1 << 20;

/// Launches children.
#[derive(Clone, Debug)]
pub struct Children {
    program: PathBuf,
    before: Vec<OsString>,
    grace: Duration,
    perf: bool,
}

impl Children {
    /// Children that are this very program.
    ///
    /// # Errors
    /// If the program's own file cannot be found.
    pub fn of_this_program() -> io::Result<Children> {
        Ok(Children {
            program: std::env::current_exe()?,
            before: vec!["measure".into()],
            grace: GRACE,
            perf: false,
        })
    }

    /// Children that sample their slow paths by the processor's counters, where there are some.
    #[must_use]
    pub fn with_perf(self) -> Children {
        Children { perf: true, ..self }
    }
}

/// Has the kernel kill this process when the thread that started it ends: a child's part, before it measures. A parent
/// that was killed cannot end its child, which would disturb whatever is measured next.
///
/// # Errors
/// What the kernel said, if it does not do that.
pub fn end_with_parent() -> io::Result<()> {
    // One that was killed before this leaves a child that ends after its run: seconds.
    Ok(rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?)
}

/// The arguments that make a child measure `request`, as the command line reads them.
pub fn arguments(request: &Request) -> Vec<OsString> {
    let s = &request.shape;
    let inject = request.inject.map(|injection| ("--inject", injection.to_string()));
    [
        ("--workload", request.workload.name().to_owned()),
        ("--design", request.design.name().to_owned()),
        ("--threads", s.threads.to_string()),
        ("--seconds", s.seconds.to_string()),
        ("--min", s.min.to_string()),
        ("--max", s.max.to_string()),
        ("--chunks", s.chunks.to_string()),
        ("--life", s.rounds.to_string()),
        ("--seed", s.seed.to_string()),
    ]
    .into_iter()
    .chain(inject)
    .flat_map(|(option, value)| [OsString::from(option), OsString::from(value)])
    .collect()
}

impl Launch for Children {
    fn launch(&mut self, request: &Request, stop: &Stop) -> Result<Measurement, Failure> {
        let limit = Duration::from_secs_f64(2.0 * request.shape.seconds) + self.grace;
        let mut command = Command::new(&self.program);
        command.args(&self.before).args(arguments(request));
        if self.perf {
            command.env("STORMGLASS_PERF", "1");
        }
        let printed = printed_by(&mut command, limit, stop)?;
        Measurement::parse(&printed).map_err(Failure::Failed)
    }
}

/// Runs a command to its end and returns what it printed. One that hangs longer than `limit` is killed, and so is one
/// that runs when `stop` is asked.
pub(crate) fn printed_by(command: &mut Command, limit: Duration, stop: &Stop) -> Result<String, Failure> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Ctrl-C goes to every process of the terminal's group. This one is ended by `stop`, and not blamed for it.
    let mut child = command.process_group(0).spawn().map_err(|e| {
        let program = command.get_program().to_string_lossy().into_owned();
        Failure::Failed(format!("{program} cannot be started: {e}"))
    })?;
    let out = drain(child.stdout.take());
    let err = drain(child.stderr.take());
    let ended = wait(&mut child, Instant::now() + limit, stop);
    if ended.is_err() {
        // It may be gone already; what counts is that it is not there any more.
        let _ = child.kill();
        let _ = child.wait();
    }
    let (out, err) = (text(out), text(err));
    match ended {
        Ok(status) if status.success() => Ok(out),
        Ok(status) => Err(Failure::Failed(blame(status, &err))),
        Err(End::Stopped) => Err(Failure::Stopped),
        Err(End::Late) => {
            Err(Failure::Failed(format!("it did not end within {:.0} s and was killed", limit.as_secs_f64())))
        }
        Err(End::Lost(error)) => Err(Failure::Failed(format!("it cannot be waited for: {error}"))),
    }
}

/// Why a child was not waited for to its own end.
enum End {
    Stopped,
    Late,
    Lost(io::Error),
}

fn wait(child: &mut Child, deadline: Instant, stop: &Stop) -> Result<ExitStatus, End> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Err(error) => return Err(End::Lost(error)),
            Ok(None) if stop.asked() => return Err(End::Stopped),
            Ok(None) if Instant::now() >= deadline => return Err(End::Late),
            Ok(None) => thread::sleep(LOOK),
        }
    }
}

/// Reads a pipe in a thread of its own, so that a child never waits for its reader.
fn drain(pipe: Option<impl Read + Send + 'static>) -> Option<thread::JoinHandle<Vec<u8>>> {
    let mut pipe = pipe?;
    thread::Builder::new()
        .spawn(move || {
            let mut bytes = Vec::new();
            // A pipe that breaks has said what it had to say. What is too long is read, not kept.
            let _ = (&mut pipe).take(MOST_OUTPUT).read_to_end(&mut bytes);
            let _ = io::copy(&mut pipe, &mut io::sink());
            bytes
        })
        .ok()
}

fn text(reader: Option<thread::JoinHandle<Vec<u8>>>) -> String {
    let bytes = reader.and_then(|r| r.join().ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The end of the sentence on a child that failed: what it said last, else how it ended.
pub(crate) fn blame(status: ExitStatus, err: &str) -> String {
    let said = err.lines().rev().find(|line| !line.trim().is_empty());
    match said {
        Some(line) => line.trim().trim_start_matches("stormglass: ").to_owned(),
        None => format!("it ended with {} and said nothing", shorten(&status.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload;
    use stormglass_allocator::StrategyId;

    fn request() -> Request {
        let workload = workload::named("larson").expect("listed");
        let shape = crate::shape::Shape { seconds: 0.01, ..workload.shape() };
        Request { workload, design: StrategyId::LockfreeWalk, shape, inject: None }
    }

    /// A child that runs a shell script instead; the request's arguments are the script's `$1`, `$2`, ...
    fn shell(script: &str, grace: Duration) -> Result<Measurement, Failure> {
        let before = vec!["-c".into(), script.into(), "child".into()];
        Children { program: "/bin/sh".into(), before, grace, perf: false }
            .launch(&request(), &Stop::default())
    }

    fn failed(result: Result<Measurement, Failure>) -> String {
        match result {
            Err(Failure::Failed(why)) => why,
            other => panic!("not a failure: {other:?}"),
        }
    }

    #[test]
    fn a_child_that_prints_its_result_is_believed() {
        let line = Measurement::new(5, Duration::from_secs(2), None, None).line();
        let script = format!("test \"$4\" = lockfree-walk && echo noise && echo '{line}'");
        let found = shell(&script, GRACE).expect("a result");
        assert_eq!((found.ops, found.seconds), (5, 2.0));
    }

    #[test]
    fn a_child_that_fails_is_quoted() {
        assert_eq!(failed(shell("echo 'stormglass: no luck' >&2; exit 1", GRACE)), "no luck");
        let why = failed(shell("kill -SEGV $$", GRACE));
        assert!(why.contains("signal") && why.ends_with("and said nothing"), "{why}");
        assert!(failed(shell("echo rubbish", GRACE)).contains("cannot be read"));
        assert_eq!(failed(shell(":", GRACE)), "it printed no result");
    }

    #[test]
    fn a_child_that_hangs_is_killed() {
        let start = Instant::now();
        let why = failed(shell("exec sleep 60", Duration::from_millis(50)));
        assert!(why.contains("did not end within"), "{why}");
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_child_that_talks_too_much_does_not_hang() {
        let why = failed(shell("head -c 3000000 /dev/zero; exit 3", GRACE));
        assert!(why.contains("exit status: 3"), "{why}");
    }

    #[test]
    fn a_stop_ends_the_child() {
        let stop = Stop::default();
        stop.ask();
        let before = vec!["-c".into(), "exec sleep 60".into()];
        let mut children = Children { program: "/bin/sh".into(), before, grace: GRACE, perf: false };
        assert_eq!(children.launch(&request(), &stop), Err(Failure::Stopped));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let mut children =
            Children { program: "/nowhere/stormglass".into(), before: vec![], grace: GRACE, perf: false };
        assert!(
            failed(children.launch(&request(), &Stop::default()))
                .contains("/nowhere/stormglass cannot be started")
        );
    }
}
