//! How much a recording may ask of its reader. The writer keeps to the same numbers: [`CELLS`] values of ten bytes, their
//! places, and the names that a quarter of [`INFLATED`] has room for stay below the whole of it.

/// A payload after it was inflated, in bytes.
pub(crate) const INFLATED: usize = 32 << 20;
/// Payload of one record. What cannot be compressed grows a little.
pub(crate) const RECORD: usize = INFLATED + (1 << 20);
/// Schemas of one segment.
pub(crate) const SCHEMAS: usize = 256;
/// Metrics of a schema.
pub(crate) const FAMILIES: usize = 1024;
/// Labels of a schema, and of a metric.
pub(crate) const LABELS: usize = 64;
/// Values of a label.
pub(crate) const LABEL_VALUES: usize = 4096;
/// Processes of one segment.
pub(crate) const PROCESSES: usize = 1024;
/// Values of all processes of one segment, and of each schema: 8 MiB of them, some 250 processes.
pub(crate) const CELLS: usize = 1 << 20;
/// Bytes of a text.
pub(crate) const TEXT: usize = 512;
