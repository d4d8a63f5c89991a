//! The bytes of a segment, described for people in docs/FORMAT.md.
//!
//! ```text
//! | header | label records | descriptor records | padding | chunk 0 | chunk 1 | ...
//! chunk: | owner words, one a slot, padded to a page | slots |
//! ```
//!
//! Invariant: everything before chunk 0 is written before `ready` and never changes, but for the header's atomics; the magic
//! is written after the rest of the header, so that half a header is nobody's. The
//! file only ever grows, by whole chunks.

use core::mem::size_of;
use core::sync::atomic::{AtomicU32, AtomicU64};

use crate::schema::{Kind, Label, Metric, Scope, Shape};
use crate::slot::SlotCounters;

/// `STORMGLS`.
pub(crate) const MAGIC: [u8; 8] = *b"STORMGLS";
/// Reads as another number on a machine of the other byte order.
pub(crate) const BYTE_ORDER: u32 = 0x0102_0304;
/// Raised when a reader of the old format would misread the new one. A new metric does not raise it.
pub(crate) const FORMAT: u32 = 1;

/// Slots of one chunk, where they fit into [`MAX_CHUNK_BYTES`].
const SLOTS_PER_CHUNK: usize = 16;
/// Size of a chunk at most, unless a single slot is larger.
const MAX_CHUNK_BYTES: usize = 600 << 10;
/// Chunks of a segment at most: with 16 slots each, 4096 threads at one time.
pub(crate) const MAX_CHUNKS: usize = 256;
/// Slots of a segment that a reader takes at most: four times as many as this writer makes, because each costs it a read of the
/// file at every reading, and small ones without a count would let a small file cost a million.
pub(crate) const MAX_SLOTS: u64 = 1 << 14;
/// Granule of the mappings.
pub(crate) const PAGE: usize = 4096;
/// Values of a label at most.
pub(crate) const MAX_LABEL_VALUES: usize = 128;
/// Labels of a metric at most.
pub(crate) const MAX_LABELS: usize = 4;

/// Bytes of the text that tells of an injected delay.
pub const INJECTED_BYTES: usize = 64;

/// The start of a segment.
#[repr(C)]
pub(crate) struct Header {
    /// [`MAGIC`], once the rest of the header is written.
    pub(crate) magic: AtomicU64,
    pub(crate) byte_order: u32,
    pub(crate) format: u32,
    /// 0 until everything else is written.
    pub(crate) ready: AtomicU32,
    /// Chunks that may be read.
    pub(crate) chunks: AtomicU32,
    pub(crate) threads_started: AtomicU64,
    pub(crate) threads_dropped: AtomicU64,
    pub(crate) label_count: u32,
    pub(crate) label_bytes: u32,
    pub(crate) descriptor_count: u32,
    pub(crate) descriptor_bytes: u32,
    pub(crate) labels_offset: u64,
    pub(crate) descriptors_offset: u64,
    pub(crate) chunks_offset: u64,
    pub(crate) chunk_bytes: u64,
    pub(crate) slots_per_chunk: u32,
    pub(crate) slots_offset: u32,
    pub(crate) slot_bytes: u64,
    pub(crate) touched_offset: u64,
    pub(crate) heartbeat_offset: u64,
    pub(crate) pid: u32,
    pub(crate) sequence: u32,
    pub(crate) start_time: u64,
    pub(crate) pid_namespace: u64,
    pub(crate) created: u64,
    pub(crate) born: u64,
    pub(crate) command: [u8; 16],
    pub(crate) strategy: [u8; 32],
    pub(crate) workload: [u8; 32],
    pub(crate) version: [u8; 16],
    /// What delay is injected, as the writer puts it; empty for none.
    pub(crate) injected: [u8; INJECTED_BYTES],
}

/// A label and its values.
#[repr(C)]
pub(crate) struct LabelRecord {
    pub(crate) name: [u8; 32],
    pub(crate) count: u32,
    pub(crate) reserved: u32,
    pub(crate) values: [[u8; 16]; MAX_LABEL_VALUES],
}

/// A metric.
#[repr(C)]
pub(crate) struct DescriptorRecord {
    pub(crate) name: [u8; 64],
    pub(crate) unit: [u8; 16],
    /// Bits of an `f64`.
    pub(crate) divisor: u64,
    pub(crate) offset: u64,
    /// 0 counter, 1 gauge, 2 histogram.
    pub(crate) kind: u32,
    pub(crate) label_count: u32,
    /// Label number and distance in bytes between the cells of neighbouring values.
    pub(crate) labels: [[u32; 2]; MAX_LABELS],
    pub(crate) bound_count: u32,
    pub(crate) reserved: u32,
    pub(crate) bounds: [u64; crate::MAX_BOUNDS],
    pub(crate) help: [u8; 192],
}

/// Where the slots of a chunk start: after its owner words.
pub(crate) const SLOTS_OFFSET: usize = PAGE;
const LABELS_OFFSET: usize = size_of::<Header>().next_multiple_of(64);
const DESCRIPTORS_OFFSET: usize = LABELS_OFFSET + Label::ALL.len() * size_of::<LabelRecord>();

const _: () = assert!(size_of::<Header>() == 320, "the header's layout is part of the format");
const _: () = assert!(size_of::<LabelRecord>() == 2088, "part of the format");
const _: () = assert!(size_of::<DescriptorRecord>() == 464, "part of the format");
const _: () = assert!(SLOTS_PER_CHUNK * size_of::<AtomicU32>() <= SLOTS_OFFSET);
const _: () =
    assert!((SLOTS_PER_CHUNK * MAX_CHUNKS) as u64 <= MAX_SLOTS, "no writer makes what no reader takes");

/// How the slots of one segment lie in its chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Slots of one chunk.
    pub(crate) slots: usize,
    /// Size of a slot.
    pub(crate) slot_bytes: usize,
    /// Size of a chunk.
    pub(crate) bytes: usize,
}

impl Chunk {
    /// Chunks of slots with so many classes and shards.
    pub(crate) const fn of<const C: usize, const S: usize>() -> Chunk {
        let slot_bytes = size_of::<SlotCounters<C, S>>();
        let fit = (MAX_CHUNK_BYTES - SLOTS_OFFSET) / slot_bytes;
        let slots = match fit {
            0 => 1,
            fit if fit > SLOTS_PER_CHUNK => SLOTS_PER_CHUNK,
            fit => fit,
        };
        Chunk { slots, slot_bytes, bytes: (SLOTS_OFFSET + slots * slot_bytes).next_multiple_of(PAGE) }
    }
}

const _: () =
    assert!(Chunk::of::<{ crate::schema::CLASSES }, { crate::schema::SHARDS }>().slots == SLOTS_PER_CHUNK);

/// Where chunk 0 starts: what must be there before a segment is ready. There is room for every metric, also where a
/// writer leaves some out.
pub(crate) fn chunks_offset() -> usize {
    let in_slots = Metric::ALL.iter().filter(|metric| metric.descriptor().scope != Scope::Process);
    (DESCRIPTORS_OFFSET + in_slots.count() * size_of::<DescriptorRecord>()).next_multiple_of(PAGE)
}

/// `text` in a fixed field, cut at a character's boundary where it does not fit.
pub(crate) fn field<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let mut len = text.len().min(N);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
    bytes
}

pub(crate) fn kind_number(kind: Kind) -> u32 {
    match kind {
        Kind::Counter => 0,
        Kind::Gauge => 1,
        Kind::Histogram => 2,
    }
}

impl Header {
    /// What this build says of a segment of that shape; the caller adds who it belongs to.
    pub(crate) fn new<const C: usize, const S: usize>(shape: Shape<'_>) -> Header {
        let chunk = Chunk::of::<C, S>();
        Header {
            magic: AtomicU64::new(0),
            byte_order: BYTE_ORDER,
            format: FORMAT,
            ready: AtomicU32::new(0),
            chunks: AtomicU32::new(0),
            threads_started: AtomicU64::new(0),
            threads_dropped: AtomicU64::new(0),
            label_count: Label::ALL.len() as u32,
            label_bytes: size_of::<LabelRecord>() as u32,
            descriptor_count: shape.metrics().count() as u32,
            descriptor_bytes: size_of::<DescriptorRecord>() as u32,
            labels_offset: LABELS_OFFSET as u64,
            descriptors_offset: DESCRIPTORS_OFFSET as u64,
            chunks_offset: chunks_offset() as u64,
            chunk_bytes: chunk.bytes as u64,
            slots_per_chunk: chunk.slots as u32,
            slots_offset: SLOTS_OFFSET as u32,
            slot_bytes: chunk.slot_bytes as u64,
            touched_offset: SlotCounters::<C, S>::TOUCHED_OFFSET as u64,
            heartbeat_offset: SlotCounters::<C, S>::HEARTBEAT_OFFSET as u64,
            pid: 0,
            sequence: 0,
            start_time: 0,
            pid_namespace: 0,
            created: 0,
            born: 0,
            command: [0; 16],
            strategy: [0; 32],
            workload: [0; 32],
            version: field(env!("CARGO_PKG_VERSION")),
            injected: [0; INJECTED_BYTES],
        }
    }
}

/// The record of a label under a shape.
pub(crate) fn label_record(label: Label, shape: Shape<'_>) -> LabelRecord {
    let mut values = [[0; 16]; MAX_LABEL_VALUES];
    let said = label.values(shape);
    for (field, value) in values.iter_mut().zip(&said) {
        *field = self::field(value);
    }
    LabelRecord { name: field(label.name()), count: said.len() as u32, reserved: 0, values }
}

/// The record of a metric in slots with so many classes and shards; none if it is in no slot.
pub(crate) fn descriptor_record<const C: usize, const S: usize>(metric: Metric) -> Option<DescriptorRecord> {
    let d = metric.descriptor();
    let place = SlotCounters::<C, S>::place(metric)?;
    let mut labels = [[0; 2]; MAX_LABELS];
    for (record, (label, stride)) in labels.iter_mut().zip(d.labels.iter().zip(place.strides)) {
        *record = [*label as u32, stride as u32];
    }
    let mut bounds = [0; crate::MAX_BOUNDS];
    bounds[..d.bounds.len()].copy_from_slice(d.bounds);
    Some(DescriptorRecord {
        name: field(d.name),
        unit: field(d.unit.name()),
        divisor: d.unit.divisor().to_bits(),
        offset: place.offset as u64,
        kind: kind_number(d.kind),
        label_count: d.labels.len() as u32,
        labels,
        bound_count: d.bounds.len() as u32,
        reserved: 0,
        bounds,
        help: field(d.help),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_stay_small_whatever_the_slot() {
        for chunk in [
            Chunk::of::<7, 8>(),
            Chunk::of::<40, 1>(),
            Chunk::of::<64, 1>(),
            Chunk::of::<8, 8>(),
            Chunk::of::<1, 1>(),
        ] {
            assert!(chunk.bytes <= MAX_CHUNK_BYTES && chunk.slots >= 8, "{chunk:?}");
            assert!(SLOTS_OFFSET + chunk.slots * chunk.slot_bytes <= chunk.bytes, "{chunk:?}");
        }
    }
}
