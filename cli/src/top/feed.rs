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
use crate::sidecar::Sidecar;

/// Something that has frames.
pub(super) enum Feed {
    Segments { live: Box<Live>, directory: Directory },
    Recording(Box<Live>),
    Sidecar(Sidecar),
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
            Feed::Sidecar(sidecar) => {
                let text = sidecar.get("/api/snapshot", "application/json")?;
                serde_json::from_str(&text).map_err(|e| format!("{} sends no frame: {e}", sidecar.name()))
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
