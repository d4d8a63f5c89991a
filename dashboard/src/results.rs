//! The newest benchmark report, from whoever runs the benchmark to whoever watches.
//!
//! Invariant: the report is replaced whole, so a frame never shows half of one.

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

/// A place for one report; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Results(Arc<RwLock<Option<Arc<Value>>>>);

impl Results {
    /// Shows `report` from the next frame on, in place of the last one.
    pub fn publish(&self, report: Value) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(report));
    }

    /// The report that was published last.
    pub(crate) fn latest(&self) -> Option<Arc<Value>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
