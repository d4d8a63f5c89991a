//! The sidecar: finds the segments of running and of dead processes, and shows them at `/metrics`, as JSON, as a
//! stream of events, and on a page. See ARCHITECTURE.md.
//!
//! Invariant: it only ever reads segments and never talks to a process, so a process that hangs, storms or has been
//! killed is shown like any other.

mod assets;
mod baselines;
mod connection;
mod discovery;
mod error;
mod everyone;
mod exposition;
mod exposure;
mod frame;
mod general;
mod grid;
mod history;
mod inside;
mod live;
mod observer;
mod packed;
mod past;
mod perf;
mod recent;
pub mod recording;
mod replay;
mod results;
mod retired;
mod round;
mod routes;
mod security;
mod server;
mod shown;
mod sidecar;
mod source;
mod stream;
#[cfg(test)]
mod synthetic;
mod tape;
mod verdicts;
mod watching;

pub use error::ServeError;
pub use exposition::Grouping;
pub use exposure::{Exposure, Token};
pub use live::Live;
pub use past::REACH;
pub use replay::Player;
pub use results::Results;
pub use sidecar::{Config, Sidecar};
pub use tape::Tape;
pub use verdicts::{Told, Verdicts};
