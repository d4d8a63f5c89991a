//! One row of the past: a queue of segments with a bound on its bytes.
//!
//! Invariants: a segment is read without the others; when one too many bytes is there, the oldest segment goes; the newest is the
//! one that grows. Time never runs back in it.

use std::collections::VecDeque;

use super::REACH;
use crate::frame::{Now, ProcessId};
use crate::packed::Packed;
use crate::recording::{About, Decoder, Encoder, Kind, Moment, Records, beginning, put_record};

/// A moment: when it was, and its record.
#[derive(Debug)]
struct Entry {
    time: u64,
    record: Box<[u8]>,
}

/// The moments of a segment. Each record is as long as it is, so that nothing is allocated ahead and what one leaves, a later one can take.
#[derive(Debug, Default)]
struct Segment {
    entries: Vec<Entry>,
    /// Of all records.
    bytes: usize,
}

impl Segment {
    fn push(&mut self, time: u64, record: Box<[u8]>) {
        self.bytes += record.len();
        self.entries.push(Entry { time, record });
    }

    fn from(&self) -> Option<u64> {
        Some(self.entries.first()?.time)
    }

    fn to(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.time)
    }

    fn footprint(&self) -> usize {
        self.bytes + self.entries.capacity() * size_of::<Entry>()
    }

    fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().map(|entry| &*entry.record)
    }
}

/// A row.
pub(super) struct Ring {
    spacing: u64,
    budget: usize,
    encoder: Encoder,
    segments: VecDeque<Segment>,
}

/// A copy of a segment, up to one of its moments. What it takes to read it is done by who asked, not by who holds the ring.
pub(crate) struct Clip {
    bytes: Vec<u8>,
    moments: usize,
}

impl Ring {
    pub(super) fn new(spacing: u64, budget: usize) -> Ring {
        Ring { spacing, budget, encoder: Encoder::default(), segments: VecDeque::new() }
    }

    pub(super) fn spacing(&self) -> u64 {
        self.spacing
    }

    /// Time of the first moment.
    pub(super) fn from(&self) -> Option<u64> {
        self.segments.front()?.from()
    }

    /// Time of the last moment.
    pub(super) fn to(&self) -> Option<u64> {
        self.segments.back().map(Segment::to)
    }

    /// Whether it is time for the next moment; a timer that fires a little early must not lose every other one.
    pub(super) fn is_due(&self, now: Now) -> bool {
        self.to().is_none_or(|last| now.unix_ms >= last + self.spacing * 9 / 10)
    }

    pub(super) fn push(&mut self, now: Now, left_out: u64, snapshots: &[Packed]) {
        // A quarter of the bytes, so that what goes at a time is no more.
        if self.segments.back().is_none_or(|last| last.footprint() > self.budget / 4) {
            self.encoder.restart();
        }
        if self.encoder.is_fresh() {
            self.segments.push_back(Segment::default());
        }
        if let Some(segment) = self.segments.back_mut() {
            let mut record = Vec::new();
            self.encoder.moment(now, left_out, snapshots, &mut record);
            segment.push(now.unix_ms, record.into_boxed_slice());
        }
        let before = now.unix_ms.saturating_sub(REACH);
        while self.segments.front().is_some_and(|first| first.to() < before) || self.bytes() > self.budget {
            self.segments.pop_front();
        }
        if self.segments.is_empty() {
            self.encoder.restart();
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.segments.iter().map(Segment::footprint).sum()
    }

    /// The segment that leads to the last moment no later than this, or to the first.
    pub(super) fn clip(&self, unix_ms: u64) -> Option<Clip> {
        let after = self.segments.partition_point(|s| s.from().is_some_and(|from| from <= unix_ms));
        let segment = self.segments.get(after.saturating_sub(1))?;
        let moments = segment.entries.partition_point(|entry| entry.time <= unix_ms).max(1);
        Some(Clip::of(segment.records().take(moments).collect::<Vec<_>>().concat(), moments))
    }

    /// Appends the records of the segments that have something of this span.
    pub(super) fn copy(&self, from: u64, to: u64, out: &mut Vec<u8>) {
        let has = |s: &&Segment| s.to() >= from && s.from().is_some_and(|first| first <= to);
        for segment in self.segments.iter().filter(has) {
            segment.records().for_each(|record| out.extend_from_slice(record));
        }
    }

    /// One process over a span, as a file.
    pub(super) fn excerpt(&self, about: &About, id: ProcessId, from: u64, to: u64) -> Vec<u8> {
        let mut out = beginning(about);
        let mut encoder = Encoder::default();
        for segment in self.segments.iter().filter(|s| s.to() >= from) {
            let mut decoder = Decoder::default();
            for record in segment.records() {
                // What the ring holds it has written itself; if it could not be read, the excerpt would be shorter.
                let mut record = Records::bare(record, 0);
                let Ok(Some((kind, _, payload))) = record.next() else { break };
                if decoder.apply(kind, payload).is_err() {
                    break;
                }
                let now = decoder.now();
                let one = decoder.snapshots().filter(|s| ProcessId::of(&s.process) == id);
                let one: Vec<Packed> = one.cloned().map(Packed::of).collect();
                if now.unix_ms >= from && now.unix_ms <= to && !one.is_empty() {
                    encoder.moment(now, 0, &one, &mut out);
                }
            }
        }
        put_record(&mut out, Kind::End, &[]);
        out
    }
}

impl Clip {
    /// The first so many moments of a segment.
    pub(crate) fn of(bytes: Vec<u8>, moments: usize) -> Clip {
        Clip { bytes, moments }
    }

    /// The last of its moments.
    pub(crate) fn moment(&self) -> Option<Moment> {
        let mut decoder = Decoder::default();
        let mut records = Records::bare(&self.bytes[..], 0);
        for _ in 0..self.moments {
            let (kind, _, payload) = records.next().ok()??;
            decoder.apply(kind, payload).ok()?;
        }
        Some(decoder.moment())
    }
}
