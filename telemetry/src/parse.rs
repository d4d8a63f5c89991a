//! From the bytes of a segment's head to a checked description of the rest. Pure: nothing here can fault, whatever
//! the bytes say.
//!
//! Invariants: every cell offset of a [`Head`] lies inside a slot and is aligned, and every slot inside its chunk; a slot has
//! no more cells than it has room for, so that reading a file takes time in proportion to its length; no name is said
//! twice.

use core::mem::{offset_of, size_of};
use core::ops::Range;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::counts::{Family, LabelValues, MAX_FAMILIES, MAX_VALUES, Schema};
use crate::error::Problem;
use crate::layout::{
    BYTE_ORDER, DescriptorRecord, FORMAT, Header, INJECTED_BYTES, LabelRecord, MAGIC, MAX_CHUNKS,
    MAX_LABEL_VALUES, MAX_LABELS, MAX_SLOTS,
};
use crate::layouts;
use crate::schema::Kind;
use crate::snapshot::Process;

/// Bytes before chunk 0 that a reader takes at most.
pub(crate) const MAX_HEAD: u64 = 4 << 20;

/// Where the parts of a segment lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) chunks_offset: u64,
    pub(crate) chunk_bytes: u64,
    pub(crate) slots_per_chunk: u64,
    pub(crate) slots_offset: u64,
    pub(crate) slot_bytes: u64,
    pub(crate) touched_offset: u64,
    pub(crate) heartbeat_offset: u64,
}

/// Cells of a slot that follow each other, and the first of the values, which do too, that they add to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) offset: u32,
    pub(crate) value: u32,
    pub(crate) cells: u32,
}

/// What the head of a segment says.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) process: Process,
    pub(crate) pid_namespace: u64,
    pub(crate) born: u64,
    pub(crate) layout: Arc<Layout>,
}

/// Where everything lies and what it means: the same for all segments of one version and shape.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) geometry: Geometry,
    pub(crate) schema: Arc<Schema>,
    /// Bytes of a slot that say whether its thread has counted: its own words and the cells of no shard.
    pub(crate) own: Range<usize>,
    /// Cells of no shard.
    pub(crate) always: Vec<Run>,
    /// Cells by bit of the touched word: read where the bit is set.
    pub(crate) by_bit: Vec<Vec<Run>>,
}

/// Plain bytes with checked access.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn at<const N: usize>(&self, offset: usize) -> Result<[u8; N], Problem> {
        let end = offset.checked_add(N).ok_or(Problem::Malformed("an offset overflows"))?;
        let bytes = self.0.get(offset..end).ok_or(Problem::Malformed("a record lies outside the head"))?;
        Ok(bytes.try_into().unwrap_or([0; N]))
    }

    fn u32(&self, offset: usize) -> Result<u32, Problem> {
        self.at(offset).map(u32::from_ne_bytes)
    }

    fn u64(&self, offset: usize) -> Result<u64, Problem> {
        self.at(offset).map(u64::from_ne_bytes)
    }

    /// A NUL-padded text without control characters.
    fn text<const N: usize>(&self, offset: usize) -> Result<String, Problem> {
        let bytes: [u8; N] = self.at(offset)?;
        let len = bytes.iter().position(|&byte| byte == 0).unwrap_or(N);
        let text =
            core::str::from_utf8(&bytes[..len]).map_err(|_| Problem::Malformed("a text is not UTF-8"))?;
        if text.chars().any(char::is_control) {
            return Err(Problem::Malformed("a text has control characters"));
        }
        Ok(text.to_owned())
    }

    /// A text that Prometheus takes for a name.
    fn name<const N: usize>(&self, offset: usize) -> Result<String, Problem> {
        let text = self.text::<N>(offset)?;
        let mut chars = text.chars();
        let good = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
        if good { Ok(text) } else { Err(Problem::Malformed("a name is not one")) }
    }
}

/// Whether the bytes start a segment of a format that this reader knows. Needs the first 16 bytes.
pub(crate) fn check_magic(bytes: &[u8]) -> Result<(), Problem> {
    let bytes = Bytes(bytes);
    if bytes.at::<8>(0).is_ok_and(|magic| magic == MAGIC) {
        match bytes.u32(offset_of!(Header, byte_order))? {
            BYTE_ORDER => {}
            order if order == BYTE_ORDER.swap_bytes() => return Err(Problem::ByteOrder),
            _ => return Err(Problem::NotASegment),
        }
        match bytes.u32(offset_of!(Header, format))? {
            FORMAT => Ok(()),
            other => Err(Problem::Format(other)),
        }
    } else {
        Err(Problem::NotASegment)
    }
}

fn geometry(bytes: &Bytes<'_>) -> Result<Geometry, Problem> {
    let g = Geometry {
        chunks_offset: bytes.u64(offset_of!(Header, chunks_offset))?,
        chunk_bytes: bytes.u64(offset_of!(Header, chunk_bytes))?,
        slots_per_chunk: u64::from(bytes.u32(offset_of!(Header, slots_per_chunk))?),
        slots_offset: u64::from(bytes.u32(offset_of!(Header, slots_offset))?),
        slot_bytes: bytes.u64(offset_of!(Header, slot_bytes))?,
        touched_offset: bytes.u64(offset_of!(Header, touched_offset))?,
        heartbeat_offset: bytes.u64(offset_of!(Header, heartbeat_offset))?,
    };
    let check = |good: bool, what| if good { Ok(()) } else { Err(Problem::Malformed(what)) };
    check(g.chunks_offset <= MAX_HEAD && g.chunks_offset.is_multiple_of(8), "the first chunk's place")?;
    check(
        g.chunk_bytes <= 1 << 30 && g.chunk_bytes.is_multiple_of(8) && g.chunk_bytes > 0,
        "the size of a chunk",
    )?;
    check((1..=4096).contains(&g.slots_per_chunk), "the number of slots")?;
    check(
        g.slot_bytes <= 1 << 24 && g.slot_bytes.is_multiple_of(8) && g.slot_bytes >= 16,
        "the size of a slot",
    )?;
    check(
        g.slots_offset.is_multiple_of(8) && g.slots_offset >= g.slots_per_chunk * 4,
        "the first slot's place",
    )?;
    check(
        g.slots_offset + g.slots_per_chunk * g.slot_bytes <= g.chunk_bytes,
        "slots reach beyond their chunk",
    )?;
    for offset in [g.touched_offset, g.heartbeat_offset] {
        check(offset.is_multiple_of(8) && offset <= g.slot_bytes - 8, "a slot's own words")?;
    }
    Ok(g)
}

/// Refuses what is said twice: it would be two series of one name, and Prometheus would refuse them all.
fn unique<'a>(what: &'static str, words: impl IntoIterator<Item = &'a String>) -> Result<(), Problem> {
    let mut seen = BTreeSet::new();
    if words.into_iter().all(|word| seen.insert(word)) { Ok(()) } else { Err(Problem::Malformed(what)) }
}

fn label(bytes: &Bytes<'_>, at: usize) -> Result<LabelValues, Problem> {
    let count = bytes.u32(at + offset_of!(LabelRecord, count))? as usize;
    if count == 0 || count > MAX_LABEL_VALUES {
        return Err(Problem::Malformed("a label's number of values"));
    }
    let values = (0..count)
        .map(|i| bytes.text::<16>(at + offset_of!(LabelRecord, values) + i * 16))
        .collect::<Result<Vec<_>, _>>()?;
    unique("two values of a label are the same", &values)?;
    Ok(LabelValues { name: bytes.name::<32>(at + offset_of!(LabelRecord, name))?, values })
}

/// A family, and the place and strides of its cells.
fn family(bytes: &Bytes<'_>, at: usize, labels: &[LabelValues]) -> Result<(Family, u64, Vec<u64>), Problem> {
    let label_count = bytes.u32(at + offset_of!(DescriptorRecord, label_count))? as usize;
    let bound_count = bytes.u32(at + offset_of!(DescriptorRecord, bound_count))? as usize;
    if label_count > MAX_LABELS || bound_count > crate::MAX_BOUNDS {
        return Err(Problem::Malformed("a metric's number of labels or bounds"));
    }
    let kind = match bytes.u32(at + offset_of!(DescriptorRecord, kind))? {
        0 => Kind::Counter,
        2 => Kind::Histogram,
        _ => return Err(Problem::Malformed("a metric's kind")),
    };
    let mut used = Vec::new();
    let mut strides = Vec::new();
    for i in 0..label_count {
        let place = at + offset_of!(DescriptorRecord, labels) + i * 8;
        let number = bytes.u32(place)? as usize;
        if number >= labels.len() || used.contains(&number) {
            return Err(Problem::Malformed("a metric's labels"));
        }
        used.push(number);
        strides.push(u64::from(bytes.u32(place + 4)?));
    }
    let bounds: Vec<u64> = (0..bound_count)
        .map(|i| bytes.u64(at + offset_of!(DescriptorRecord, bounds) + i * 8))
        .collect::<Result<_, _>>()?;
    let divisor = f64::from_bits(bytes.u64(at + offset_of!(DescriptorRecord, divisor))?);
    if !(divisor.is_normal() && divisor > 0.0) {
        return Err(Problem::Malformed("a metric's divisor"));
    }
    // As they are shown: what differs by one in the file may be one number there, or none.
    let shown: Vec<f64> = bounds.iter().map(|&bound| bound as f64 / divisor).collect();
    let rise = shown.is_sorted_by(|a, b| a < b) && shown.iter().all(|bound| bound.is_finite());
    if !rise || (kind == Kind::Counter) != bounds.is_empty() {
        return Err(Problem::Malformed("a metric's bounds"));
    }
    let width = if kind == Kind::Histogram { bound_count + 2 } else { 1 };
    let family = Family {
        name: bytes.name::<64>(at + offset_of!(DescriptorRecord, name))?,
        kind,
        unit: bytes.text::<16>(at + offset_of!(DescriptorRecord, unit))?,
        divisor,
        help: bytes.text::<192>(at + offset_of!(DescriptorRecord, help))?,
        labels: used,
        bounds,
        start: 0,
        width,
    };
    Ok((family, bytes.u64(at + offset_of!(DescriptorRecord, offset))?, strides))
}

/// Reads the head of a segment: everything before its first chunk.
pub(crate) fn head(bytes: &[u8]) -> Result<Head, Problem> {
    check_magic(bytes)?;
    let layout = layouts::shared(bytes)?;
    let bytes = Bytes(bytes);
    let injected = bytes.text::<INJECTED_BYTES>(offset_of!(Header, injected))?;
    let process = Process {
        pid: bytes.u32(offset_of!(Header, pid))?,
        start_time: bytes.u64(offset_of!(Header, start_time))?,
        sequence: bytes.u32(offset_of!(Header, sequence))?,
        command: bytes.text::<16>(offset_of!(Header, command))?,
        strategy: bytes.text::<32>(offset_of!(Header, strategy))?,
        workload: bytes.text::<32>(offset_of!(Header, workload))?,
        injected: (!injected.is_empty()).then_some(injected),
        version: bytes.text::<16>(offset_of!(Header, version))?,
        created: bytes.u64(offset_of!(Header, created))?,
    };
    Ok(Head {
        process,
        pid_namespace: bytes.u64(offset_of!(Header, pid_namespace))?,
        born: bytes.u64(offset_of!(Header, born))?,
        layout,
    })
}

/// The part of a head that does not depend on the process.
pub(crate) fn layout(bytes: &[u8]) -> Result<Layout, Problem> {
    let bytes = Bytes(bytes);
    let geometry = geometry(&bytes)?;

    let records = |count: u32, size: u32, least: usize, offset: u64| {
        if (size as usize) < least || size > 1 << 16 || offset > MAX_HEAD {
            return Err(Problem::Malformed("a table's place or record size"));
        }
        Ok((0..count as usize).map(move |i| offset as usize + i * size as usize))
    };
    let label_count = bytes.u32(offset_of!(Header, label_count))?;
    let descriptor_count = bytes.u32(offset_of!(Header, descriptor_count))?;
    if label_count > 64 || descriptor_count as usize > MAX_FAMILIES {
        return Err(Problem::Malformed("too many labels or metrics"));
    }
    let labels: Vec<LabelValues> = records(
        label_count,
        bytes.u32(offset_of!(Header, label_bytes))?,
        size_of::<LabelRecord>(),
        bytes.u64(offset_of!(Header, labels_offset))?,
    )?
    .map(|at| label(&bytes, at))
    .collect::<Result<_, _>>()?;

    let mut families = Vec::new();
    let mut places = Vec::new();
    let mut values = 0_usize;
    for at in records(
        descriptor_count,
        bytes.u32(offset_of!(Header, descriptor_bytes))?,
        size_of::<DescriptorRecord>(),
        bytes.u64(offset_of!(Header, descriptors_offset))?,
    )? {
        let (family, offset, strides) = family(&bytes, at, &labels)?;
        let combinations =
            family.labels.iter().try_fold(1_usize, |n, &l| n.checked_mul(labels[l].values.len()));
        values = combinations
            .and_then(|n| n.checked_mul(family.width))
            .and_then(|n| values.checked_add(n))
            .filter(|&n| n <= MAX_VALUES)
            .ok_or(Problem::Malformed("too many values"))?;
        families.push(family);
        places.push((offset, strides));
    }
    if values as u64 > geometry.slot_bytes / 8 {
        return Err(Problem::Malformed("cells lie on top of each other"));
    }
    unique("two labels have one name", labels.iter().map(|label| &label.name))?;
    unique("two metrics have one name", families.iter().map(|family| &family.name))?;
    let schema = Schema::new(labels, families);
    let (always, by_bit) = cells(&schema, &places, geometry.slot_bytes)?;
    let own = own_lines(&geometry, &always);
    Ok(Layout { geometry, schema: Arc::new(schema), own, always, by_bit })
}

/// From the first to the last of a slot's own words and cells of no shard.
fn own_lines(geometry: &Geometry, always: &[Run]) -> Range<usize> {
    let words = [geometry.heartbeat_offset, geometry.touched_offset].map(|at| at as usize..at as usize + 8);
    let cells = always.iter().map(|run| run.offset as usize..(run.offset + run.cells * 8) as usize);
    let all = words.into_iter().chain(cells);
    all.reduce(|all, part| all.start.min(part.start)..all.end.max(part.end)).unwrap_or(0..0)
}

/// The place of every cell, sorted by whether and by which bit of the touched word it may be skipped.
fn cells(
    schema: &Schema,
    places: &[(u64, Vec<u64>)],
    slot_bytes: u64,
) -> Result<(Vec<Run>, Vec<Vec<Run>>), Problem> {
    let mut always = Vec::new();
    let mut by_bit: Vec<Vec<Run>> = vec![Vec::new(); 64];
    for (family, (offset, strides)) in schema.families.iter().zip(places) {
        let dims: Vec<usize> = family.labels.iter().map(|&l| schema.labels[l].values.len()).collect();
        let names: Vec<&str> = family.labels.iter().map(|&l| schema.labels[l].name.as_str()).collect();
        let sharded = names.starts_with(&["class", "shard"]) && dims[0] * dims[1] <= 64;
        for combination in 0..dims.iter().product::<usize>() {
            let mut rest = combination;
            let mut place = *offset;
            let mut bit = 0;
            for (d, (&dim, &stride)) in dims.iter().zip(strides).enumerate().rev() {
                let index = rest % dim;
                rest /= dim;
                place = place
                    .checked_add(
                        stride.checked_mul(index as u64).ok_or(Problem::Malformed("a stride overflows"))?,
                    )
                    .ok_or(Problem::Malformed("an offset overflows"))?;
                bit += match d {
                    0 if sharded => index * dims[1],
                    1 if sharded => index,
                    _ => 0,
                };
            }
            let end = place.checked_add(family.width as u64 * 8);
            if !place.is_multiple_of(8) || end.is_none_or(|end| end > slot_bytes) {
                return Err(Problem::Malformed("a cell lies outside its slot"));
            }
            let target = if sharded { &mut by_bit[bit] } else { &mut always };
            let value = (family.start + combination * family.width) as u32;
            match target.last_mut() {
                // The operations of a metric, or neighbouring metrics without a shard.
                Some(last)
                    if last.offset + last.cells * 8 == place as u32 && last.value + last.cells == value =>
                {
                    last.cells += family.width as u32;
                }
                _ => target.push(Run { offset: place as u32, value, cells: family.width as u32 }),
            }
        }
    }
    Ok((always, by_bit))
}

/// Bytes that a segment of `chunks` chunks needs, if it may have so many.
pub(crate) fn needed(geometry: &Geometry, chunks: u32) -> Result<u64, Problem> {
    if chunks == 0 || chunks as usize > MAX_CHUNKS {
        return Err(Problem::Malformed("the number of chunks"));
    }
    if geometry.slots_per_chunk * u64::from(chunks) > MAX_SLOTS {
        return Err(Problem::Malformed("it has more slots than any writer makes"));
    }
    Ok(geometry.chunks_offset + u64::from(chunks) * geometry.chunk_bytes)
}
