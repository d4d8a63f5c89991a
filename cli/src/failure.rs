//! What a user gets to see when something cannot be done: one sentence and an exit code.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

/// The end of a command that did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    sentence: String,
    code: u8,
}

impl Failure {
    /// Something failed that was worth trying.
    pub(crate) fn failed(why: impl Into<Box<dyn Error>>) -> Failure {
        Failure { sentence: why.into().to_string(), code: 1 }
    }

    /// The user asked for something impossible.
    pub(crate) fn impossible(why: impl Into<Box<dyn Error>>) -> Failure {
        Failure { sentence: why.into().to_string(), code: 2 }
    }

    /// A program could not be started: the exit code that shells have for that.
    pub(crate) fn with_code(why: impl Into<Box<dyn Error>>, code: u8) -> Failure {
        Failure { sentence: why.into().to_string(), code }
    }

    /// The sentence, for a failure that is part of another.
    pub(crate) fn sentence(&self) -> &str {
        &self.sentence
    }

    /// Says it on standard error.
    pub(crate) fn report(self) -> ExitCode {
        // With standard error closed there is nobody to tell.
        let _ = writeln!(io::stderr(), "stormglass: {}", self.sentence);
        ExitCode::from(self.code)
    }
}
