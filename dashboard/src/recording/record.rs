//! The frame around what is recorded: a head, then records that say their length and carry a checksum.
//!
//! Invariants: a record is taken whole or not at all. A length is believed only as far as there are bytes: the payload grows as
//! it is read. Kinds from [`OPTIONAL`] on may be skipped by who does not know them; all others must be known.

use std::io::Read;

use flate2::Crc;

use super::error::RecordingError;
use super::limits;

/// The first bytes of a file. The first has its high bit set and the last is a line end, so that a transfer as text shows.
pub(crate) const MAGIC: [u8; 8] = *b"\x89SGREC\r\n";
/// The format that is written, and the only one that is read.
pub(crate) const FORMAT: u32 = 1;
/// Kinds from here on are additions without which the rest can be understood.
const OPTIONAL: u8 = 0x80;
/// Length and kind, before the payload.
const FRONT: usize = 5;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Who recorded, when and why. The first record, and only that.
    About = 1,
    /// A moment, whole: the beginning of a segment.
    Key = 2,
    /// A moment, as the change since the record before.
    Step = 3,
    /// The recording has ended as its recorder wished.
    End = 4,
}

impl Kind {
    fn of(kind: u8) -> Option<Kind> {
        [Kind::About, Kind::Key, Kind::Step, Kind::End].into_iter().find(|known| *known as u8 == kind)
    }
}

/// The head of a file.
pub(crate) fn head() -> [u8; 12] {
    let mut head = [0; 12];
    head[..8].copy_from_slice(&MAGIC);
    head[8..].copy_from_slice(&FORMAT.to_le_bytes());
    head
}

/// Appends a record.
pub(crate) fn put(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.push(kind as u8);
    out.extend_from_slice(payload);
    let sum = checksum(&out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A record: what it is, its place in the file, its payload.
pub(crate) type Record<'a> = (Kind, u64, &'a [u8]);

/// Reads records one after another.
pub(crate) struct Records<R> {
    input: R,
    /// The place of the next record.
    at: u64,
    /// The record that was read last.
    buffer: Vec<u8>,
}

impl<R: Read> Records<R> {
    /// Records that begin at once, as those of a segment do; `at` is their place in the file.
    pub(crate) fn bare(input: R, at: u64) -> Records<R> {
        Records { input, at, buffer: Vec::new() }
    }

    /// Records after the head of a file, which is checked.
    pub(crate) fn of_file(mut input: R) -> Result<Records<R>, RecordingError> {
        let mut bytes = Vec::new();
        (&mut input).take(head().len() as u64).read_to_end(&mut bytes).map_err(RecordingError::Io)?;
        if !MAGIC.starts_with(&bytes[..bytes.len().min(MAGIC.len())]) {
            return Err(RecordingError::Foreign);
        }
        let format = bytes.get(MAGIC.len()..).and_then(|rest| rest.first_chunk::<4>());
        match format.map(|format| u32::from_le_bytes(*format)) {
            None => Err(RecordingError::Empty),
            Some(FORMAT) => Ok(Records::bare(input, head().len() as u64)),
            Some(other) => Err(RecordingError::Newer(other)),
        }
    }

    /// The place behind the record that was read last.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The next record of a kind that is known; `None` where no whole one follows.
    pub(crate) fn next(&mut self) -> Result<Option<Record<'_>>, RecordingError> {
        loop {
            let at = self.at;
            let Some((kind, length)) = self.take()? else { return Ok(None) };
            if let Some(kind) = Kind::of(kind) {
                return Ok(Some((kind, at, &self.buffer[FRONT..FRONT + length])));
            }
            if kind < OPTIONAL {
                return Err(RecordingError::Kind { kind, at });
            }
        }
    }

    /// Takes one whole record into the buffer, and checks it.
    fn take(&mut self) -> Result<Option<(u8, usize)>, RecordingError> {
        let at = self.at;
        self.buffer.clear();
        if !self.fill(FRONT)? {
            return Ok(None);
        }
        let length = self.buffer.first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes)) as usize;
        if length > limits::RECORD {
            return Err(RecordingError::Malformed {
                at,
                what: "it says that it is longer than any record may be",
            });
        }
        if !self.fill(length + 4)? {
            return Ok(None);
        }
        let (record, sum) = self.buffer.split_at(FRONT + length);
        if *sum != checksum(record).to_le_bytes() {
            return Err(RecordingError::Damaged { at });
        }
        self.at += self.buffer.len() as u64;
        Ok(Some((self.buffer[4], length)))
    }

    /// Appends so many bytes to the buffer; says whether there were as many.
    fn fill(&mut self, count: usize) -> Result<bool, RecordingError> {
        let got = (&mut self.input).take(count as u64).read_to_end(&mut self.buffer);
        got.map(|got| got == count).map_err(RecordingError::Io)
    }
}
