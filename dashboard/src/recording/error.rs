//! Why a recording cannot be read, as a sentence for whoever was handed one.

use std::fmt;
use std::io;

use super::record::FORMAT;

/// Why a recording cannot be read, or not to its end.
#[derive(Debug)]
pub enum RecordingError {
    /// The file could not be read.
    Io(io::Error),
    /// It is no recording.
    Foreign,
    /// It ends before its first moment.
    Empty,
    /// A newer stormglass has made it.
    Newer(u32),
    /// A record is of a kind that this stormglass does not know and that cannot be skipped.
    Kind {
        /// Which.
        kind: u8,
        /// Its place in the file.
        at: u64,
    },
    /// A record's checksum does not fit it.
    Damaged {
        /// Its place in the file.
        at: u64,
    },
    /// A record's payload makes no sense, although its checksum fits.
    Malformed {
        /// The record's place in the file.
        at: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordingError::Io(error) => write!(f, "it cannot be read: {error}"),
            RecordingError::Foreign => {
                f.write_str("it is no recording of stormglass: `stormglass record -o FILE` makes one")
            }
            RecordingError::Empty => {
                f.write_str("it ends before its first moment: whoever recorded it was ended too soon")
            }
            RecordingError::Newer(format) => write!(
                f,
                "it speaks format {format}, and this stormglass reads format {FORMAT}: update stormglass, or record again"
            ),
            RecordingError::Kind { kind, at } => write!(
                f,
                "the record at byte {at} is of kind {kind}, which this stormglass does not know: update stormglass"
            ),
            RecordingError::Damaged { at } => {
                write!(f, "it is damaged at byte {at}: copy it again; what lies before can be read")
            }
            RecordingError::Malformed { at, what } => {
                write!(f, "the record at byte {at} makes no sense: {what}; what lies before can be read")
            }
        }
    }
}

impl std::error::Error for RecordingError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RecordingError::Io(error) => Some(error),
            _ => None,
        }
    }
}
