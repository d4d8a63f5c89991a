//! `stormglass compare`: our preload library beside other allocators, on workloads that call C's functions.
//!
//! ```text
//! Field (who is there)  ->  Plan (A B C, A B C)  ->  a child for each run, with a library preloaded  ->  Report
//! ```
//!
//! A child is this program again; it says which library really serves it (`verify.rs`) before it measures. As in
//! `stormglass bench`, only ratios of runs of one round are compared; see docs/METHODOLOGY.md.

mod c;
mod child;
mod contender;
mod join;
mod limit;
mod measure;
mod memory;
mod page;
mod plan;
mod report;
mod run;
mod summary;
#[cfg(test)]
mod synthetic;
mod table;
mod verify;
pub mod workload;

pub use c::Whose;
pub use child::{Children, arguments};
pub use contender::{Contender, Field, Missing, Named, OURS, Serving};
pub use measure::{MeasureError, Run, measure, measure_alone};
pub use memory::Memory;
pub use page::{html, markdown, scaling};
pub use plan::{Bout, Plan, Request, Step, Wishes};
pub use report::{Allocator, Ledger, Report, Row, Table};
pub use run::{preflight, run};
pub use summary::{Best, Mean, Summary};
pub use table::render;
