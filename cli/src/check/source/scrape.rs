//! A sidecar that serves already, by its `/metrics`.
//!
//! Invariant: what is judged is what happened between the first and the last scrape. A series is of all processes of one
//! command, strategy and workload, as the sidecar adds them up.

use std::thread;
use std::time::{Duration, Instant};

use stormglass_telemetry::clock;

use super::{Source, exposition};
use crate::check::evidence::Evidence;
use crate::sidecar::Sidecar;

/// Time between two scrapes.
const INTERVAL: Duration = Duration::from_secs(1);
/// The format that is asked for.
const ACCEPT: &str = "text/plain;version=0.0.4";

/// A sidecar, for a time.
pub(crate) struct Scrape {
    pub(crate) sidecar: Sidecar,
    pub(crate) span: Duration,
    /// How long there may be no answer, or no process, at first.
    pub(crate) wait: Duration,
}

impl Scrape {
    fn scrape(&self) -> Result<exposition::Scraped, String> {
        let text = self.sidecar.get("/metrics", ACCEPT)?;
        exposition::parse(&text)
            .map_err(|why| format!("{} has no page of metrics: {why}", self.sidecar.name()))
    }
}

impl Source for Scrape {
    fn look(self: Box<Self>, evidence: &mut Evidence) -> Result<(), String> {
        let patience = Instant::now() + self.wait;
        let mut scrapes = Vec::new();
        loop {
            match self.scrape() {
                Ok(first) if first.is_empty() && Instant::now() < patience => {}
                Ok(first) => {
                    scrapes.push((clock::monotonic(), first));
                    break;
                }
                Err(why) if Instant::now() >= patience => return Err(why),
                Err(_) => {}
            }
            thread::sleep(Duration::from_millis(200));
        }
        let end = Instant::now() + self.span;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::sleep(left.min(INTERVAL));
            scrapes.push((clock::monotonic(), self.scrape()?));
        }
        for (time, sights) in exposition::sights(&scrapes) {
            evidence.see(time, sights);
        }
        Ok(())
    }

    fn name(&self) -> String {
        self.sidecar.name().to_owned()
    }
}
