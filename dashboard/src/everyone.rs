//! The segments of all users of the machine: a discovery for each user's directory.
//!
//! Invariants: a directory is trusted with the files of the user whose number it has, and no others; nothing in it is changed or
//! removed, because a path in somebody else's directory may lead anywhere by the time it is used.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use stormglass_telemetry::Directory;

use crate::discovery::Discovery;
use crate::packed::Packed;
use crate::retired::Retired;
use crate::source::Source;

/// Time between two looks for users.
const USERS: Duration = Duration::from_secs(2);

/// All users' segments.
pub(crate) struct Everyone {
    keep_dead: Duration,
    users: BTreeMap<PathBuf, Discovery>,
    /// What those counted whose directories have gone.
    gone: Retired,
    gone_errors: u64,
    /// Of all users together, as of the last read.
    retired: Retired,
    next: Instant,
    find: fn() -> Vec<Directory>,
}

impl Everyone {
    pub(crate) fn new(keep_dead: Duration) -> Everyone {
        Everyone {
            keep_dead,
            users: BTreeMap::new(),
            gone: Retired::default(),
            gone_errors: 0,
            retired: Retired::default(),
            next: Instant::now(),
            find: Directory::of_all_users,
        }
    }

    fn look(&mut self, now: Instant) {
        if now < self.next {
            return;
        }
        self.next = now + USERS;
        let mut before = std::mem::take(&mut self.users);
        for directory in (self.find)() {
            let path = directory.path().to_owned();
            let user = before.remove(&path);
            let user = user.unwrap_or_else(|| Discovery::onlooker(directory, self.keep_dead));
            self.users.insert(path, user);
        }
        for mut user in before.into_values() {
            // With its directory gone, what is still mapped goes to its retired.
            let _ = user.snapshots();
            user.retired().snapshots().for_each(|snapshot| self.gone.bury(snapshot.clone()));
            self.gone_errors += user.errors();
        }
    }
}

impl Source for Everyone {
    fn snapshots(&mut self) -> Vec<Packed> {
        self.look(Instant::now());
        let snapshots = self.users.values_mut().flat_map(Discovery::snapshots).collect();
        self.retired = self.gone.clone();
        for user in self.users.values() {
            user.retired().snapshots().for_each(|snapshot| self.retired.bury(snapshot.clone()));
        }
        snapshots
    }

    fn retired(&self) -> &Retired {
        &self.retired
    }

    fn errors(&self) -> u64 {
        self.gone_errors + self.users.values().map(Discovery::errors).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use stormglass_telemetry::{Identity, Metric, Select, Snapshot, Writer};

    use super::*;

    static PLACE: OnceLock<PathBuf> = OnceLock::new();

    /// Two directories of this user stand for those of two.
    fn two() -> Vec<Directory> {
        let place = PLACE.get().expect("set");
        ["one", "two"]
            .map(|name| Directory::at(place.join(name)))
            .into_iter()
            .filter(|d| d.path().exists())
            .collect()
    }

    #[test]
    fn the_processes_of_all_users_are_seen_and_what_they_counted_stays() {
        let place = tempfile::tempdir().expect("a directory");
        PLACE.set(place.path().to_owned()).expect("once");
        let mut everyone = Everyone { find: two, ..Everyone::new(Duration::from_hours(1)) };
        assert!(everyone.snapshots().is_empty());
        let count = |name: &str, hits| {
            let writer = Writer::create(&Directory::at(place.path().join(name)), &Identity::default());
            let writer = writer.expect("a segment");
            writer.claim().expect("a slot").classes[0].ring_hits.add(hits);
            writer
        };
        let sum = |everyone: &mut Everyone| {
            everyone.next = Instant::now();
            let shown: Vec<Snapshot> = everyone.snapshots().iter().map(Packed::whole).collect();
            let hits = |snapshot: &Snapshot| snapshot.counts.sum(Metric::RingHits, Select::ALL);
            let all = shown.iter().chain(everyone.retired().snapshots()).filter_map(hits).sum::<u64>();
            (shown.len(), all)
        };
        let first = count("one", 3);
        let _second = count("two", 4);
        assert_eq!(sum(&mut everyone), (2, 7));
        drop(first);
        assert_eq!(sum(&mut everyone), (2, 7));
        std::fs::remove_dir_all(place.path().join("one")).expect("ours");
        assert_eq!(sum(&mut everyone), (1, 7), "the directory has gone, the counts have not");
        assert_eq!(sum(&mut everyone), (1, 7));
    }
}
