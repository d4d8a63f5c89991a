//! What counting costs, as it was last measured on this machine: from `stormglass bench --cost` to whoever watches.
//!
//! Invariants: the file lies among the segments of its user and is trusted as they are; it is replaced whole; a cost that the
//! pairs do not show is none ([`Cost::share`]).

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::directory::Directory;

/// The file's name. It ends as no segment does.
const NAME: &str = "watching-cost.json";
/// More than any measurement takes: a file that is longer is none of ours.
const LONGEST: u64 = 1 << 20;
/// Probability below which an interval proves nothing, as in the benchmark.
const EVIDENCE: f64 = 0.9;

/// The allocator of every size.
pub const GENERAL: &str = "general";
/// The mid pool.
pub const POOL: &str = "pool";

/// A finished measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Version of stormglass.
    pub version: String,
    /// The command that repeats it.
    pub command: String,
    /// The machine, in a line.
    pub machine: String,
    /// When, in seconds since 1970.
    pub measured: u64,
    /// What was measured.
    pub subjects: Vec<Subject>,
}

/// One allocator on one workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// [`GENERAL`] or [`POOL`].
    pub allocator: String,
    /// Its design, as its segment says it.
    pub strategy: String,
    /// The workload and its threads, such as `larson 4T`.
    pub workload: String,
    /// Speed with counters, as a share of the speed without.
    pub counted: Option<Ratio>,
    /// The same with a sidecar beside it that is scraped ten times a second.
    pub scraped: Option<Ratio>,
}

/// A median of paired ratios, with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The median.
    pub median: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Probability that such an interval encloses the true median.
    pub coverage: f64,
    /// Number of ratios.
    pub pairs: usize,
}

impl Subject {
    /// Each kind of watching that was measured, by the value of the label `watched`.
    pub fn ratios(&self) -> impl Iterator<Item = (&'static str, Ratio)> {
        let both = [("counted", self.counted), ("scraped", self.scraped)];
        both.into_iter().filter_map(|(watched, ratio)| Some((watched, ratio?)))
    }
}

impl Cost {
    /// The share of its speed that counting costs a process of this design and workload (empty for a program), at least: what
    /// even the best end of the interval leaves. The most over what was measured of its allocator; `None` if that was nothing.
    pub fn share(&self, strategy: &str, workload: &str) -> Option<f64> {
        // A program has the allocator of every size, unless it names another design.
        let allocator = if workload.is_empty() && strategy == "page" { GENERAL } else { POOL };
        let of = |subject: &&Subject| subject.allocator == allocator && subject.strategy == strategy;
        let shown = |ratio: Ratio| {
            let proven = ratio.coverage >= EVIDENCE && ratio.high.is_finite();
            if proven { (1.0 - ratio.high).clamp(0.0, 1.0) } else { 0.0 }
        };
        self.subjects.iter().filter(of).filter_map(|subject| subject.counted.map(shown)).reduce(f64::max)
    }
}

impl Directory {
    /// Where the last measurement is kept.
    pub fn cost_path(&self) -> PathBuf {
        self.path().join(NAME)
    }

    /// Keeps a measurement, as JSON, in place of the last one.
    ///
    /// # Errors
    /// If the directory is not this user's alone, or the file cannot be written.
    pub fn keep_cost(&self, json: &str) -> io::Result<()> {
        self.prepare().map_err(|error| io::Error::other(error.to_string()))?;
        let draft = self.path().join(format!(".{NAME}.{}", std::process::id()));
        let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let kept = rustix::fs::open(&draft, flags, Mode::RUSR | Mode::WUSR)
            .map_err(io::Error::from)
            .and_then(|file| std::fs::File::from(file).write_all(json.as_bytes()))
            .and_then(|()| std::fs::rename(&draft, self.cost_path()));
        if kept.is_err() {
            // What cannot be removed is of no use, and does no harm.
            let _ = std::fs::remove_file(&draft);
        }
        kept
    }

    /// The measurement that was kept last, as JSON; `None` if there is none.
    ///
    /// # Errors
    /// If the directory or the file is not this user's, or cannot be read.
    pub fn kept_cost(&self) -> io::Result<Option<String>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::open(self.cost_path(), flags, Mode::empty()) {
            Ok(file) => file,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let stat = rustix::fs::fstat(&file)?;
        if self.stamp().is_none()
            || !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file()
            || stat.st_uid != rustix::process::geteuid().as_raw()
        {
            return Err(io::Error::other("it is not a file of this user's alone"));
        }
        let mut text = String::new();
        std::fs::File::from(file).take(LONGEST).read_to_string(&mut text)?;
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(low: f64, median: f64, high: f64) -> Ratio {
        Ratio { median, low, high, coverage: 0.94, pairs: 5 }
    }

    fn subject(allocator: &str, strategy: &str, counted: Option<Ratio>) -> Subject {
        let workload = "larson 2T".to_owned();
        Subject {
            allocator: allocator.to_owned(),
            strategy: strategy.to_owned(),
            workload,
            counted,
            scraped: None,
        }
    }

    fn cost(subjects: Vec<Subject>) -> Cost {
        let words = || "x".to_owned();
        Cost { version: words(), command: words(), machine: words(), measured: 1, subjects }
    }

    #[test]
    fn only_what_the_interval_proves_is_a_cost() {
        let cost = cost(vec![
            subject(GENERAL, "page", Some(ratio(0.8, 0.9, 0.93))),
            subject(GENERAL, "page", Some(ratio(0.5, 0.9, 1.2))),
            subject(POOL, "page", Some(ratio(1.0, 1.1, 1.2))),
            subject(POOL, "mutex", Some(Ratio { coverage: 0.5, ..ratio(0.1, 0.1, 0.1) })),
            subject(POOL, "depot", None),
        ]);
        let share = cost.share("page", "").expect("measured");
        assert!((share - 0.07).abs() < 1e-9, "{share}");
        assert_eq!(cost.share("page", "storm 2T"), Some(0.0), "the pool's own");
        assert_eq!(cost.share("mutex", ""), Some(0.0), "too few pairs prove nothing");
        assert_eq!((cost.share("depot", ""), cost.share("hybrid", "")), (None, None));
    }

    #[test]
    fn the_last_one_is_kept_among_the_segments_and_is_none_of_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let directory = Directory::at(dir.path().join("segments"));
        assert_eq!(directory.kept_cost().expect("nothing there"), None);
        directory.keep_cost("first").expect("kept");
        directory.keep_cost("second").expect("kept");
        assert_eq!(directory.kept_cost().expect("readable").as_deref(), Some("second"));
        assert!(directory.scan().expect("readable").is_empty());
        assert_eq!(std::fs::read_dir(directory.path()).expect("there").count(), 1, "no draft is left");
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let directory = Directory::at(dir.path().join("segments"));
        directory.keep_cost("mine").expect("kept");
        std::fs::remove_file(directory.cost_path()).expect("ours");
        std::os::unix::fs::symlink("/etc/hostname", directory.cost_path()).expect("a link");
        assert!(directory.kept_cost().is_err());
    }
}
