//! The charts of the report, as drawings with their text alternatives.
//!
//! Invariant: no chart tells anything by colour alone: shapes, dashes and labels say it too, and its description holds the
//! figures. Every chart is drawn about as wide as a phone, so that its text is readable there; wide screens place several
//! side by side.

mod axis;
mod dots;
mod panels;
mod strip;

pub(super) use dots::{changes, failures};
pub(super) use panels::{retries, throughputs};
pub(super) use strip::strip;

/// A drawing.
pub(super) struct Chart {
    /// What it is called, above it.
    pub(super) title: String,
    /// What it shows, for whoever cannot see it.
    pub(super) description: String,
    /// The drawing itself.
    pub(super) svg: String,
    /// Whether it is one of many small ones.
    pub(super) small: bool,
}
