//! What other programs took of the machine during a run, from `/proc`.
//!
//! A storm needs threads that run at once. On a machine that others use, or whose hypervisor gives its time away, they do not,
//! and the calm that is then measured is theirs. Invariant: what cannot be read is `None`, never "nothing".

use std::fs;
use std::ops::RangeInclusive;

/// Processor time so far, in the ticks of `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Of the processors that this process may use, idle or not.
    all: u64,
    /// Of the same, not idle; what a hypervisor gave to somebody else is not idle.
    busy: u64,
    /// Of this process, threads that are gone and children that were waited for included.
    own: u64,
}

impl Usage {
    /// Until now; `None` if `/proc` does not say.
    pub(crate) fn now() -> Option<Usage> {
        let read = |path| fs::read_to_string(path).ok();
        Usage::parse(&read("/proc/stat")?, &read("/proc/self/status")?, &read("/proc/self/stat")?)
    }

    fn parse(machine: &str, status: &str, process: &str) -> Option<Usage> {
        let allowed = allowed(status)?;
        let (mut all, mut busy) = (0, 0);
        for line in machine.lines().filter_map(|line| line.strip_prefix("cpu")) {
            let mut words = line.split_whitespace();
            // The first line is the sum over all processors and has no number.
            let Some(number) = words.next().filter(|_| !line.starts_with(' ')) else { continue };
            let number = number.parse().ok()?;
            if !allowed.iter().any(|range| range.contains(&number)) {
                continue;
            }
            // user, nice, system, idle, iowait, irq, softirq, steal; what guests used follows and is in user already.
            let times: Vec<u64> = words.take(8).map_while(|word| word.parse().ok()).collect();
            let sum = times.iter().sum::<u64>();
            all += sum;
            busy += sum - times.get(3)? - times.get(4)?;
        }
        // The command's name stands in brackets and may hold anything, brackets too. After it, user and system time are the
        // 12th and the 13th word, those of children the next two.
        let mut words = process.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut next = || words.next()?.parse::<u64>().ok();
        Some(Usage { all, busy, own: next()? + next()? + next()? + next()? })
    }

    /// The share of the machine's time since `earlier` that others took, 0 to 1; `None` if no time has passed.
    pub(crate) fn others_since(self, earlier: Usage) -> Option<f64> {
        let all = self.all.checked_sub(earlier.all).filter(|&ticks| ticks > 0)?;
        // Ticks are sampled, so a process may seem to have used more than there was.
        let busy = self.busy.saturating_sub(earlier.busy);
        let others = busy.saturating_sub(self.own.saturating_sub(earlier.own));
        Some((others as f64 / all as f64).min(1.0))
    }
}

/// The processors that this process may run on: `0-1,4` in its status.
fn allowed(status: &str) -> Option<Vec<RangeInclusive<u32>>> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    list.trim()
        .split(',')
        .map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some(from.parse().ok()?..=to.parse().ok()?)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  900 0 0 900 0 0 0 0 0 0\ncpu0 100 10 20 300 40 5 6 7 99 0\ncpu1 1 0 0 8 1 0 0 0 0 0\n\
                        cpu2 500 0 0 0 0 0 0 0 0 0\nintr 5\n";
    const STATUS: &str = "Name:\tx\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\n";

    #[test]
    fn usage_is_that_of_the_processors_that_count() {
        let process = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 30 12 13 14\n";
        let usage = Usage::parse(STAT, STATUS, process).expect("well-formed");
        assert_eq!(usage, Usage { all: 498, busy: 149, own: 69 });
        assert_eq!(Usage::parse(STAT, "", process), None);
        assert_eq!(Usage::parse(STAT, STATUS, "42 (a) S 1 2"), None);
        assert_eq!(Usage::parse("cpu0 1 2 3\n", STATUS, process), None);
        assert!(Usage::now().is_some(), "this machine's own");
    }

    #[test]
    fn processors_are_listed() {
        let list = |text: &str| allowed(&format!("Cpus_allowed_list:\t{text}\n"));
        assert_eq!(list("0-1,4"), Some(vec![0..=1, 4..=4]));
        assert_eq!(list("x"), None);
    }

    #[test]
    fn others_are_what_is_busy_and_not_this_process() {
        let before = Usage { all: 1000, busy: 500, own: 100 };
        let after = Usage { all: 1200, busy: 680, own: 250 };
        assert_eq!(after.others_since(before), Some(0.15));
        assert_eq!(before.others_since(before), None);
        assert_eq!(Usage { own: 900, ..after }.others_since(before), Some(0.0));
    }
}
