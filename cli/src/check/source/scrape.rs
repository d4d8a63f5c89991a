//! A sidecar that serves already, by its `/metrics`.
//!
//! Invariant: what is judged is what happened between the first and the last scrape. A series is of all processes of one
//! command, strategy and workload, as the sidecar adds them up.

use std::thread;
use std::time::{Duration, Instant};

use stormglass_telemetry::clock;

use super::{Source, exposition};
use crate::check::evidence::Evidence;

/// Time between two scrapes.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than any sidecar says: one that says more is none.
const LARGEST: u64 = 256 << 20;

/// A sidecar, for a time.
pub(crate) struct Scrape {
    url: String,
    token: Option<String>,
    span: Duration,
    wait: Duration,
    agent: ureq::Agent,
}

impl Scrape {
    /// `url` is the sidecar's address, with or without `http://` and `/metrics`.
    pub(crate) fn new(url: &str, token: Option<String>, span: Duration, wait: Duration) -> Scrape {
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let url =
            if url.ends_with("/metrics") { url } else { format!("{}/metrics", url.trim_end_matches('/')) };
        let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().new_agent();
        Scrape { url, token, span, wait, agent }
    }

    fn scrape(&self) -> Result<exposition::Scraped, String> {
        let mut request = self.agent.get(&self.url).header("accept", "text/plain;version=0.0.4");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let broken = |e: ureq::Error| match e {
            ureq::Error::StatusCode(401 | 403) => {
                format!(
                    "{} refuses this request: name its token with --token, or its host with --allow-host of the sidecar",
                    self.url
                )
            }
            e => format!("{} cannot be scraped: {e}; is a sidecar there (`stormglass serve`)?", self.url),
        };
        let text = request
            .call()
            .and_then(|mut answer| answer.body_mut().with_config().limit(LARGEST).read_to_string())
            .map_err(broken)?;
        exposition::parse(&text).map_err(|why| format!("{} is no page of metrics: {why}", self.url))
    }
}

impl Source for Scrape {
    fn look(self: Box<Self>, evidence: &mut Evidence) -> Result<(), String> {
        let patience = Instant::now() + self.wait;
        let mut scrapes = Vec::new();
        loop {
            match self.scrape() {
                Ok(scraped) if scraped.is_empty() && Instant::now() < patience => {}
                Ok(scraped) => {
                    scrapes.push((clock::monotonic(), scraped));
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
        self.url.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_enough() {
        let url = |given| Scrape::new(given, None, Duration::ZERO, Duration::ZERO).url;
        for given in [
            "127.0.0.1:7070",
            "http://127.0.0.1:7070",
            "http://127.0.0.1:7070/",
            "http://127.0.0.1:7070/metrics",
        ] {
            assert_eq!(url(given), "http://127.0.0.1:7070/metrics");
        }
        assert_eq!(url("https://glass.example/below/"), "https://glass.example/below/metrics");
    }
}
