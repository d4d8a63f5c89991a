//! A recording as an iterator of moments.

use std::io::Read;

use super::decode::Decoder;
use super::record::{Kind, Records};
use super::{About, Moment, RecordingError};

/// How a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As its recorder wished.
    Whole,
    /// Without a last word: the recorder was killed, or the file was cut. All whole records were read.
    Cut,
}

/// Reads a recording from its beginning to its end, moment by moment.
///
/// After an error, and after the last moment, it yields nothing more. It keeps one moment, however long the recording is; a
/// file should be read through a `BufReader`.
pub struct Reader<R> {
    records: Records<R>,
    about: About,
    decoder: Decoder,
    end: Option<End>,
}

impl<R: Read> Reader<R> {
    /// Reads the head of a recording.
    ///
    /// # Errors
    /// If it is none, is of a format that this build does not know, or ends before it has begun.
    pub fn new(input: R) -> Result<Reader<R>, RecordingError> {
        let mut records = Records::of_file(input)?;
        let about = match records.next()? {
            None => return Err(RecordingError::Empty),
            Some((Kind::About, at, payload)) => {
                About::decode(payload).map_err(|what| RecordingError::Malformed { at, what })?
            }
            Some((_, at, _)) => {
                return Err(RecordingError::Malformed {
                    at,
                    what: "the first record does not say what this is",
                });
            }
        };
        Ok(Reader { records, about, decoder: Decoder::default(), end: None })
    }

    /// What the recording says of itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// How it ended; `None` before the end was seen. One that ended in an error counts as cut there.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Takes in the next moment, and says where in the file it lies and what kind of record it has.
    pub(crate) fn advance(&mut self) -> Result<Option<(Kind, u64)>, RecordingError> {
        if self.end.is_some() {
            return Ok(None);
        }
        match self.records.next()? {
            None => self.end = Some(End::Cut),
            Some((Kind::End, ..)) => self.end = Some(End::Whole),
            Some((Kind::About, at, _)) => {
                return Err(RecordingError::Malformed { at, what: "it says a second time what this is" });
            }
            Some((kind, at, payload)) => {
                self.decoder.apply(kind, payload).map_err(|what| RecordingError::Malformed { at, what })?;
                return Ok(Some((kind, at)));
            }
        }
        Ok(None)
    }

    /// The moment that was taken in last.
    pub(crate) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// The place behind the record that was read last.
    pub(crate) fn at(&self) -> u64 {
        self.records.at()
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Moment, RecordingError>;

    fn next(&mut self) -> Option<Result<Moment, RecordingError>> {
        match self.advance() {
            Ok(next) => next.map(|_| Ok(self.decoder.moment())),
            Err(error) => {
                self.end = Some(End::Cut);
                Some(Err(error))
            }
        }
    }
}
