//! From records back to moments.
//!
//! Invariant: a payload changes the state only by what it says within the [`limits`]; one that makes no sense ends the
//! reading, so nobody looks at half of a change.

use std::sync::Arc;

use flate2::{Decompress, FlushDecompress, Status};
use stormglass_telemetry::{Counts, Liveness, Schema, Snapshot};

use super::encode::{LIVE, RESIDENT, UNCHANGED};
use super::record::Kind;
use super::schema::{process, schema};
use super::wire::{Input, Malformed};
use super::{Moment, limits};
use crate::frame::Now;

/// The state that steps change.
pub(crate) struct Decoder {
    inflate: Decompress,
    begun: bool,
    now: Now,
    left_out: u64,
    schemas: Vec<Arc<Schema>>,
    processes: Vec<Snapshot>,
    cells: usize,
    /// Numbers of the processes in the last moment.
    present: Vec<usize>,
    body: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            inflate: Decompress::new(false),
            begun: false,
            now: Now { unix_ms: 0, monotonic: 0 },
            left_out: 0,
            schemas: Vec::new(),
            processes: Vec::new(),
            cells: 0,
            present: Vec::new(),
            body: Vec::new(),
        }
    }
}

impl Decoder {
    /// Takes in the payload of a key or a step.
    pub(crate) fn apply(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Malformed> {
        if kind == Kind::Key {
            *self = Decoder { body: std::mem::take(&mut self.body), begun: true, ..Decoder::default() };
        } else if !self.begun {
            return Err("it goes on from a moment that is not there");
        }
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        inflate(&mut self.inflate, payload, &mut body)?;
        let result = self.change(&mut Input::new(&body));
        self.body = body;
        result
    }

    /// When the last moment was.
    pub(crate) fn now(&self) -> Now {
        self.now
    }

    /// The processes of the last moment.
    pub(crate) fn snapshots(&self) -> impl Iterator<Item = &Snapshot> {
        self.present.iter().map(|&number| &self.processes[number])
    }

    /// The last moment, for itself.
    pub(crate) fn moment(&self) -> Moment {
        Moment {
            unix_ms: self.now.unix_ms,
            monotonic: self.now.monotonic,
            snapshots: self.snapshots().cloned().collect(),
            left_out: self.left_out,
        }
    }

    fn change(&mut self, input: &mut Input<'_>) -> Result<(), Malformed> {
        let later = |from: u64, by: u64| from.checked_add(by).ok_or("its time lies beyond all time");
        self.now.unix_ms = later(self.now.unix_ms, input.number()?)?;
        self.now.monotonic = later(self.now.monotonic, input.number()?)?;
        for _ in 0..input.below(limits::SCHEMAS + 1 - self.schemas.len(), "there are too many schemas")? {
            self.schemas.push(Arc::new(schema(input)?));
        }
        for _ in
            0..input.below(limits::PROCESSES + 1 - self.processes.len(), "there are too many processes")?
        {
            self.newcomer(input)?;
        }
        self.left_out = input.number()?;
        self.present.clear();
        for _ in 0..input.below(self.processes.len() + 1, "more processes are there than were named")? {
            let number = input.below(self.processes.len(), "a process has not been named")?;
            self.present.push(number);
            self.state(number, input)?;
        }
        if input.is_empty() { Ok(()) } else { Err("something follows that belongs to nothing") }
    }

    fn newcomer(&mut self, input: &mut Input<'_>) -> Result<(), Malformed> {
        let schema = input.below(self.schemas.len(), "a schema is not described")?;
        let schema = Arc::clone(&self.schemas[schema]);
        self.cells += schema.len;
        if self.cells > limits::CELLS {
            return Err("there are too many values");
        }
        self.processes.push(Snapshot {
            process: Arc::new(process(input)?),
            liveness: Liveness::Dead,
            taken: 0,
            born: input.number()?,
            heartbeat: 0,
            threads: 0,
            threads_started: 0,
            threads_dropped: 0,
            segment_bytes: 0,
            resident_bytes: None,
            counts: Counts::zero(schema),
        });
        Ok(())
    }

    fn state(&mut self, number: usize, input: &mut Input<'_>) -> Result<(), Malformed> {
        let now = self.now.monotonic;
        let snapshot = &mut self.processes[number];
        let flags = input.number()?;
        if flags == UNCHANGED {
            return Ok(());
        }
        if flags & !(LIVE | RESIDENT) != 0 {
            return Err("a process is in a state that nobody knows");
        }
        snapshot.liveness = if flags & LIVE != 0 { Liveness::Live } else { Liveness::Dead };
        snapshot.taken = now.wrapping_sub(input.signed()?.cast_unsigned());
        snapshot.heartbeat = snapshot.heartbeat.wrapping_add(input.signed()?.cast_unsigned());
        snapshot.threads = input.small("a number of threads")?;
        snapshot.threads_started = input.number()?;
        snapshot.threads_dropped = input.number()?;
        snapshot.segment_bytes = input.number()?;
        snapshot.resident_bytes = if flags & RESIDENT != 0 { Some(input.number()?) } else { None };
        let values = &mut snapshot.counts.values;
        let mut at = 0;
        for _ in 0..input.below(values.len() + 1, "more values have changed than there are")? {
            at += input.below(values.len() - at, "a value lies beyond the last")?;
            values[at] = values[at].wrapping_add(input.number()?);
            at += 1;
        }
        Ok(())
    }
}

/// Appends what the bytes inflate to, as far as a reader goes.
fn inflate(inflate: &mut Decompress, input: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    const BROKEN: Malformed = "it does not inflate";
    let before = inflate.total_in();
    loop {
        let done = (inflate.total_in() - before) as usize;
        out.reserve((4 * (input.len() - done)).clamp(256, 64 << 10));
        let (had, length) = (done, out.len());
        let status =
            inflate.decompress_vec(&input[done..], out, FlushDecompress::Sync).map_err(|_| BROKEN)?;
        let done = (inflate.total_in() - before) as usize;
        if out.len() > limits::INFLATED {
            return Err("it inflates to more than any record may be");
        }
        if status == Status::StreamEnd {
            return Err("its stream ends within its segment");
        }
        if done == input.len() && out.len() < out.capacity() {
            return Ok(());
        }
        if done == had && out.len() == length {
            return Err(BROKEN);
        }
    }
}
