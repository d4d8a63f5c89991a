//! What the slots of a segment counted in their shards, added up with as little reading as may be.
//!
//! Most threads of a process wait most of the time, and a slot is large. What a thread counts in a shard it counts while its
//! own lines change: its heartbeat, its touched word, the counters of its classes. So a slot whose own lines have stood still
//! since the last reading is taken to have counted nothing: the sum over such slots is kept, and their shards are not read.
//!
//! A reading in the middle of a slow path may find the own lines changed and a shard's not yet; such a count shows late.
//! Invariants: sums never fall; none is late by more than [`FULL_EVERY`] readings; a reading that is asked to be full,
//! as the last one of a dead process is, has every count.

use core::mem::take;

/// Every so many readings all is read.
const FULL_EVERY: u32 = 16;

/// A slot's own lines, in short. Counters only rise, so that their sum stands still only if all do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) heartbeat: u64,
    pub(crate) touched: u64,
    pub(crate) sum: u64,
}

/// What is remembered of a segment's slots between two readings.
#[derive(Debug)]
pub(crate) struct Quiet {
    slots: Vec<Known>,
    /// Values of all slots that are quiet.
    sum: Vec<u64>,
    /// Readings until the next full one.
    left: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    mark: Mark,
    quiet: bool,
}

impl Quiet {
    /// Nothing is known yet. Segments with different `phase` have their full readings at different times.
    pub(crate) fn new(phase: u32) -> Quiet {
        Quiet { slots: Vec::new(), sum: Vec::new(), left: 1 + phase % FULL_EVERY }
    }

    /// Adds all slots' shards to `values`. `marks` are those of now; `read` adds the shards of one slot.
    pub(crate) fn add(
        &mut self,
        values: &mut [u64],
        marks: &[Mark],
        full: bool,
        mut read: impl FnMut(usize, &mut [u64]),
    ) {
        self.left = self.left.saturating_sub(1);
        self.slots.resize(marks.len(), Known::default());
        let woken = self.slots.iter().zip(marks).any(|(known, mark)| known.quiet && known.mark != *mark);
        let again = full || woken || self.left == 0;
        if again {
            // Read for all at once, because what a single slot gave to the sum is not kept.
            self.left = FULL_EVERY;
            self.sum.clear();
            self.sum.resize(values.len(), 0);
        }
        let mut sum = take(&mut self.sum);
        for (slot, (known, &mark)) in self.slots.iter_mut().zip(marks).enumerate() {
            if again {
                known.quiet = known.mark == mark;
            }
            known.mark = mark;
            match (known.quiet, again) {
                (true, true) => read(slot, &mut sum),
                (true, false) => {}
                (false, _) => read(slot, values),
            }
        }
        for (value, quiet) in values.iter_mut().zip(&sum) {
            *value = value.wrapping_add(*quiet);
        }
        self.sum = sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots as plain values: a mark, and one count each.
    #[derive(Default)]
    struct Slots {
        marks: Vec<Mark>,
        counts: Vec<u64>,
        read: usize,
    }

    impl Slots {
        fn of(slots: usize) -> Slots {
            Slots { marks: vec![Mark::default(); slots], counts: vec![0; slots], read: 0 }
        }

        fn count(&mut self, slot: usize) {
            self.marks[slot].sum += 1;
            self.counts[slot] += 1;
        }

        fn sum(&mut self, quiet: &mut Quiet, full: bool) -> u64 {
            let mut values = [0];
            self.read = 0;
            quiet.add(&mut values, &self.marks, full, |slot, values| {
                self.read += 1;
                values[0] += self.counts[slot];
            });
            values[0]
        }
    }

    #[test]
    fn slots_that_stand_still_are_not_read_and_stay_in_the_sum() {
        let (mut slots, mut quiet) = (Slots::of(10), Quiet::new(3));
        (0..10).for_each(|slot| slots.count(slot));
        let mut least = usize::MAX;
        for round in 1..100 {
            slots.count(7);
            assert_eq!(slots.sum(&mut quiet, false), 10 + round, "exact, whatever was read");
            least = least.min(slots.read);
        }
        assert_eq!(least, 1, "only the one that counts");
    }

    #[test]
    fn one_that_wakes_is_seen_at_once() {
        let (mut slots, mut quiet) = (Slots::of(4), Quiet::new(0));
        for _ in 0..5 {
            slots.sum(&mut quiet, false);
        }
        assert_eq!(slots.read, 0);
        slots.count(2);
        assert_eq!(slots.sum(&mut quiet, false), 1);
    }

    #[test]
    fn a_count_that_no_mark_tells_of_is_late_and_not_lost() {
        let (mut slots, mut quiet) = (Slots::of(2), Quiet::new(0));
        for _ in 0..5 {
            slots.sum(&mut quiet, false);
        }
        slots.counts[1] += 1;
        let mut last = 0;
        for _ in 0..FULL_EVERY {
            let sum = slots.sum(&mut quiet, false);
            assert!(sum >= last, "a total fell");
            last = sum;
        }
        assert_eq!(last, 1);
        slots.counts[1] += 1;
        assert_eq!(slots.sum(&mut quiet, true), 2, "the last reading has all");
    }

    #[test]
    fn a_segment_that_grows_has_new_slots() {
        let (mut slots, mut quiet) = (Slots::of(2), Quiet::new(0));
        for _ in 0..3 {
            slots.sum(&mut quiet, false);
        }
        slots.marks.push(Mark::default());
        slots.counts.push(0);
        slots.count(2);
        assert_eq!(slots.sum(&mut quiet, false), 1);
    }
}
