//! `stormglass bench --cost`: what it costs to be watched.
//!
//! ```text
//! build without counters (Uncounted)  ->  Plan: off, on, scraped, off, on, scraped  ->  fresh processes  ->  ratios on/off, scraped/off
//! ```
//!
//! The general allocator runs as a preloaded library, the mid pool in this program and in the other build of it. Each
//! run says whether it counted, so that no two runs of the same build are ever compared. See docs/METHODOLOGY.md.

mod build;
mod plan;
mod report;
mod run;
mod table;

pub use build::{Uncounted, command};
pub use plan::{Arm, Plan, Step, Subject, What, Wishes};
pub use report::{Ledger, Report, Row};
pub use run::{Children, Sample, run};
pub use table::render;
