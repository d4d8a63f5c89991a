//! What the shell and `man` get: completions and pages, made from the definition of the command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args as Group, Command, CommandFactory as _};
use clap_complete::Shell;

use crate::args::Args;
use crate::failure::Failure;
use crate::{environment, help, output};

/// Name of the program.
const NAME: &str = "stormglass";

pub(crate) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  stormglass completions bash > ~/.local/share/bash-completion/completions/stormglass
  stormglass completions zsh > ~/.zfunc/_stormglass
  stormglass completions fish > ~/.config/fish/completions/stormglass.fish

The shell makes no folder for it: `mkdir -p` it before.";

pub(crate) const MAN_EXAMPLES: &str = "\
Examples:
  stormglass man ~/.local/share/man/man1         a page for each command; then: man stormglass-check";

#[derive(Debug, Group)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Debug, Group)]
pub(crate) struct ManArgs {
    /// Where the pages are written; made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// The command line without what is internal.
fn visible() -> Command {
    let command = environment::with_twins(help::with_examples(Args::command()));
    let hidden: Vec<String> = command
        .get_subcommands()
        .filter(|command| command.is_hide_set())
        .map(|command| command.get_name().to_owned())
        .collect();
    let shown =
        command.get_subcommands().filter(|command| !hidden.iter().any(|name| name == command.get_name()));
    let shown: Vec<Command> = shown.cloned().collect();
    // There is no way to take a subcommand away, so they are put on a bare one.
    let mut bare = Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .args(command.get_arguments().cloned())
        .subcommands(shown);
    if let Some(about) = command.get_about() {
        bare = bare.about(about.clone());
    }
    if let Some(after) = command.get_after_help() {
        bare = bare.after_help(after.clone());
    }
    bare
}

/// Prints a shell's completions.
///
/// # Errors
/// If standard output cannot be written.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut visible(), NAME, &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the pages.
///
/// # Errors
/// If they cannot be written.
pub(crate) fn man(args: &ManArgs) -> Result<ExitCode, Failure> {
    let path = args.directory.display();
    let cannot = |e: std::io::Error| Failure::failed(format!("the pages cannot be written to {path}: {e}"));
    std::fs::create_dir_all(&args.directory).map_err(cannot)?;
    clap_mangen::generate_to(visible(), &args.directory).map_err(cannot)?;
    output::tell(&format!("stormglass: the pages are in {path}"));
    Ok(ExitCode::SUCCESS)
}
