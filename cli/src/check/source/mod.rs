//! Where what is judged comes from. One narrow trait: a source shows what it sees to the [`Evidence`], in the order of time.
//!
//! Invariant: a source that breaks says so; what it saw until then is not judged.

mod command;
mod events;
mod exposition;
mod processes;
mod recording;
mod scrape;
mod segments;

use super::evidence::Evidence;

pub(crate) use command::{BENCH, Command};
pub(crate) use recording::Recording;
pub(crate) use scrape::Scrape;
pub(crate) use segments::Segments;

/// Something that processes are seen in.
pub(crate) trait Source {
    /// Looks, for as long as there is something to see.
    ///
    /// # Errors
    /// A sentence on what broke, and what to do.
    fn look(self: Box<Self>, evidence: &mut Evidence) -> Result<(), String>;

    /// What it is, for a heading.
    fn name(&self) -> String;
}
