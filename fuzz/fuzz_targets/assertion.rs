//! Text that says that it is an assertion: the parser understands it, or says where it does not, with a caret that can be drawn.
//!
//! The parser is part of the command line, which is no library: its files are compiled here.
#![no_main]
#![allow(dead_code, missing_docs, unused_imports)]

#[path = "../../cli/src/check"]
mod check {
    pub(crate) mod expression;
    pub(crate) mod verdicts;
}

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match check::expression::Assertion::parse(text) {
        Ok(assertion) => drop(format!("{assertion:?}")),
        Err(mistake) => drop(mistake.to_string()),
    }
});
