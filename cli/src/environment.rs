//! The environment's part of the command line: `STORMGLASS_X_Y` is `--x-y`.
//!
//! Invariants: an option means the same however it is given, and what is typed wins. An option that means something else
//! than a variable of that name, or that makes no sense as a habit, has no twin.

use clap::builder::FalseyValueParser;
use clap::{Arg, ArgAction, Command};

/// Options without a twin.
const NONE: [&str; 17] = [
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
    "quick",
    "url",
];

/// Options without a twin in one command, where the others' means something else.
const NONE_OF: [(&str, &str); 2] = [
    // `run --no-page` excludes --listen, which is a habit of who serves.
    ("run", "listen"),
    // Further allocators, and in `bench` what is measured at all.
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
        let without =
            |arg: &Arg| NONE_OF.iter().any(|(of, long)| *of == name && arg.get_long() == Some(*long));
        command.mut_subcommand(name.clone(), |command| {
            command.mut_args(|arg| if without(&arg) { arg } else { twin(arg) })
        })
    })
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
