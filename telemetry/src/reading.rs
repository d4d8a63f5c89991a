//! One reading of a segment's slots: where they lie, which of them have stood still, and the sums over all.
//!
//! A slot that is quiet (quiet.rs) is looked at by a read of the file, and so are the owners' words; every other slot is read in the
//! mapping, and only its pages and the header's stay resident. Invariant: what is added up was read in the mapping, word by word: a
//! read of a file promises no word in one piece.

use core::mem::{offset_of, size_of};
use core::ops::Range;
use core::sync::atomic::Ordering;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::counts::Counts;
use crate::error::Problem;
use crate::layout::Header;
use crate::mapping::{Mapping, View};
use crate::parse::{self, Layout, Run};
use crate::protocol;
use crate::quiet::{Look, Mark, Quiet};

/// What the slots say at one moment.
pub(crate) struct Sums {
    pub(crate) counts: Counts,
    pub(crate) heartbeat: u64,
    pub(crate) threads: u32,
    pub(crate) threads_started: u64,
    pub(crate) threads_dropped: u64,
}

/// What is read: the mapping's words while they are watched, and the file that they are of.
#[derive(Clone, Copy)]
struct Reading<'a> {
    view: View<'a>,
    file: &'a OwnedFd,
    layout: &'a Layout,
    chunks: u32,
}

impl Reading<'_> {
    fn slots(&self) -> usize {
        self.chunks as usize * self.layout.geometry.slots_per_chunk as usize
    }

    /// Where a chunk starts: with a word for each slot, which says who owns it.
    fn chunk(&self, chunk: u64) -> usize {
        let g = &self.layout.geometry;
        (g.chunks_offset + chunk * g.chunk_bytes) as usize
    }

    /// Where a slot starts.
    fn slot(&self, slot: usize) -> usize {
        let g = &self.layout.geometry;
        let (chunk, slot) = (slot as u64 / g.slots_per_chunk, slot as u64 % g.slots_per_chunk);
        self.chunk(chunk) + (g.slots_offset + slot * g.slot_bytes) as usize
    }

    /// Slots that have an owner. In a word that changes while it is read, any part of the owner will do: nobody adds it up.
    fn threads(&self) -> Result<u32, Problem> {
        let mut words = vec![0; self.layout.geometry.slots_per_chunk as usize * 4];
        (0..u64::from(self.chunks)).try_fold(0, |threads, chunk| {
            self.fill(&mut words, self.chunk(chunk))?;
            let (words, _) = words.as_chunks::<4>();
            Ok(threads + words.iter().map(|word| u32::from(*word != [0; 4])).sum::<u32>())
        })
    }

    /// Fills `buffer` with what the file has at an offset.
    fn fill(&self, buffer: &mut [u8], at: usize) -> Result<(), Problem> {
        let read = read_at(self.file, buffer, at as u64)?;
        if read == buffer.len() {
            return Ok(());
        }
        // Not `at + read`, unless there was something to read: the file may have been cut off far before.
        let stat = rustix::fs::fstat(self.file).map_err(|errno| Problem::System("look at it", errno))?;
        let has = stat.st_size.cast_unsigned().min((at + read) as u64);
        Err(Problem::Truncated { has, needs: (at + buffer.len()) as u64 })
    }

    /// A slot's own lines, by the mapping.
    fn mark(&self, slot: usize) -> Mark {
        let Layout { geometry, own, .. } = self.layout;
        let at = self.slot(slot);
        let words = self.view.cells(at + own.start, own.len() / 8).iter();
        Mark {
            heartbeat: self.view.cell(at + geometry.heartbeat_offset as usize),
            // Relaxed: counters publish nothing, and readers may lag.
            sum: words.fold(0, |sum, word| sum.wrapping_add(word.load(Ordering::Relaxed))),
        }
    }

    /// Whether a slot's own lines are as `known`, by a read of the file: no page becomes resident for that. A read promises no
    /// word in one piece, so of lines that it finds changed nothing is believed but that they are.
    fn is_still(&self, slot: usize, known: Mark, buffer: &mut [u8]) -> Result<bool, Problem> {
        self.fill(buffer, self.slot(slot) + self.layout.own.start)?;
        let (words, _) = buffer.as_chunks::<8>();
        let sum = words.iter().fold(0, |sum: u64, word| sum.wrapping_add(u64::from_ne_bytes(*word)));
        Ok(sum == known.sum)
    }

    /// Adds everything that a slot counted.
    fn add(&self, slot: usize, values: &mut [u64]) {
        let Layout { geometry, always, by_bit, .. } = self.layout;
        let at = self.slot(slot);
        add(self.view, at, always, values);
        // Now, not as it was marked: what is touched since counts, too.
        let mut touched = self.view.cell(at + geometry.touched_offset as usize);
        while touched != 0 {
            add(self.view, at, &by_bit[touched.trailing_zeros() as usize], values);
            touched &= touched - 1;
        }
    }

    /// The parts of the file that every reading reads in the mapping: the header and the slots that are not quiet.
    fn needed(&self, quiet: &Quiet) -> Vec<Range<usize>> {
        let g = &self.layout.geometry;
        let active = (0..self.slots()).filter(|&slot| quiet.mark(slot).is_none());
        let active = active.map(|slot| self.slot(slot)..self.slot(slot) + g.slot_bytes as usize);
        core::iter::once(0..size_of::<Header>()).chain(active).collect()
    }
}

/// Adds up all slots of all chunks, as many as there are now.
///
/// # Errors
/// If the file says that there is more than is mapped, or is shorter than it says.
pub(crate) fn add_up(
    mapping: &Mapping,
    view: View<'_>,
    file: &OwnedFd,
    layout: &Layout,
    quiet: &mut Quiet,
    look: Look,
) -> Result<Sums, Problem> {
    let chunks = protocol::published(view.word(offset_of!(Header, chunks)));
    let needs = parse::needed(&layout.geometry, chunks)?;
    if needs > mapping.len() {
        return Err(Problem::Truncated { has: mapping.len(), needs });
    }
    let reading = Reading { view, file, layout, chunks };
    let mut own = vec![0; layout.own.len()];
    let marks = (0..reading.slots()).map(|slot| match quiet.mark(slot) {
        Some(known) if quiet.skips(slot, look) || reading.is_still(slot, known, &mut own)? => Ok(known),
        _ => Ok(reading.mark(slot)),
    });
    let marks = marks.collect::<Result<Vec<Mark>, Problem>>()?;
    let mut counts = Counts::zero(Arc::clone(&layout.schema));
    if quiet.add(&mut counts.values, &marks, look, |slot, values| reading.add(slot, values)) {
        mapping.let_go(reading.needed(quiet));
    }
    Ok(Sums {
        counts,
        heartbeat: marks.iter().map(|mark| mark.heartbeat).max().unwrap_or(0),
        threads: reading.threads()?,
        threads_started: view.cell(offset_of!(Header, threads_started)),
        threads_dropped: view.cell(offset_of!(Header, threads_dropped)),
    })
}

/// Adds the cells of some runs of the slot at `at` to their values.
#[inline]
fn add(view: View<'_>, at: usize, runs: &[Run], values: &mut [u64]) {
    for run in runs {
        let cells = view.cells(at + run.offset as usize, run.cells as usize);
        let values = &mut values[run.value as usize..][..run.cells as usize];
        for (value, cell) in values.iter_mut().zip(cells) {
            // Relaxed: counters publish nothing, and readers may lag.
            *value = value.wrapping_add(cell.load(Ordering::Relaxed));
        }
    }
}

/// Fills `bytes` from `offset` on; returns how many of them the file has.
pub(crate) fn read_at(file: &OwnedFd, bytes: &mut [u8], offset: u64) -> Result<usize, Problem> {
    let mut read = 0;
    while read < bytes.len() {
        match rustix::io::pread(file, &mut bytes[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Problem::System("read it", errno)),
        }
    }
    Ok(read)
}
