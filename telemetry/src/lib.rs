//! The counters of stormglass: one metric table, a shared-memory segment that holds the counts, its writer in the
//! allocator's process and its reader in any other.
//!
//! An event is added to the counting thread's own [`SlotCounters`]; a reader sums over threads into a
//! [`Snapshot`]; two snapshots make a [`Delta`]; [`Measures`] and [verdicts](diagnosis) come from deltas. See ARCHITECTURE.md.

mod cell;
pub mod clock;
pub mod cost;
mod counts;
pub mod diagnosis;
mod directory;
mod error;
mod figures;
mod fork;
mod histogram;
mod layout;
mod layouts;
mod liveness;
mod mapping;
mod measures;
mod memory;
mod metrics_md;
mod parse;
pub mod perf;
mod protocol;
mod quiet;
mod reader;
mod reading;
mod resident;
pub mod schema;
mod sigbus;
mod slot;
mod snapshot;
mod sparse;
mod union;
mod values;
mod writer;

pub use cell::{COUNTING, Cell};
pub use counts::{Counts, Family, HistogramCounts, LabelValues, Schema, Select};
pub use directory::{Directory, Reaper, Stamp};
pub use error::{ClaimError, Problem, ReadError, WriteError};
pub use figures::{Dimension, Figure};
pub use histogram::{
    DURATION_BOUNDS, DurationHistogram, Histogram, MAX_BOUNDS, RETRY_BOUNDS, RetryHistogram, SCRAPE_BOUNDS,
};
pub use layout::INJECTED_BYTES;
pub use measures::Measures;
pub use metrics_md::metrics_markdown;
pub use reader::Segment;
pub use schema::{
    ClassCounters, Descriptor, Inside, Kind, Label, Metric, Op, Scope, Shape, ShardCounters, TotalCounters,
    Unit,
};
pub use slot::SlotCounters;
pub use snapshot::{Delta, Held, Liveness, Process, Snapshot};
pub use sparse::Sparse;
pub use values::Values;
pub use writer::{Identity, Slot, Writer};

/// Whether this process may look at everybody's files.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
