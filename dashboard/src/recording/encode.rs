//! From moments to records.
//!
//! Invariant: what is written keeps to the [`limits`] of the reader; a process that finds no room is counted, not written.

use std::collections::BTreeMap;
use std::sync::Arc;

use flate2::{Compress, Compression, FlushCompress};
use stormglass_telemetry::{Liveness, Schema, Snapshot, Sparse};

use super::limits;
use super::record::{self, Kind};
use super::schema::{fits, put_process, put_schema};
use super::wire::{put, put_signed};
use crate::frame::{Now, ProcessId};
use crate::packed::Packed;

/// Moments of a segment: a key is some tens of times as long as a step, and whoever looks for a moment reads half a segment.
const SEGMENT: u32 = 60;

pub(crate) const LIVE: u64 = 1;
pub(crate) const RESIDENT: u64 = 2;
/// Nothing but its presence is said: it is as it was in the moment before.
pub(crate) const UNCHANGED: u64 = 4;

/// What is remembered of a process since the last record that it was in.
struct Known {
    number: usize,
    taken: u64,
    live: bool,
    heartbeat: u64,
    /// How many values it has, and those.
    cells: usize,
    values: Arc<Sparse>,
}

/// Writes moments, each as the change since the one before.
pub(crate) struct Encoder {
    deflate: Compress,
    moments: u32,
    fresh: bool,
    last: Now,
    schemas: Vec<Arc<Schema>>,
    known: BTreeMap<ProcessId, Known>,
    cells: usize,
    body: Vec<u8>,
    packed: Vec<u8>,
    /// Values of one process, while they are compared with those of now.
    then: Vec<u64>,
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder {
            deflate: Compress::new(Compression::default(), false),
            moments: 0,
            fresh: true,
            last: Now { unix_ms: 0, monotonic: 0 },
            schemas: Vec::new(),
            known: BTreeMap::new(),
            cells: 0,
            body: Vec::new(),
            packed: Vec::new(),
            then: Vec::new(),
        }
    }
}

impl Encoder {
    /// Has the next moment begin a segment.
    pub(crate) fn restart(&mut self) {
        self.fresh = true;
    }

    /// Whether the next moment begins a segment.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh || self.moments >= SEGMENT
    }

    /// Appends the record of a moment. Time must not run back.
    pub(crate) fn moment(&mut self, now: Now, left_out: u64, snapshots: &[Packed], out: &mut Vec<u8>) {
        let kind = if self.is_fresh() { Kind::Key } else { Kind::Step };
        if kind == Kind::Key {
            self.deflate.reset();
            self.moments = 0;
            self.fresh = false;
            self.last = Now { unix_ms: 0, monotonic: 0 };
            self.schemas.clear();
            self.known.clear();
            self.cells = 0;
        }
        self.moments += 1;
        self.body.clear();
        put(&mut self.body, now.unix_ms.wrapping_sub(self.last.unix_ms));
        put(&mut self.body, now.monotonic.wrapping_sub(self.last.monotonic));
        self.last = now;
        let unplaced = self.define(snapshots);
        put(&mut self.body, left_out + unplaced);
        let present: Vec<&Packed> =
            snapshots.iter().filter(|s| self.known.contains_key(&ProcessId::of(s.process()))).collect();
        put(&mut self.body, present.len() as u64);
        for snapshot in present {
            self.state(&snapshot.whole(), snapshot.values(), now);
        }
        self.packed.clear();
        deflate(&mut self.deflate, &self.body, &mut self.packed);
        record::put(out, kind, &self.packed);
        // A key is long; what it took is not kept for the steps.
        if kind == Kind::Key {
            self.body = Vec::new();
            self.packed = Vec::new();
        }
    }

    /// Says who is new, and returns how many found no room.
    fn define(&mut self, snapshots: &[Packed]) -> u64 {
        let (mut schemas, mut processes) = (Vec::new(), Vec::new());
        let (mut new_schemas, mut new_processes, mut left_out) = (0, 0, 0);
        for snapshot in snapshots {
            let id = ProcessId::of(snapshot.process());
            let schema = snapshot.schema();
            if self.known.contains_key(&id) {
                continue;
            }
            let known_schema =
                self.schemas.iter().position(|known| Arc::ptr_eq(known, schema) || known == schema);
            let room = self.known.len() < limits::PROCESSES
                && self.cells + schema.len <= limits::CELLS
                && (known_schema.is_some() || self.schemas.len() < limits::SCHEMAS)
                && schemas.len() + processes.len() <= limits::INFLATED / 4
                && fits(schema);
            if !room {
                left_out += 1;
                continue;
            }
            let at = known_schema.unwrap_or_else(|| {
                put_schema(&mut schemas, schema);
                new_schemas += 1;
                self.schemas.push(Arc::clone(schema));
                self.schemas.len() - 1
            });
            put(&mut processes, at as u64);
            put_process(&mut processes, snapshot.process());
            put(&mut processes, snapshot.born());
            new_processes += 1;
            self.cells += schema.len;
            let number = self.known.len();
            let values = Arc::default();
            // No moment is taken at the end of time, so the first state is never taken for an unchanged one.
            self.known.insert(
                id,
                Known { number, taken: u64::MAX, live: false, heartbeat: 0, cells: schema.len, values },
            );
        }
        put(&mut self.body, new_schemas);
        self.body.append(&mut schemas);
        put(&mut self.body, new_processes);
        self.body.append(&mut processes);
        left_out
    }

    /// Says how a process is now; `packed` are its values.
    fn state(&mut self, snapshot: &Snapshot, packed: &Arc<Sparse>, now: Now) {
        let Some(known) = self.known.get_mut(&ProcessId::of(&snapshot.process)) else { return };
        let out = &mut self.body;
        put(out, known.number as u64);
        let live = snapshot.liveness == Liveness::Live;
        if known.taken == snapshot.taken && known.live == live {
            put(out, UNCHANGED);
            return;
        }
        let resident = snapshot.resident_bytes;
        put(out, if live { LIVE } else { 0 } | if resident.is_some() { RESIDENT } else { 0 });
        put_signed(out, now.monotonic.wrapping_sub(snapshot.taken).cast_signed());
        put_signed(out, snapshot.heartbeat.wrapping_sub(known.heartbeat).cast_signed());
        put(out, u64::from(snapshot.threads));
        put(out, snapshot.threads_started);
        put(out, snapshot.threads_dropped);
        put(out, snapshot.segment_bytes);
        if let Some(bytes) = resident {
            put(out, bytes);
        }
        known.taken = snapshot.taken;
        known.live = live;
        known.heartbeat = snapshot.heartbeat;
        // A segment's schema does not change, but nobody is to panic if one should.
        let Some(values) = snapshot.counts.values.get(..known.cells) else { return put(out, 0) };
        self.then.clear();
        self.then.resize(known.cells, 0);
        known.values.add_to(&mut self.then);
        let changed = || self.then.iter().zip(values).enumerate().filter(|(_, (then, value))| then != value);
        put(out, changed().count() as u64);
        let mut next = 0;
        for (at, (then, value)) in changed() {
            put(out, (at - next) as u64);
            put(out, value.wrapping_sub(*then));
            next = at + 1;
        }
        if next > 0 {
            known.values = Arc::clone(packed);
        }
    }
}

/// Appends the compressed bytes, so that all of `input` can be read from them.
fn deflate(compress: &mut Compress, input: &[u8], out: &mut Vec<u8>) {
    let before = compress.total_in();
    loop {
        let done = (compress.total_in() - before) as usize;
        out.reserve((input.len() - done) / 2 + 64);
        if compress.compress_vec(&input[done..], out, FlushCompress::Sync).is_err() {
            // A stream that was reset cannot be in a state that refuses input; a record of nothing is refused by its reader.
            return;
        }
        let done = (compress.total_in() - before) as usize;
        if done == input.len() && out.len() < out.capacity() {
            return;
        }
    }
}
