//! At most so many series, whatever runs on the machine.
//!
//! What has been shown longest is shown first: the groups of processes take their turns in the order in which they were first
//! seen, and within a group what is about the whole of it comes before what is split by class, and that before what is
//! split by shard, the histograms last. What does not fit is left out by whole families of a group.
//!
//! Invariants: the same processes, seen in the same order, show the same series; a newcomer never takes the place of what was there;
//! what says that something was left out is not part of the budget.

use std::collections::BTreeMap;

use crate::retired::Group;

/// Groups whose order is remembered; those beyond come last, in the order of their names.
const REMEMBERED: usize = 4096;

/// What is left of the budget in one scrape.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
    /// Series that were shown.
    pub(super) shown: u64,
    /// Series that were left out.
    pub(super) dropped: u64,
}

impl Budget {
    pub(super) fn of(series: u64) -> Budget {
        Budget { left: series, shown: 0, dropped: 0 }
    }

    /// Whether so many series may be shown, all or none.
    pub(super) fn takes(&mut self, series: u64) -> bool {
        let takes = series <= self.left;
        if takes {
            self.left -= series;
            self.shown += series;
        } else {
            self.dropped += series;
        }
        takes
    }

    /// Counts series that are shown in any case.
    pub(super) fn besides(&mut self, series: u64) {
        self.shown += series;
    }
}

/// The order in which groups were first seen.
#[derive(Debug, Default)]
pub(super) struct Order(BTreeMap<Group, usize>);

impl Order {
    /// The groups in their order; new ones are seen now, in the order of their names.
    pub(super) fn sort<T>(&mut self, groups: BTreeMap<Group, T>) -> Vec<(Group, T)> {
        let mut all: Vec<(Group, T)> = groups.into_iter().collect();
        for (group, _) in &all {
            let next = self.0.len();
            if next < REMEMBERED && !self.0.contains_key(group) {
                self.0.insert(group.clone(), next);
            }
        }
        // Stable: what is not remembered stays in the order of its names.
        all.sort_by_key(|(group, _)| self.0.get(group).copied().unwrap_or(usize::MAX));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(command: &str) -> Group {
        Group {
            command: command.to_owned(),
            strategy: String::new(),
            workload: String::new(),
            injected: None,
        }
    }

    #[test]
    fn what_does_not_fit_is_counted_and_what_does_comes_after_it() {
        let mut budget = Budget::of(10);
        assert!(budget.takes(6) && !budget.takes(5) && budget.takes(4) && !budget.takes(1));
        budget.besides(3);
        assert_eq!((budget.shown, budget.dropped), (13, 6));
    }

    #[test]
    fn newcomers_come_last_whatever_they_are_called() {
        let mut order = Order::default();
        let mut names = |commands: &[&str]| -> Vec<String> {
            let groups = commands.iter().map(|command| (group(command), ())).collect();
            order.sort(groups).into_iter().map(|(group, ())| group.command).collect()
        };
        assert_eq!(names(&["m", "z"]), ["m", "z"]);
        assert_eq!(names(&["a", "m", "z"]), ["m", "z", "a"]);
        assert_eq!(names(&["a", "z", "b"]), ["z", "a", "b"]);
        assert_eq!(names(&["a", "m", "z"]), ["m", "z", "a"], "one that comes back has its place");
    }

    #[test]
    fn commands_without_end_take_no_memory_without_end() {
        let mut order = Order::default();
        for number in 0..REMEMBERED + 10 {
            order.sort(BTreeMap::from([(group(&number.to_string()), number)]));
        }
        assert_eq!(order.0.len(), REMEMBERED);
    }
}
