//! `small-batch`: option A1, its second half. As `lockfree-walk`, but a pop takes at most 4 blocks.
//!
//! ```text
//! head -> a -> b -> c -> d -> e -> ...        one CAS: head -> e, and a to d are the batch
//! ```
//!
//! A failed CAS walks 4 blocks in vain instead of 32, and the window between load and CAS in which it can be beaten is
//! as much shorter. The price: a refill brings 4 blocks, so the ring misses up to 8 times as often.
//!
//! Invariant and argument are those of `lockfree-walk`, whose code it is; only the length of the walk differs.

use super::lockfree_walk::WalkStack;

/// Blocks that a pop takes at most. One under loom, where a batch is two.
pub(crate) const MOST: usize = if cfg!(loom) { 1 } else { 4 };

pub(crate) type SmallBatchStack = WalkStack<MOST>;
