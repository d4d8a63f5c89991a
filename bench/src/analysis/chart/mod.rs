//! The charts of the report, as drawings with their text alternatives.
//!
//! Invariant: no chart tells anything by colour alone: shapes, dashes and labels say it too, and its description holds the
//! figures. Every chart is drawn about as wide as a phone, so that its text is readable there; wide screens place several
//! side by side.

mod axis;
mod dots;
mod panels;
mod sheet;
mod strip;

pub(crate) use dots::{changes, failures};
pub(crate) use panels::{retries, throughputs};
pub(crate) use sheet::sheet;
pub(crate) use strip::strip;

/// A drawing.
pub(crate) struct Chart {
    /// What it is called, above it.
    pub(crate) title: String,
    /// What it shows, for whoever cannot see it.
    pub(crate) description: String,
    /// The drawing itself.
    pub(crate) svg: String,
    /// Whether it is one of many small ones.
    pub(crate) small: bool,
}
