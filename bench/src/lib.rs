//! Benchmarks of the free-list designs: workloads, paired measurement in fresh processes, statistics, report.
//!
//! A [`Plan`] says which runs there are; [`run`] has each made by a child process ([`Children`]), which calls
//! [`measure`]; results go into a [`Ledger`], which makes a [`Report`] at any moment; [`table::render`] shows it, and
//! [`analysis`] judges the paper's claims by it.
//! [`compare`] does the like for whole allocators, which are preloaded into the child,
//! and [`cost`] for this one with its counters and without.
//! Only ratios of runs that stood side by side are compared, never times of different days. See ARCHITECTURE.md.

pub mod analysis;
mod child;
pub mod compare;
pub mod cost;
mod ledger;
pub mod library;
mod machine;
mod measure;
mod measurement;
mod neighbours;
mod plan;
mod progress;
mod random;
mod report;
mod retries;
mod runner;
mod sentence;
mod shape;
mod simulation;
pub mod stats;
pub mod table;
pub mod workload;

pub use child::{Children, arguments, end_with_parent};
pub use ledger::Ledger;
pub use machine::Machine;
pub use measure::{MeasureError, Request, measure};
pub use measurement::{Counted, Measurement};
pub use plan::{Bout, Plan, Step, Wishes};
pub use progress::Display;
pub use report::{Progress, Report, Round, Row, Table};
pub use retries::{Depth, Retries};
pub use runner::{Failure, Launch, Observer, Stop, run};
pub use sentence::{Facts, sentence};
pub use shape::{Shape, SizeWishes};
pub use simulation::{Simulated, SimulatedRow, Simulation, simulate};
