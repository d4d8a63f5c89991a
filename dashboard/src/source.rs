//! Where snapshots come from. One narrow trait, so that everything behind it is tested with synthetic processes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::frame::Now;
use crate::packed::Packed;
use crate::perf::SharedPerf;
use crate::retired::Retired;

/// A set of processes that can be read, now and again.
pub(crate) trait Source: Send {
    /// One snapshot of each process that there is, read now. Takes microseconds a process and never waits for one.
    fn snapshots(&mut self) -> Vec<Packed>;

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
pub(crate) struct SharedSource {
    source: Arc<Mutex<dyn Source>>,
    /// What is counted of its processes from outside, if somebody asked for that.
    pub(crate) perf: SharedPerf,
}

impl SharedSource {
    pub(crate) fn new(source: impl Source + 'static) -> SharedSource {
        SharedSource { source: Arc::new(Mutex::new(source)), perf: SharedPerf::default() }
    }

    /// Has the events of its processes counted from now on; returns, in sentences, what cannot be.
    pub(crate) fn count_events(&mut self) -> Vec<String> {
        let (perf, problems) = SharedPerf::here();
        self.perf = perf;
        problems
    }

    /// The source, for the length of one read. A reader that panicked left nothing half done that the next read
    /// would not do again, so poison is ignored.
    pub(crate) fn lock(&self) -> MutexGuard<'_, dyn Source + 'static> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
