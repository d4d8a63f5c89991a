//! Where snapshots come from. One narrow trait, so that everything behind it is tested with synthetic processes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stormglass_telemetry::Snapshot;

use crate::frame::Now;
use crate::retired::Retired;

/// A set of processes that can be read, now and again.
pub(crate) trait Source: Send {
    /// One snapshot of each process that there is, read now. Takes microseconds a process and never waits for one.
    fn snapshots(&mut self) -> Vec<Snapshot>;

    /// The moment that the snapshots are of, where that is not now.
    fn now(&self) -> Option<Now> {
        None
    }

    /// What processes counted whose segments have gone since the start.
    fn retired(&self) -> &Retired;

    /// Files that were refused since the start, each counted once.
    fn errors(&self) -> u64;
}

/// A source that the sampler and the scrapes take turns with.
#[derive(Clone)]
pub(crate) struct SharedSource(Arc<Mutex<dyn Source>>);

impl SharedSource {
    pub(crate) fn new(source: impl Source + 'static) -> SharedSource {
        SharedSource(Arc::new(Mutex::new(source)))
    }

    /// The source, for the length of one read. A reader that panicked left nothing half done that the next read
    /// would not do again, so poison is ignored.
    pub(crate) fn lock(&self) -> MutexGuard<'_, dyn Source + 'static> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
