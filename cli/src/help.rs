//! The examples in `--help`, each at its own command, from the one list that the whole program's help shows.
//!
//! Invariant: every example can be typed: a test has each understood.

use clap::Command;

use crate::args::EXAMPLES;

/// What begins an example.
const PROGRAM: &str = "  stormglass";

/// The same commands, each with its examples.
pub(crate) fn with_examples(command: Command) -> Command {
    let bare: Vec<String> = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_after_help().is_none())
        .map(|command| command.get_name().to_owned())
        .collect();
    bare.into_iter().fold(command, |command, name| {
        let examples = examples(&name);
        if examples.is_empty() {
            return command;
        }
        command.mut_subcommand(name, |command| command.after_help(format!("Examples:\n{examples}")))
    })
}

/// The lines of one command.
fn examples(name: &str) -> String {
    let mut text = String::new();
    let mut is_own = false;
    let paragraph = EXAMPLES.lines().skip(1).take_while(|line| !line.is_empty());
    for line in paragraph {
        if let Some(rest) = line.strip_prefix(PROGRAM) {
            let word = rest.split_whitespace().next().unwrap_or_default();
            // Without a command, or with an option first, it is `watch`.
            is_own = word == name || name == "watch" && (rest.starts_with("   ") || word.starts_with('-'));
        }
        if is_own {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Args;
    use crate::check::Assertion;

    /// The words of an example, as a shell has them: without what a shell does, and without the remark behind it.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
        let mut spaces = 0;
        for c in line.trim().chars() {
            match (quote, c) {
                (None, '>') => break,
                (None, ' ') => {
                    spaces += 1;
                    if spaces == 2 {
                        break;
                    }
                    words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                    continue;
                }
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if c == open => quote = None,
                (_, c) => word.push(c),
            }
            spaces = 0;
        }
        words.extend((!word.is_empty()).then_some(word));
        words.into_iter().skip_while(|word| word.contains('=') && word.starts_with("STORMGLASS_")).collect()
    }

    fn command() -> Command {
        crate::environment::with_twins(with_examples(Args::command()))
    }

    #[test]
    fn every_command_has_examples_and_each_is_understood() {
        let command = command();
        let mut helps = vec![("stormglass".to_owned(), EXAMPLES.to_owned())];
        for one in command.get_subcommands().filter(|command| !command.is_hide_set()) {
            let help = one.get_after_help().map(ToString::to_string).unwrap_or_default();
            helps.push((one.get_name().to_owned(), help));
        }
        let mut understood = 0;
        for (name, help) in helps {
            assert!(help.starts_with("Examples:\n"), "{name} has no examples");
            let examples: Vec<Vec<String>> = help
                .lines()
                .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
                .map(words)
                .filter(|words| words.first().is_some_and(|word| word == "stormglass"))
                .collect();
            assert!(!examples.is_empty(), "{name} has no examples");
            for words in examples {
                let matches = command.clone().try_get_matches_from(&words);
                let matches = matches.unwrap_or_else(|error| panic!("{}: {error}", words.join(" ")));
                understood += 1;
                let Some(("check", check)) = matches.subcommand() else { continue };
                for text in check.get_many::<String>("assertions").into_iter().flatten() {
                    assert!(Assertion::parse(text).is_ok(), "{text}");
                }
            }
        }
        assert!(understood > 40, "{understood}");
    }

    #[test]
    fn words_are_those_of_a_shell() {
        assert_eq!(
            words("  stormglass check 'a < 1' -- bench  a remark"),
            ["stormglass", "check", "a < 1", "--", "bench"]
        );
        assert_eq!(words("  STORMGLASS_DIR=/x stormglass doctor > file"), ["stormglass", "doctor"]);
        assert_eq!(words("  stormglass           a remark"), ["stormglass"]);
    }

    #[test]
    fn every_option_that_is_a_habit_has_a_variable() {
        let command = command();
        let of = |name: &str, long: &str| {
            let command = command.find_subcommand(name).expect("a command");
            let arg = command.get_arguments().find(|arg| arg.get_long() == Some(long)).expect("an option");
            arg.get_env().map(|env| env.to_string_lossy().into_owned())
        };
        assert_eq!(of("serve", "listen").as_deref(), Some("STORMGLASS_LISTEN"));
        assert_eq!(of("bench", "threads").as_deref(), Some("STORMGLASS_THREADS"));
        assert_eq!(of("run", "strategy").as_deref(), Some("STORMGLASS_STRATEGY"), "as the library has it");
        assert_eq!(of("run", "check").as_deref(), Some("STORMGLASS_CHECK"));
        assert_eq!(of("serve", "token-file"), of("top", "token-file"), "one file for both ends");
        assert_eq!(of("record", "ca").as_deref(), Some("STORMGLASS_CA"));
        assert_eq!(of("top", "json"), None, "it asks for --once, which a habit does not say");
        assert_eq!(of("record", "output"), None, "a file; elsewhere it is a folder");
        assert_eq!(of("compare", "library"), None, "STORMGLASS_LIBRARY is a path");
        assert_eq!(of("compare", "designs"), None, "in bench it says what is measured at all");
        assert_eq!(of("measure", "threads"), None, "a child is told by its parent alone");
        command.debug_assert();
    }
}
