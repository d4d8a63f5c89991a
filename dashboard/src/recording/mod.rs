//! Recordings: what the sidecar saw of its processes, moment by moment, in a file that another machine can read.
//!
//! ```text
//! file:    head | record about | record key | record step | record step | ... | record key | record step | ...
//! record:  length u32 | kind u8 | payload | CRC-32 of all three
//! ```
//!
//! A *moment* is a snapshot of each process. A *key* record holds one whole, and who the processes are; a *step* only what
//! has changed since the record before it. What a key begins up to the next is a *segment*: it is read without anything
//! before it, so the ring buffer of the last minutes (past/) is a queue of segments, and a part of it is a recording as it
//! lies. docs/RECORDING.md has the bytes.
//!
//! Invariants: a recording holds no command line, no environment and no address. A file that was cut anywhere reads to its last
//! whole record. Nothing that a file says makes the reader panic, or allocate more than [`limits`] allow.

mod about;
mod decode;
mod encode;
mod error;
mod limits;
mod reader;
mod record;
mod recorder;
mod schema;
mod summary;
mod wire;

#[cfg(test)]
mod tests;

pub use about::About;
pub use error::RecordingError;
pub use reader::{End, Reader};
pub use recorder::{Recorder, Sample, Wishes};
pub use summary::{Hottest, Peak, Recorded, Summary};

pub(crate) use decode::Decoder;
pub(crate) use encode::Encoder;
pub(crate) use record::{Kind, Records, put as put_record};
pub(crate) use recorder::beginning;

use stormglass_telemetry::Snapshot;

/// Every process at one moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Milliseconds since 1970, counted on from the recorder's start by the monotonic clock.
    pub unix_ms: u64,
    /// `CLOCK_MONOTONIC` of the recorded machine, nanoseconds.
    pub monotonic: u64,
    /// The processes, in the order in which they were recorded.
    pub snapshots: Vec<Snapshot>,
    /// Processes that found no room.
    pub left_out: u64,
}
