//! A recording, from its beginning to its end.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use stormglass_dashboard::recording::{End, Reader, RecordingError};

use super::Source;
use crate::check::evidence::Evidence;
use crate::output;

/// A file that `stormglass record`, or the page, has made.
pub(crate) struct Recording(pub(crate) PathBuf);

impl Source for Recording {
    fn look(self: Box<Self>, evidence: &mut Evidence) -> Result<(), String> {
        let unread = |error: RecordingError| format!("{}: {error}", self.0.display());
        let file = File::open(&self.0).map_err(|error| unread(RecordingError::Io(error)))?;
        let mut reader = Reader::new(BufReader::new(file)).map_err(unread)?;
        for moment in reader.by_ref() {
            let moment = moment.map_err(unread)?;
            evidence.see(moment.monotonic, moment.snapshots.into_iter().map(Into::into));
        }
        if reader.end() == Some(End::Cut) {
            output::tell(&format!(
                "stormglass: {}: it ends without a last word: its recorder was killed, or it was cut; only what it has is judged",
                self.0.display()
            ));
        }
        Ok(())
    }

    fn name(&self) -> String {
        self.0.display().to_string()
    }
}
