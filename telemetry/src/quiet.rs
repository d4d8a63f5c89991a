//! What the slots of a segment counted, added up with as little reading as may be.
//!
//! Most threads of a process wait most of the time, and a slot is large. What a thread counts in a shard it counts while its
//! own lines change: its heartbeat, its touched word, the counters of its classes. So a slot whose own lines stand still is
//! taken to have counted nothing: the sum over such slots is kept, and of them only the own lines are looked at.
//!
//! ```text
//! active: read at each reading      quiet: looked at, in the kept sum
//!        <-- own lines have changed: all quiet slots are read again, for the sum without this one
//!        --> they stood still from one full reading to the next
//! ```
//!
//! At first sight all are taken to be quiet: those that are not show it at the next reading. A reading in the middle of a slow
//! path may find the own lines changed and a shard's not yet; such a count shows late. And even looking takes most of the time of a
//! sidecar with thousands of slots, so of many that have been quiet for long a glance looks at every other one, in turns. Invariants: sums
//! never fall; none is late by more than [`FULL_EVERY`] readings, and none that a mark tells of by more than one glance; a reading that is
//! asked to be full, as the last one of a dead process is, has every count.

use crate::sparse::Sparse;

/// Every so many readings all is read.
const FULL_EVERY: u32 = 128;
/// Readings at which slots may wake, from one full reading to the next, in a segment that is called calm.
const CALM: u32 = 1;

/// As many slots are looked at each time, whatever they do: that costs nothing that anybody would notice.
const FEW: usize = 16;

/// How closely a reading looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Of many slots that have long been quiet, at every other one.
    Glance,
    /// At the own lines of each.
    Each,
    /// At everything.
    Full,
}

/// A slot's own lines, in short. Counters only rise, so that their sum stands still only if all do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) heartbeat: u64,
    /// Of all words of the own lines.
    pub(crate) sum: u64,
}

/// What is remembered of a segment's slots between two readings.
#[derive(Debug)]
pub(crate) struct Quiet {
    slots: Vec<Known>,
    /// Values of all slots that are quiet.
    sum: Sparse,
    /// By how many readings the second full reading comes early, so that segments take turns; 0 from then on.
    lead: u32,
    /// Whether the next full reading comes [`FULL_EVERY`] readings after the last.
    spanned: bool,
    /// Readings until the next full one.
    left: u32,
    /// Readings since the last one at which slots woke.
    wakes: u32,
}

/// A slot, and its mark at the last full reading or at first sight.
#[derive(Clone, Copy, Debug)]
struct Known {
    mark: Mark,
    quiet: bool,
    /// Quiet for [`FULL_EVERY`] readings at least.
    long: bool,
}

impl Quiet {
    /// Nothing is known yet. Segments that are first read together have their later full readings together only if their phases
    /// are some multiple of [`FULL_EVERY`] apart: a full reading takes ten times as long as another, and whoever waits for one
    /// must not wait for many.
    pub(crate) fn new(phase: u32) -> Quiet {
        let lead = phase % FULL_EVERY;
        Quiet { slots: Vec::new(), sum: Sparse::default(), lead, spanned: false, left: 1, wakes: 0 }
    }

    /// The mark that a slot has had for as long as it has been quiet; none if it is not.
    pub(crate) fn mark(&self, slot: usize) -> Option<Mark> {
        self.slots.get(slot).filter(|known| known.quiet).map(|known| known.mark)
    }

    /// Whether this reading takes a slot to be as it was without looking at it.
    pub(crate) fn skips(&self, slot: usize, look: Look) -> bool {
        let may = look == Look::Glance && self.left > 1 && self.slots.len() > FEW;
        may && (slot as u32 ^ self.left).is_multiple_of(2)
            && self.slots.get(slot).is_some_and(|known| known.long)
    }

    /// Adds what all slots counted to `values`, which are zeros. `marks` are those of now; `read` adds the counts of one slot.
    /// Returns whether quiet slots were read that are not likely to be read again soon.
    pub(crate) fn add(
        &mut self,
        values: &mut [u64],
        marks: &[Mark],
        look: Look,
        mut read: impl FnMut(usize, &mut [u64]),
    ) -> bool {
        let first = self.slots.is_empty();
        let known = self.slots.len().min(marks.len());
        self.slots.truncate(known);
        self.slots.extend(marks[known..].iter().map(|&mark| Known { mark, quiet: first, long: false }));
        self.left = self.left.saturating_sub(1);
        let due = look == Look::Full || self.left == 0;
        // Since the last full reading as many went by as between any two: the first such span is a shorter one.
        let whole = self.left == 0 && self.spanned;
        let mut woken = false;
        for (known, &mark) in self.slots.iter_mut().zip(marks) {
            let still = known.mark == mark;
            woken |= known.quiet && !still;
            if due {
                *known = Known { mark, quiet: still, long: still && known.quiet && whole };
            } else if !still {
                (known.quiet, known.long) = (false, false);
            }
        }
        self.wakes += u32::from(woken);
        let again = due || woken;
        if again {
            // Read for all at once, because what a single slot gave to the sum is not kept.
            for slot in (0..marks.len()).filter(|&slot| self.slots[slot].quiet) {
                read(slot, values);
            }
            self.sum = Sparse::of(values);
        } else {
            self.sum.add_to(values);
        }
        for slot in (0..marks.len()).filter(|&slot| !self.slots[slot].quiet) {
            read(slot, values);
        }
        let calm = self.wakes <= CALM;
        if due {
            self.spanned = self.lead == 0;
            (self.left, self.wakes) = (FULL_EVERY - std::mem::take(&mut self.lead), 0);
        }
        again && calm
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
        calm: bool,
    }

    impl Slots {
        fn of(slots: usize) -> Slots {
            Slots { marks: vec![Mark::default(); slots], counts: vec![0; slots], ..Slots::default() }
        }

        fn count(&mut self, slot: usize) {
            self.marks[slot].sum += 1;
            self.counts[slot] += 1;
        }

        fn sum(&mut self, quiet: &mut Quiet, look: Look) -> u64 {
            let mut values = [0];
            self.read = 0;
            let looked = |(slot, &mark)| quiet.mark(slot).filter(|_| quiet.skips(slot, look)).unwrap_or(mark);
            let marks: Vec<Mark> = self.marks.iter().enumerate().map(looked).collect();
            self.calm = quiet.add(&mut values, &marks, look, |slot, values| {
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
        let mut read = 0;
        for round in 1..=ROUNDS {
            slots.count(7);
            assert_eq!(slots.sum(&mut quiet, Look::Each), 10 + round, "exact, whatever was read");
            read += slots.read as u64;
        }
        // Of the others, each at first sight, when the one woke, and at each full reading.
        let full = ROUNDS / u64::from(FULL_EVERY);
        assert!(read <= ROUNDS + 9 * (3 + full), "{read} readings of a slot");
    }

    #[test]
    fn full_readings_of_many_segments_take_turns() {
        let mut all: Vec<(Slots, Quiet)> =
            (1000..1200).map(|phase| (Slots::of(2), Quiet::new(phase))).collect();
        let mut read = || {
            all.iter_mut()
                .map(|(slots, quiet)| u32::from(slots.sum(quiet, Look::Each) == 0 && slots.read > 0))
                .sum()
        };
        let together: Vec<u32> = (0..4 * FULL_EVERY).map(|_| read()).collect();
        assert_eq!(together[0], 200, "at first sight");
        assert!(together[1..].iter().all(|&full| full <= 200_u32.div_ceil(FULL_EVERY)), "{together:?}");
        assert!(together[FULL_EVERY as usize..].iter().all(|&full| full > 0), "{together:?}");
    }

    const ROUNDS: u64 = 500;

    #[test]
    fn a_segment_is_calm_until_slots_wake_again_and_again() {
        let (mut slots, mut quiet) = (Slots::of(10), Quiet::new(0));
        slots.sum(&mut quiet, Look::Each);
        assert!(slots.calm, "at first sight");
        slots.sum(&mut quiet, Look::Each);
        assert!(!slots.calm && slots.read == 0, "what was not read needs not be let go");
        for (slot, calm) in [(1, true), (2, false), (3, false)] {
            slots.count(slot);
            slots.sum(&mut quiet, Look::Each);
            assert_eq!((slots.calm, slots.read), (calm, 10));
        }
        let ends: Vec<bool> = (0..2 * FULL_EVERY)
            .filter_map(|_| {
                slots.sum(&mut quiet, Look::Each);
                (slots.read == 10).then_some(slots.calm)
            })
            .collect();
        assert_eq!(ends, [false, true], "it takes a period without");
    }

    #[test]
    fn one_that_wakes_is_seen_at_once() {
        let (mut slots, mut quiet) = (Slots::of(4), Quiet::new(0));
        for _ in 0..5 {
            slots.sum(&mut quiet, Look::Each);
        }
        assert_eq!(slots.read, 0);
        slots.count(2);
        assert_eq!(slots.sum(&mut quiet, Look::Each), 1);
    }

    #[test]
    fn of_many_that_have_long_been_quiet_a_glance_looks_at_every_other_one() {
        let slots = FEW + 8;
        let long = || {
            let (mut slots, mut quiet) = (Slots::of(slots), Quiet::new(0));
            (0..=2 * FULL_EVERY).for_each(|_| assert_eq!(slots.sum(&mut quiet, Look::Glance), 0));
            (slots, quiet)
        };
        let skipped =
            |quiet: &Quiet| (0..slots).filter(|&slot| quiet.skips(slot, Look::Glance)).collect::<Vec<_>>();
        let (mut all, mut quiet) = long();
        assert!((0..slots).all(|slot| !quiet.skips(slot, Look::Each)));
        let first = skipped(&quiet);
        all.sum(&mut quiet, Look::Glance);
        let second = skipped(&quiet);
        assert_eq!((first.len(), second.len()), (slots / 2, slots / 2));
        assert!(first.iter().all(|slot| !second.contains(slot)), "in turns");
        for slot in 0..slots {
            let (mut all, mut quiet) = long();
            all.count(slot);
            let late = quiet.skips(slot, Look::Glance);
            assert_eq!(all.sum(&mut quiet, Look::Glance), u64::from(!late), "slot {slot}");
            all.count(slot);
            assert_eq!(all.sum(&mut quiet, Look::Glance), 2, "slot {slot}");
            all.count(slot);
            assert_eq!(all.sum(&mut quiet, Look::Glance), 3, "it is awake now");
        }
        for phase in 0..FULL_EVERY {
            let (mut all, mut quiet) = (Slots::of(slots), Quiet::new(phase));
            for _ in 0..=FULL_EVERY {
                assert!(skipped(&quiet).is_empty(), "not for long, in phase {phase}");
                all.sum(&mut quiet, Look::Glance);
            }
        }
        let mut few = Slots::of(FEW);
        let mut quiet = Quiet::new(0);
        (0..=2 * FULL_EVERY).for_each(|_| assert_eq!(few.sum(&mut quiet, Look::Glance), 0));
        assert!((0..FEW).all(|slot| !quiet.skips(slot, Look::Glance)), "few are looked at each time");
    }

    #[test]
    fn a_count_that_no_mark_tells_of_is_late_and_not_lost() {
        let (mut slots, mut quiet) = (Slots::of(2), Quiet::new(0));
        for _ in 0..5 {
            slots.sum(&mut quiet, Look::Each);
        }
        slots.counts[1] += 1;
        let mut last = 0;
        for _ in 0..FULL_EVERY {
            let sum = slots.sum(&mut quiet, Look::Each);
            assert!(sum >= last, "a total fell");
            last = sum;
        }
        assert_eq!(last, 1);
        slots.counts[1] += 1;
        assert_eq!(slots.sum(&mut quiet, Look::Full), 2, "the last reading has all");
    }

    #[test]
    fn a_segment_that_grows_has_new_slots() {
        let (mut slots, mut quiet) = (Slots::of(2), Quiet::new(0));
        for _ in 0..3 {
            slots.sum(&mut quiet, Look::Each);
        }
        slots.marks.push(Mark::default());
        slots.counts.push(0);
        slots.count(2);
        assert_eq!(slots.sum(&mut quiet, Look::Each), 1);
        slots.count(2);
        assert_eq!(slots.sum(&mut quiet, Look::Each), 2, "new ones are read");
    }
}
