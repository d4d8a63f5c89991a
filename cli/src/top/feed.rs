//! Where frames come from: the segments, as the sidecar reads them, or a sidecar that serves already.
//!
//! Invariant: a feed runs on a thread of its own, so that a sidecar that does not answer keeps no key waiting.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use stormglass_dashboard::{Live, Tape};
use stormglass_telemetry::Directory;
use tokio::sync::mpsc::UnboundedSender;

use super::state::Event;
use super::view::View;
use crate::failure::Failure;

/// How long a sidecar may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Something that has frames.
pub(super) enum Feed {
    Segments { live: Box<Live>, directory: Directory },
    Recording(Box<Live>),
    Sidecar { url: String, token: Option<String>, agent: ureq::Agent },
}

fn not_json(error: &serde_json::Error) -> String {
    format!("a frame is no JSON: {error}; this is a bug")
}

impl Feed {
    pub(super) fn segments(directory: Directory) -> Feed {
        Feed::Segments { live: Box::new(Live::new(directory.clone())), directory }
    }

    /// A recording, from its beginning.
    ///
    /// # Errors
    /// If the file cannot be read, or is none.
    pub(super) fn recording(file: &Path, speed: f64) -> Result<Feed, Failure> {
        let tape = Tape::open(file).map_err(|e| Failure::failed(format!("{}: {e}", file.display())))?;
        Ok(Feed::Recording(Box::new(Live::replay(Arc::new(tape), speed))))
    }

    /// `url` is the sidecar's address, with or without `http://`.
    pub(super) fn sidecar(url: &str, token: Option<String>) -> Feed {
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let url = format!("{}/api/snapshot", url.trim_end_matches('/'));
        let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().new_agent();
        Feed::Sidecar { url, token, agent }
    }

    /// The frame of this moment.
    ///
    /// # Errors
    /// A sentence on why there is none.
    pub(super) fn frame(&mut self) -> Result<Value, String> {
        match self {
            Feed::Segments { live, directory } => {
                directory.scan().map_err(|e| e.to_string())?;
                live.frame().map_err(|e| not_json(&e))
            }
            Feed::Recording(live) => live.frame().map_err(|e| not_json(&e)),
            Feed::Sidecar { url, token, agent } => {
                let mut request = agent.get(url.as_str());
                if let Some(token) = token {
                    request = request.header("authorization", format!("Bearer {token}"));
                }
                let text = request
                    .call()
                    .and_then(|mut answer| answer.body_mut().read_to_string())
                    .map_err(|e| format!("{url} does not answer: {e}"))?;
                serde_json::from_str(&text).map_err(|e| format!("{url} sends no frame: {e}"))
            }
        }
    }

    /// The same for the screen.
    pub(super) fn event(&mut self) -> Event {
        match self.frame().and_then(|frame| serde_json::from_value::<View>(frame).map_err(|e| e.to_string()))
        {
            Ok(view) => Event::Frame(Box::new(view)),
            Err(why) => Event::Lost(why),
        }
    }

    /// Sends frames until nobody wants them any more.
    ///
    /// # Errors
    /// If there can be no thread.
    pub(super) fn start(mut self, interval: Duration, events: UnboundedSender<Event>) -> Result<(), Failure> {
        let run = move || {
            while events.send(self.event()).is_ok() {
                thread::sleep(interval);
            }
        };
        thread::Builder::new()
            .name("feed".to_owned())
            .spawn(run)
            .map(drop)
            .map_err(|e| Failure::failed(format!("there can be no thread for the frames: {e}")))
    }
}
