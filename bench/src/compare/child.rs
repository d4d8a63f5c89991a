//! A run in a child process: this program again, with a library preloaded and the hidden subcommand `measure-malloc`.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::contender::Serving;
use super::measure::Run;
use super::plan::Request;
use crate::child::{GRACE, printed_by};
use crate::measurement::parse_result;
use crate::runner::{Failure, Stop};

/// What tells the loader which libraries come first.
const PRELOAD: &str = "LD_PRELOAD";
/// What tells our library which design serves the sizes of the mid pool.
const STRATEGY: &str = "STORMGLASS_STRATEGY";
/// Settings of the C library, unless the user has some: threads keep their restartable sequences for themselves. Google's tcmalloc
/// takes them and has no caches without; nobody else here uses them. All contenders run under the same.
const TUNABLES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.pthread.rseq=0");

/// Launches children.
#[derive(Clone, Debug)]
pub struct Children {
    program: PathBuf,
    before: Vec<OsString>,
}

impl Children {
    /// Children that are this very program.
    ///
    /// # Errors
    /// If the program's own file cannot be found.
    pub fn of_this_program() -> io::Result<Children> {
        Ok(Children { program: env::current_exe()?, before: vec!["measure-malloc".into()] })
    }

    /// Measures in a fresh process, or says why not. Returns soon after `stop` was asked.
    ///
    /// # Errors
    /// If the run failed or was stopped.
    pub fn launch(&self, request: &Request, stop: &Stop) -> Result<Run, Failure> {
        let limit = Duration::from_secs_f64(2.0 * request.shape.seconds) + GRACE;
        let mut command = Command::new(&self.program);
        command.args(&self.before).args(arguments(request));
        // What this process itself was started under is no contender's business.
        match &request.serving {
            Serving::Library(path) => command.env(PRELOAD, path),
            Serving::Design(path, design) => command.env(PRELOAD, path).env(STRATEGY, design.name()),
            Serving::Glibc | Serving::Limit => command.env_remove(PRELOAD),
        };
        if env::var_os(TUNABLES.0).is_none() {
            command.env(TUNABLES.0, TUNABLES.1);
        }
        let printed = printed_by(&mut command, limit, stop)?;
        let sensible = |run: &Run| run.seconds > 0.0 && run.ops_per_second.is_finite();
        parse_result(&printed, sensible).map_err(Failure::Failed)
    }
}

/// The arguments that make a child measure `request`, as the command line reads them.
pub fn arguments(request: &Request) -> Vec<OsString> {
    let s = &request.shape;
    let serving: OsString = match &request.serving {
        Serving::Library(path) | Serving::Design(path, _) => path.clone().into(),
        other => other.to_string().into(),
    };
    let options: [(&str, OsString); 9] = [
        ("--workload", request.workload.name().into()),
        ("--serving", serving),
        ("--threads", s.threads.to_string().into()),
        ("--seconds", s.seconds.to_string().into()),
        ("--min", s.min.to_string().into()),
        ("--max", s.max.to_string().into()),
        ("--chunks", s.chunks.to_string().into()),
        ("--life", s.rounds.to_string().into()),
        ("--seed", s.seed.to_string().into()),
    ];
    options.into_iter().flat_map(|(option, value)| [option.into(), value]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stormglass_allocator::StrategyId;

    use crate::compare::workload;

    /// A child that runs a shell script instead; `$1`, `$2`, ... are the request's arguments.
    fn shell(script: &str, serving: Serving) -> Result<Run, Failure> {
        let workload = workload::named("larson").expect("listed");
        let request = Request { workload, serving, shape: workload.shape() };
        let before = vec!["-c".into(), script.into(), "child".into()];
        Children { program: "/bin/sh".into(), before }.launch(&request, &Stop::default())
    }

    const LINE: &str = r#"{"ops":5,"seconds":2,"ops_per_second":2.5,"cpu_seconds":1,"served_by":"$4","peak_bytes":1,"minor_faults":2,"switches":3,"others":null}"#;

    #[test]
    fn a_child_learns_what_is_to_serve_and_its_result_is_believed() {
        let script = format!("printf '%s\\n' '{LINE}' | sed \"s|[$]4|$4|\"; test -z \"$LD_PRELOAD\"");
        let run = shell(&script, Serving::Limit).expect("a result");
        assert_eq!((run.ops, run.served_by.as_str()), (5, "limit"));
    }

    #[test]
    fn a_library_is_preloaded_and_one_that_cannot_be_is_told_by_the_child() {
        // The loader says that it is not there, and goes on: the reason for the check in the child.
        let script = "echo stormglass: $LD_PRELOAD >&2; exit 1";
        let failed = shell(script, Serving::Library("/nowhere/libx.so".into()));
        assert_eq!(failed, Err(Failure::Failed("/nowhere/libx.so".into())));
        // A design is our library and a variable.
        let script = "echo stormglass: $LD_PRELOAD $STORMGLASS_STRATEGY >&2; exit 1";
        let failed = shell(script, Serving::Design("/nowhere/libs.so".into(), StrategyId::Mutex));
        assert_eq!(failed, Err(Failure::Failed("/nowhere/libs.so mutex".into())));
        let nonsense = shell("echo '{}'", Serving::Glibc);
        assert!(matches!(nonsense, Err(Failure::Failed(why)) if why.contains("cannot be read")));
    }
}
