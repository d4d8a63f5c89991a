//! Events that are counted at the same time.

use rustix::io::Errno;

use super::event::{Event, MAX_GROUP};
use super::opener::{Counter, Mode, Opener, Request, Target};

/// Words that a group is read into: how many, enabled, running, values.
const WORDS: usize = 3 + MAX_GROUP;

/// An open group: a leader, and its members. Takes nothing from the heap.
#[derive(Debug)]
pub(super) struct Group<C> {
    counters: [Option<C>; MAX_GROUP],
    len: usize,
}

/// What a group has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// Nanoseconds for which it was to be counted.
    pub(super) enabled: u64,
    /// Nanoseconds for which it was.
    pub(super) running: u64,
    /// In the order of the events.
    pub(super) values: [u64; MAX_GROUP],
}

impl<C: Counter> Group<C> {
    /// Opens events together and lets them count; which of them failed, if one does.
    pub(super) fn open<O: Opener<Counter = C>>(
        opener: &O,
        target: Target,
        events: &[(Event, Mode)],
    ) -> Result<Group<C>, (Event, Errno)> {
        let mut group = Group { counters: [const { None }; MAX_GROUP], len: 0 };
        for &(event, mode) in events {
            let [leader, ..] = &mut group.counters;
            let counter = opener.open(Request { event, target, mode }, leader.as_mut());
            group.counters[group.len] = Some(counter.map_err(|errno| (event, errno))?);
            group.len += 1;
        }
        if let ([Some(leader), ..], Some(&(event, _))) = (&mut group.counters, events.first()) {
            leader.enable().map_err(|errno| (event, errno))?;
        }
        Ok(group)
    }

    /// The counter that stands for the group.
    pub(super) fn leader(&self) -> Option<&C> {
        self.counters[0].as_ref()
    }

    /// Its counters, the leader first.
    pub(super) fn counters(&self) -> impl Iterator<Item = &C> {
        self.counters.iter().flatten()
    }

    /// Reads the group at one moment.
    pub(super) fn read(&self) -> Result<Reading, Errno> {
        let leader = self.leader().ok_or(Errno::BADF)?;
        let mut words = [0; WORDS];
        let len = leader.read(&mut words)?;
        parse(&words[..len.min(WORDS)], self.len)
    }
}

/// What the kernel wrote: perf_event_open(2), "Reading results".
fn parse(words: &[u64], events: usize) -> Result<Reading, Errno> {
    let [count, enabled, running, values @ ..] = words else { return Err(Errno::IO) };
    // Of a group that could not be scheduled at all there is nothing to read.
    if *count != events as u64 || values.len() < events {
        return Err(Errno::IO);
    }
    let mut reading = Reading { enabled: *enabled, running: *running, ..Reading::default() };
    reading.values[..events].copy_from_slice(&values[..events]);
    Ok(reading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_what_the_manual_says() {
        let reading = parse(&[2, 100, 50, 7, 8], 2).expect("a reading");
        assert_eq!(reading, Reading { enabled: 100, running: 50, values: [7, 8, 0, 0] });
        for words in [&[][..], &[0, 1, 1], &[2, 1, 1, 7], &[3, 1, 1, 7, 8]] {
            assert_eq!(parse(words, 2), Err(Errno::IO), "{words:?}");
        }
    }
}
