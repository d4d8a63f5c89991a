//! What counting costs, as `stormglass bench --cost` last left it among the segments.
//!
//! Invariant: the file is looked at once a second at most, whoever asks; one that cannot be read is none, and is told of once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use stormglass_telemetry::Directory;
use stormglass_telemetry::cost::Cost;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// The last measurement; clones share it. Of nowhere, unless it is said where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watching(Option<Arc<Mutex<Look>>>);

#[derive(Debug)]
struct Look {
    directory: Directory,
    last: Option<Instant>,
    cost: Option<Arc<Cost>>,
    told: bool,
}

impl Watching {
    /// What lies in this directory.
    pub(crate) fn of(directory: Directory) -> Watching {
        Watching(Some(Arc::new(Mutex::new(Look { directory, last: None, cost: None, told: false }))))
    }

    /// What was measured last, if anything was.
    pub(crate) fn latest(&self) -> Option<Arc<Cost>> {
        let mut look = self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        if look.last.is_none_or(|last| last.elapsed() >= EVERY) {
            look.last = Some(Instant::now());
            look.again();
        }
        look.cost.clone()
    }
}

impl Look {
    fn again(&mut self) {
        let read = self.directory.kept_cost().and_then(|text| {
            text.map(|text| serde_json::from_str::<Cost>(&text)).transpose().map_err(Into::into)
        });
        match read {
            Ok(cost) => {
                // The same one is shared on, so that nobody takes it for news.
                if cost.as_ref() != self.cost.as_deref() {
                    self.cost = cost.map(Arc::new);
                }
                self.told = false;
            }
            Err(error) => {
                self.cost = None;
                if !std::mem::replace(&mut self.told, true) {
                    tracing::warn!(
                        "{} cannot be read, so the cost of watching is not shown: {error}; `stormglass bench --cost` writes it anew",
                        self.directory.cost_path().display()
                    );
                }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use stormglass_telemetry::cost::{GENERAL, Ratio, Subject};

    use super::*;

    /// Counting costs a program 6% at least.
    pub(crate) fn cost() -> Cost {
        let words = |text: &str| text.to_owned();
        let ratio = |median: f64| Ratio { median, low: median - 0.02, high: 0.94, coverage: 0.94, pairs: 5 };
        Cost {
            version: words("0.1.0"),
            command: words("stormglass bench --cost"),
            machine: words("Z80, 1 core"),
            measured: 1_700_000_000,
            subjects: vec![Subject {
                allocator: words(GENERAL),
                strategy: words("page"),
                workload: words("larson 2T"),
                counted: Some(ratio(0.93)),
                scraped: Some(ratio(0.90)),
            }],
        }
    }

    /// A directory in which it lies.
    pub(crate) fn kept() -> (tempfile::TempDir, Watching) {
        let dir = tempfile::tempdir().expect("a directory");
        let directory = Directory::at(dir.path().join("segments"));
        directory.keep_cost(&serde_json::to_string(&cost()).expect("JSON")).expect("kept");
        (dir, Watching::of(directory))
    }

    #[test]
    fn what_is_kept_is_found_and_what_cannot_be_read_is_none() {
        let (dir, watching) = kept();
        assert_eq!(watching.latest().as_deref(), Some(&cost()));
        let directory = Directory::at(dir.path().join("segments"));
        assert_eq!(Watching::of(Directory::at(dir.path().join("nowhere"))).latest(), None);
        for rubbish in ["", "{}", "[1, 2", r#"{"version": 1}"#] {
            directory.keep_cost(rubbish).expect("kept");
            assert_eq!(Watching::of(directory.clone()).latest(), None, "{rubbish}");
        }
        assert_eq!(Watching::default().latest(), None);
        assert!(watching.latest().is_some(), "within a second nobody looks again");
    }
}
