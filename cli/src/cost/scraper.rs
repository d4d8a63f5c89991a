//! A sidecar in a process of its own, and somebody who scrapes it ten times a second.
//!
//! Invariant: when a [`Scraper`] is dropped, both are gone, so that no other run has them beside it.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::sidecar::Sidecar;

/// Time between two scrapes.
const EVERY: Duration = Duration::from_millis(100);
/// Of the scrapes that a run has time for, the share that must have been answered. A busy machine answers late.
const ENOUGH: f64 = 0.5;
/// What both sides know.
#[derive(Default)]
struct Shared {
    end: AtomicBool,
    /// Scrapes that saw a process.
    seen: AtomicU64,
}

/// A sidecar that is being scraped.
pub(super) struct Scraper {
    sidecar: Child,
    scraping: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl Scraper {
    /// Starts both.
    ///
    /// # Errors
    /// A sentence on why there is no sidecar.
    pub(super) fn start() -> Result<Scraper, String> {
        let failed = |error: std::io::Error| format!("the sidecar cannot be started: {error}");
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.args(["serve-beside", "--listen", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let sidecar = command.spawn().map_err(failed)?;
        // From here on, whatever happens, it is ended.
        let mut scraper = Scraper { sidecar, scraping: None, shared: Arc::default() };
        let out = scraper.sidecar.stdout.take().ok_or("the sidecar has no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).map_err(failed)?;
        let url = line.split_whitespace().last().filter(|word| word.starts_with("http://"));
        let url =
            url.ok_or_else(|| format!("the sidecar did not say where it listens: `{}`", line.trim()))?;
        let sidecar = Sidecar::at(url);
        let shared = Arc::clone(&scraper.shared);
        let scraping = thread::Builder::new().name("scraper".to_owned());
        scraper.scraping = Some(scraping.spawn(move || scrape(&sidecar, &shared)).map_err(failed)?);
        Ok(scraper)
    }

    /// Ends both, after a run of so many seconds.
    ///
    /// # Errors
    /// If the run was scraped too seldom to have been what it is called.
    pub(super) fn finish(self, seconds: f64) -> Result<(), String> {
        // Relaxed: a count, of which the last one or two may be missing.
        let seen = self.shared.seen.load(Ordering::Relaxed);
        drop(self);
        let wanted = (seconds / EVERY.as_secs_f64() * ENOUGH).floor().max(1.0);
        if (seen as f64) < wanted {
            return Err(format!(
                "the sidecar told of the run {seen} times in {seconds} s, and {wanted} is the least"
            ));
        }
        Ok(())
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        // Relaxed: it publishes nothing else.
        self.shared.end.store(true, Ordering::Relaxed);
        if let Some(scraping) = self.scraping.take() {
            let _ = scraping.join();
        }
        // It may be gone already; what counts is that it is not there any more.
        let _ = self.sidecar.kill();
        let _ = self.sidecar.wait();
    }
}

fn scrape(sidecar: &Sidecar, shared: &Shared) {
    let mut next = Instant::now();
    // Relaxed, both: see `finish` and `drop`.
    while !shared.end.load(Ordering::Relaxed) {
        if sidecar.get("/metrics", "text/plain").is_ok_and(|said| saw(&said)) {
            shared.seen.fetch_add(1, Ordering::Relaxed);
        }
        next = (next + EVERY).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// Whether a scrape tells of a process that lives.
fn saw(said: &str) -> bool {
    said.lines().any(|line| line.starts_with("stormglass_up{") && line.ends_with(" 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_of_the_dead_is_none() {
        let up = |value| format!("# TYPE stormglass_up gauge\nstormglass_up{{strategy=\"page\"}} {value}\n");
        assert!(saw(&up(1)) && !saw(&up(0)) && !saw(""));
    }
}
