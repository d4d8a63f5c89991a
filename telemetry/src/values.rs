//! Values that are copied when they change, not when they are handed on: a moment of a process is some tens of kilobytes, and
//! several views hold the same one.

use core::fmt;
use core::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A row of values. A clone takes no memory until one of the two is changed.
#[derive(Clone, PartialEq, Eq)]
pub struct Values(Arc<Vec<u64>>);

impl Values {
    /// So many zeros.
    pub fn zero(len: usize) -> Values {
        vec![0; len].into()
    }

    /// Appends zeros up to this length, or cuts off what is behind it.
    pub fn resize(&mut self, len: usize) {
        Arc::make_mut(&mut self.0).resize(len, 0);
    }
}

impl From<Vec<u64>> for Values {
    fn from(values: Vec<u64>) -> Values {
        Values(Arc::new(values))
    }
}

impl Deref for Values {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        &self.0
    }
}

impl DerefMut for Values {
    fn deref_mut(&mut self) -> &mut [u64] {
        Arc::make_mut(&mut self.0).as_mut_slice()
    }
}

impl<'a> IntoIterator for &'a Values {
    type Item = &'a u64;
    type IntoIter = core::slice::Iter<'a, u64>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
