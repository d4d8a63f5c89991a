//! The environment's part of the command line: `STORMGLASS_X_Y` is `--x-y`.
//!
//! Invariants: an option means the same however it is given, and what is typed wins: also over a habit that it excludes. An option that
//! means something else than a variable of that name, or that makes no sense as a habit, has no twin.

use std::ffi::OsString;

use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// Options without a twin.
const NONE: [&str; 18] = [
    // STORMGLASS_LIBRARY is the path of our library.
    "library",
    // What one asks for once.
    "help",
    "version",
    "list",
    "summary",
    "from",
    "with",
    "force",
    "once",
    "lifetime",
    "recording",
    "note",
    // It excludes --listen.
    "no-page",
    // A single thing of one command.
    "cost",
    "pid",
    "last",
    "quick",
    "url",
];

/// Options without a twin in one command, though it is a habit elsewhere.
const NONE_OF: [(&str, &str); 5] = [
    // `run --no-page` excludes --listen.
    ("run", "listen"),
    // A file, which must not be there; elsewhere it is a folder.
    ("record", "output"),
    // Both ask for another option, which who has the habit did not say.
    ("top", "json"),
    ("top", "speed"),
    // Further allocators; in `bench`, what is measured at all.
    ("compare", "designs"),
];

/// The same commands, with a variable for every option that has none yet. The commands that are internal are left alone:
/// what a parent tells its child is all there is.
pub(crate) fn with_twins(command: Command) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .map(|command| command.get_name().to_owned())
        .collect();
    let command = command.mut_args(twin);
    names.into_iter().fold(command, |command, name| {
        let has_none =
            |arg: &Arg| NONE_OF.iter().any(|&(of, long)| of == name && arg.get_long() == Some(long));
        command.mut_subcommand(&name, |command| {
            command.mut_args(|arg| if has_none(&arg) { arg } else { twin(arg) })
        })
    })
}

/// The same, without the variables of options that those which were typed exclude: `report --from FILE` is no mistake where
/// `STORMGLASS_ROUNDS` is set.
pub(crate) fn with_twins_beside(command: Command, words: &[OsString]) -> Command {
    let Ok(typed) = command.clone().ignore_errors(true).try_get_matches_from(words) else {
        return with_twins(command);
    };
    let (name, excluded) = match typed.subcommand() {
        None => (None, excluded(&command, &typed)),
        Some((name, typed)) => {
            let of = command.find_subcommand(name).map(|command| excluded(command, typed));
            (Some(name), of.unwrap_or_default())
        }
    };
    let command = with_twins(command);
    let without = |command: Command| {
        excluded.iter().fold(command, |command, id| command.mut_arg(id, |arg| arg.env(None::<&str>)))
    };
    match name {
        None => without(command),
        Some(name) => command.mut_subcommand(name, without),
    }
}

/// The options that exclude one that was typed, or are excluded by it.
fn excluded(command: &Command, typed: &ArgMatches) -> Vec<String> {
    let is_typed = |arg: &Arg| typed.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let conflicts = |arg: &Arg, with: &Arg| {
        command.get_arg_conflicts_with(arg).iter().any(|other| other.get_id() == with.get_id())
    };
    let all: Vec<&Arg> = command.get_arguments().collect();
    let given: Vec<&Arg> = all.iter().copied().filter(|arg| is_typed(arg)).collect();
    let is_excluded =
        |arg: &&&Arg| !is_typed(arg) && given.iter().any(|one| conflicts(arg, one) || conflicts(one, arg));
    all.iter().filter(is_excluded).map(|arg| arg.get_id().to_string()).collect()
}

fn twin(arg: Arg) -> Arg {
    let Some(long) = arg.get_long() else { return arg };
    if NONE.contains(&long) || arg.get_env().is_some() {
        return arg;
    }
    let name = format!("STORMGLASS_{}", long.replace('-', "_").to_ascii_uppercase());
    let arg = arg.env(name).hide_env_values(true);
    // Any word but those for no is yes, as in the library: STORMGLASS_CHECK=1.
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        arg.value_parser(FalseyValueParser::new())
    } else {
        arg
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Args;

    /// The variables that a command has beside these words.
    fn variables(words: &[&str]) -> Vec<String> {
        let words: Vec<OsString> =
            std::iter::once("stormglass").chain(words.iter().copied()).map(OsString::from).collect();
        let command = with_twins_beside(Args::command(), &words);
        let name = words.get(1).and_then(|word| word.to_str()).unwrap_or_default();
        let of = command.find_subcommand(name).unwrap_or(&command);
        of.get_arguments().filter_map(|arg| Some(arg.get_env()?.to_string_lossy().into_owned())).collect()
    }

    #[test]
    fn what_is_typed_excludes_habits_and_no_others() {
        let has = |words: &[&str], name: &str| variables(words).contains(&format!("STORMGLASS_{name}"));
        assert!(has(&["report"], "ROUNDS") && !has(&["report", "--from", "report.json"], "ROUNDS"));
        assert!(has(&["report", "--from", "report.json"], "OUTPUT"));
        assert!(!has(&["bench", "--cost=pool"], "SEED") && !has(&["bench", "--cost"], "PERF"));
        assert!(has(&["bench", "--cost"], "ROUNDS") && has(&["bench", "--rounds", "2"], "SEED"));
        assert!(has(&["--once"], "LISTEN"), "without a command");
        assert!(has(&["no-such-command"], "LISTEN") && has(&["report", "--no-such-option"], "ROUNDS"));
    }
}
