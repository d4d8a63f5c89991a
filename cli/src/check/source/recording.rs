//! A recording, from its beginning to its end.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use stormglass_dashboard::recording::{Reader, RecordingError};

use super::Source;
use crate::check::evidence::Evidence;

/// A file that `stormglass record`, or the page, has made.
pub(crate) struct Recording(pub(crate) PathBuf);

impl Source for Recording {
    fn look(self: Box<Self>, evidence: &mut Evidence) -> Result<(), String> {
        let unread = |error: RecordingError| format!("{}: {error}", self.0.display());
        let file = File::open(&self.0).map_err(|error| unread(RecordingError::Io(error)))?;
        for moment in Reader::new(BufReader::new(file)).map_err(unread)? {
            let moment = moment.map_err(unread)?;
            evidence.see(moment.monotonic, moment.snapshots.into_iter().map(Into::into));
        }
        Ok(())
    }

    fn name(&self) -> String {
        self.0.display().to_string()
    }
}
