//! `class-lock`: option B2, its first half. 7 mutexes instead of 56: one list a class, no shards.
//!
//! ```text
//! mutex        class x shard -> lock      8 threads meet on one lock only by chance, but frees may be remote
//! class-lock   class         -> lock      all threads meet on it, no free is remote, nothing is stolen
//! ```
//!
//! The list is `mutex`'s own; the design is its number of shards, which stands in the table in mod.rs: every thread's home
//! is shard 0 then. Invariant and argument are those of `mutex`.

use super::mutex::MutexList;

pub(crate) type ClassList = MutexList;
