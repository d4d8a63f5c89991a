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

use crate::schema::{Descriptor, Kind, Label, Metric, SlotCounters};

/// `STORMGLS`.
pub(crate) const MAGIC: [u8; 8] = *b"STORMGLS";
/// Reads as another number on a machine of the other byte order.
pub(crate) const BYTE_ORDER: u32 = 0x0102_0304;
/// Raised when a reader of the old format would misread the new one. A new metric does not raise it.
pub(crate) const FORMAT: u32 = 1;

/// Slots of one chunk.
pub(crate) const SLOTS_PER_CHUNK: usize = 16;
/// Chunks of a segment at most: 4096 threads at one time.
pub(crate) const MAX_CHUNKS: usize = 256;
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
/// Size of a chunk.
pub(crate) const CHUNK_BYTES: usize =
    (SLOTS_OFFSET + SLOTS_PER_CHUNK * size_of::<SlotCounters>()).next_multiple_of(PAGE);
const LABELS_OFFSET: usize = size_of::<Header>().next_multiple_of(64);
const DESCRIPTORS_OFFSET: usize = LABELS_OFFSET + Label::ALL.len() * size_of::<LabelRecord>();

const _: () = assert!(size_of::<Header>() == 320, "the header's layout is part of the format");
const _: () = assert!(size_of::<LabelRecord>() == 2088, "part of the format");
const _: () = assert!(size_of::<DescriptorRecord>() == 464, "part of the format");
const _: () = assert!(SLOTS_PER_CHUNK * size_of::<AtomicU32>() <= SLOTS_OFFSET);

/// Metrics that lie in slots: all but those of the whole process.
pub(crate) fn slot_metrics() -> impl Iterator<Item = Descriptor> {
    Metric::ALL.iter().map(|metric| metric.descriptor()).filter(|d| !d.labels.is_empty())
}

/// Where chunk 0 starts: what must be there before a segment is ready.
pub(crate) fn chunks_offset() -> usize {
    (DESCRIPTORS_OFFSET + slot_metrics().count() * size_of::<DescriptorRecord>()).next_multiple_of(PAGE)
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
    /// The constants of this build; the caller adds who the segment belongs to.
    pub(crate) fn new() -> Header {
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
            descriptor_count: slot_metrics().count() as u32,
            descriptor_bytes: size_of::<DescriptorRecord>() as u32,
            labels_offset: LABELS_OFFSET as u64,
            descriptors_offset: DESCRIPTORS_OFFSET as u64,
            chunks_offset: chunks_offset() as u64,
            chunk_bytes: CHUNK_BYTES as u64,
            slots_per_chunk: SLOTS_PER_CHUNK as u32,
            slots_offset: SLOTS_OFFSET as u32,
            slot_bytes: size_of::<SlotCounters>() as u64,
            touched_offset: SlotCounters::TOUCHED_OFFSET as u64,
            heartbeat_offset: SlotCounters::HEARTBEAT_OFFSET as u64,
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

/// The record of a label of this build.
pub(crate) fn label_record(label: Label) -> LabelRecord {
    let mut values = [[0; 16]; MAX_LABEL_VALUES];
    for (i, value) in values.iter_mut().enumerate().take(label.cardinality()) {
        *value = field(&label.value(i));
    }
    LabelRecord { name: field(label.name()), count: label.cardinality() as u32, reserved: 0, values }
}

/// The record of a metric of this build.
pub(crate) fn descriptor_record(d: &Descriptor) -> DescriptorRecord {
    let mut labels = [[0; 2]; MAX_LABELS];
    for (record, (label, stride)) in labels.iter_mut().zip(d.labels) {
        *record = [*label as u32, *stride as u32];
    }
    let mut bounds = [0; crate::MAX_BOUNDS];
    bounds[..d.bounds.len()].copy_from_slice(d.bounds);
    DescriptorRecord {
        name: field(d.name),
        unit: field(d.unit.name()),
        divisor: d.unit.divisor().to_bits(),
        offset: d.offset as u64,
        kind: kind_number(d.kind),
        label_count: d.labels.len() as u32,
        labels,
        bound_count: d.bounds.len() as u32,
        reserved: 0,
        bounds,
        help: field(d.help),
    }
}
