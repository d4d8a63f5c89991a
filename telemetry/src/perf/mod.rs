//! Hardware and kernel counters, told honestly: what is counted, how much of the time, and where it is not, why not.
//!
//! ```text
//! probe    each event alone, kernel excluded first --> a plan: what can be opened here, in which groups, and why not the rest
//! attach   the plan on every thread of a process; threads to come inherit it --> totals that never fall, and a state an event
//! sampler  a thread's own three counters, read around a slow path now and then --> cells of its class and shard
//! ```
//!
//! Invariants: what is not counted has no value, and a state that says why; events of one group are of the same time, so that
//! their ratios mean something; nothing here asks the kernel but through an [`Opener`], so that a test can force every state. docs/PERF.md
//! says all this to users.

mod attach;
mod circumstances;
mod descriptors;
mod event;
#[cfg(test)]
mod fake;
mod group;
mod opener;
mod page;

mod plan;
mod processor;
mod sampler;

mod scale;
mod state;

pub use attach::{Attachment, Tally, Trouble};
pub use circumstances::Circumstances;
pub use descriptors::raise_limit;
pub use event::Event;
pub use opener::{Counter, Descriptor, Kernel, Mode, Opener, Request, Target};
pub use plan::{Plan, Standing};
pub use processor::{Processor, Vendor};
pub use sampler::{Sampler, inside, why_not_inside};

pub use state::State;
