//! A recording that one can move about in: an index of its segments, the time lines of all its processes, and the
//! verdicts on them, which are worked out again.
//!
//! Invariants: what is kept of a file is eight bytes a moment and its lines, which are bounded; the counts stay in the file until
//! somebody asks for a moment. A file that is damaged, or was cut, goes as far as it can be read, and says so.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use stormglass_telemetry::diagnosis::{Around, Diagnostician};
use stormglass_telemetry::{Liveness, Select, Snapshot};

use crate::frame::{Epoch, Frame, ProcessId, YOUTH};
use crate::history::{History, Memory};
use crate::past::{Clip, Marks, span_frame, spans};
use crate::recording::{About, End, Kind, Moment, Reader, RecordingError};

/// Where the bytes are.
enum Bytes {
    Here(Vec<u8>),
    There(File),
}

/// A segment's place, and when its moments were.
struct Place {
    at: u64,
    length: usize,
    times: Vec<u64>,
}

/// What is remembered of the processes while a recording is read for the first time.
#[derive(Default)]
struct Seen {
    epoch: Option<Epoch>,
    before: BTreeMap<ProcessId, Snapshot>,
    diagnosticians: BTreeMap<ProcessId, Diagnostician>,
}

/// An open recording.
pub struct Tape {
    bytes: Bytes,
    about: About,
    segments: Vec<Place>,
    pub(crate) history: History,
    marks: Marks,
    whole: bool,
    damage: Option<String>,
}

impl Tape {
    /// Opens a file, and reads it once from its beginning to its end.
    ///
    /// # Errors
    /// If it cannot be read, is no recording, or holds no moment.
    pub fn open(path: &Path) -> Result<Tape, RecordingError> {
        let file = File::open(path).map_err(RecordingError::Io)?;
        let reader = Reader::new(BufReader::new(&file))?;
        let tape = Tape::index(reader, Bytes::Here(Vec::new()))?;
        Ok(Tape { bytes: Bytes::There(file), ..tape })
    }

    /// A recording that is in memory.
    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Result<Tape, RecordingError> {
        let tape = Tape::index(Reader::new(&bytes[..])?, Bytes::Here(Vec::new()))?;
        Ok(Tape { bytes: Bytes::Here(bytes), ..tape })
    }

    fn index<R: io::Read>(mut reader: Reader<R>, bytes: Bytes) -> Result<Tape, RecordingError> {
        let about = reader.about().clone();
        let mut tape = Tape {
            bytes,
            about,
            segments: Vec::new(),
            history: History::of_all_time(),
            marks: Marks::default(),
            whole: false,
            damage: None,
        };
        let mut seen = Seen::default();
        loop {
            match reader.advance() {
                Ok(Some((kind, at))) => tape.enter(kind, at, &reader, &mut seen),
                Ok(None) => break,
                Err(error) if tape.segments.is_empty() => return Err(error),
                Err(error) => {
                    tape.damage = Some(error.to_string());
                    break;
                }
            }
        }
        if tape.segments.is_empty() {
            return Err(RecordingError::Empty);
        }
        tape.whole = tape.damage.is_none() && reader.end() == Some(End::Whole);
        Ok(tape)
    }

    /// Takes the reader's moment into the index and the lines.
    fn enter<R: io::Read>(&mut self, kind: Kind, at: u64, reader: &Reader<R>, seen: &mut Seen) {
        let decoder = reader.decoder();
        let now = decoder.now().unix_ms;
        if kind == Kind::Key {
            self.segments.push(Place { at, length: 0, times: Vec::new() });
        }
        // The decoder takes no step before the first key.
        let Some(segment) = self.segments.last_mut() else { return };
        segment.length = (reader.at() - segment.at) as usize;
        segment.times.push(now);
        let epoch = *seen.epoch.get_or_insert(Epoch::of(now, decoder.now().monotonic));
        for snapshot in decoder.snapshots() {
            let id = ProcessId::of(&snapshot.process);
            let earlier = seen.before.get(&id);
            if earlier.is_some_and(|earlier| earlier.taken >= snapshot.taken) {
                continue;
            }
            // A life is no point on a line, but of one that was met when all was over it is all there is.
            let lived = Duration::from_nanos(snapshot.taken.saturating_sub(snapshot.born));
            let dead = snapshot.liveness == Liveness::Dead;
            if if earlier.is_some() { !dead } else { dead || lived <= YOUTH } {
                let spans = spans(earlier, snapshot);
                let span = spans.recent.as_ref().unwrap_or(&spans.lifetime);
                self.history.record(
                    &snapshot.process,
                    now,
                    &span.measures(Select::ALL),
                    &Memory::of(snapshot),
                );
            }
            for change in seen.diagnosticians.entry(id).or_default().see(snapshot, &Around::default()) {
                self.marks.enter(id, Some(&snapshot.process), &change, epoch);
            }
            seen.before.insert(id, snapshot.clone());
        }
    }

    /// What the recording says of itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The verdicts, worked out again from the counts.
    pub(crate) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Milliseconds since 1970 of its first and of its last moment.
    pub fn reach(&self) -> (u64, u64) {
        let first = self.segments.first().and_then(|s| s.times.first());
        let last = self.segments.last().and_then(|s| s.times.last());
        (first.copied().unwrap_or(0), last.copied().unwrap_or(0))
    }

    /// Whether it ends as its recorder wished.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// What is wrong with it from where it ends.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// When its moments were, in order.
    pub fn times(&self) -> impl Iterator<Item = u64> + '_ {
        self.segments.iter().flat_map(|segment| segment.times.iter().copied())
    }

    /// The last moment that is no later than this, or the first.
    ///
    /// # Errors
    /// If the file cannot be read any more.
    pub fn moment(&self, unix_ms: u64) -> Result<Moment, RecordingError> {
        let after = self.segments.partition_point(|s| s.times.first().is_some_and(|&from| from <= unix_ms));
        let place = self.segments.get(after.saturating_sub(1)).ok_or(RecordingError::Empty)?;
        let moments = place.times.partition_point(|&time| time <= unix_ms).max(1);
        let clip = Clip::of(self.read(place).map_err(RecordingError::Io)?, moments);
        clip.moment().ok_or(RecordingError::Damaged { at: place.at })
    }

    /// What happened from one moment to another, as the page shows it.
    pub(crate) fn frame(&self, from: u64, to: u64) -> Result<Frame, RecordingError> {
        let last = self.moment(to)?;
        let first = self.moment(from.min(to))?;
        let first = (first.unix_ms < last.unix_ms).then_some(&first);
        Ok(span_frame(first, &last, &self.marks))
    }

    /// The whole of it, where it is small enough to be in memory.
    pub(crate) fn file(&self) -> Option<&[u8]> {
        match &self.bytes {
            Bytes::Here(bytes) => Some(bytes),
            Bytes::There(_) => None,
        }
    }

    /// What it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let times: usize = self.segments.iter().map(|s| s.times.capacity() * size_of::<u64>()).sum();
        self.file().map_or(0, <[u8]>::len) + times
    }

    fn read(&self, place: &Place) -> io::Result<Vec<u8>> {
        match &self.bytes {
            Bytes::Here(bytes) => Ok(bytes[place.at as usize..place.at as usize + place.length].to_vec()),
            Bytes::There(file) => {
                let mut bytes = vec![0; place.length];
                file.read_exact_at(&mut bytes, place.at)?;
                Ok(bytes)
            }
        }
    }
}
