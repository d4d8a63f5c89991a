//! What facts mean. Pure.

use std::path::PathBuf;

use serde_json::{Value, json};

/// What a machine says of itself. `None` is what it does not say.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) kernel: String,
    pub(super) cores: usize,
    /// The kind of container that this is.
    pub(super) container: Option<String>,
    pub(super) memory: Memory,
    /// Whether a segment could be made, or why not.
    pub(super) segment: Result<(), String>,
    /// The library that `run` preloads, or why there is none.
    pub(super) library: Result<PathBuf, String>,
    /// Whether a program ran under it and was seen, or why not.
    pub(super) preload: Option<Result<(), String>>,
    /// Whether the page's usual port is free, or why it cannot be had.
    pub(super) port: Result<(), String>,
    pub(super) perf: Perf,
    /// What stands in brackets in `transparent_hugepage/enabled`.
    pub(super) huge_pages: Option<String>,
    /// `vm.overcommit_memory`.
    pub(super) overcommit: Option<u32>,
    /// `vm.max_map_count`.
    pub(super) map_count: Option<u64>,
    /// The limit on address space in bytes; `None` is none.
    pub(super) address_space: Option<u64>,
    /// The limit on open files; `None` is none.
    pub(super) open_files: Option<u64>,
}

/// Where segments lie.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) path: PathBuf,
    pub(super) is_tmpfs: Option<bool>,
    pub(super) size: Option<u64>,
    pub(super) free: Option<u64>,
}

/// What decides whether the processor's counters can be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Perf {
    /// `kernel.perf_event_paranoid`.
    pub(super) paranoid: Option<i32>,
    /// Whether the kernel knows a performance unit: many virtual machines have none.
    pub(super) unit: bool,
    /// Whether this process may do more than others: CAP_PERFMON or CAP_SYS_ADMIN.
    pub(super) capable: bool,
}

/// How well something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Works,
    /// Only something that one should know.
    Note,
    /// Something is missing that the rest can do without.
    Limited,
    /// Nothing works without it.
    Broken,
}

impl Level {
    pub(super) fn word(self) -> &'static str {
        match self {
            Level::Works => "ok",
            Level::Note => "note",
            Level::Limited => "limited",
            Level::Broken => "BROKEN",
        }
    }
}

/// One thing.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) what: &'static str,
    pub(super) found: String,
    /// What to do.
    pub(super) mend: Option<String>,
}

impl Finding {
    fn new(level: Level, what: &'static str, found: impl Into<String>, mend: Option<&str>) -> Finding {
        Finding { level, what, found: found.into(), mend: mend.map(str::to_owned) }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "level": self.level.word().to_ascii_lowercase(),
            "what": self.what,
            "found": self.found,
            "mend": self.mend,
        })
    }
}

/// Where they can be had.
const PERF: &str = "`serve --perf`, `run --perf`, `bench --perf`";
const MIB: u64 = 1 << 20;
/// Room for the segments of a few dozen processes.
const ROOM: u64 = 64 * MIB;
/// Address space that the allocator of every size reserves and does not use.
const RESERVED: u64 = 1 << 40;
/// Mappings that a program with many large allocations may need.
const MAPPINGS: u64 = 65_530;
/// Open files with which a hundred segments and a few clients fit.
const FILES: u64 = 512;

/// What the facts mean, in the order in which one reads them.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    vec![
        machine(facts),
        shared_memory(facts),
        room(&facts.memory),
        library(facts),
        preload(facts),
        port(facts),
        perf(facts.perf),
        huge_pages(facts.huge_pages.as_deref()),
        overcommit(facts.overcommit),
        address_space(facts.address_space),
        map_count(facts.map_count),
        open_files(facts.open_files),
    ]
}

fn machine(facts: &Facts) -> Finding {
    let place =
        facts.container.as_ref().map_or_else(String::new, |kind| format!(", in a container ({kind})"));
    let cores = if facts.cores == 1 { "1 core".to_owned() } else { format!("{} cores", facts.cores) };
    let found = format!("Linux {}, {cores}{place}", facts.kernel);
    if facts.cores == 1 {
        let mend =
            "contention takes two threads that run at once: give this machine, or this container, more cores";
        return Finding::new(Level::Limited, "machine", found, Some(mend));
    }
    Finding::new(Level::Works, "machine", found, None)
}

fn shared_memory(facts: &Facts) -> Finding {
    let path = facts.memory.path.display();
    match &facts.segment {
        Ok(()) if facts.memory.is_tmpfs == Some(false) => Finding::new(
            Level::Limited,
            "shared memory",
            format!("segments can be made in {path}, which is no tmpfs: counting may wait for a disk"),
            Some("set STORMGLASS_DIR to a directory of your own on a tmpfs, such as below /dev/shm"),
        ),
        Ok(()) => {
            Finding::new(Level::Works, "shared memory", format!("segments can be made in {path}"), None)
        }
        Err(why) => Finding::new(
            Level::Broken,
            "shared memory",
            why.clone(),
            Some("set STORMGLASS_DIR to a directory of your own (mode 700) on a tmpfs"),
        ),
    }
}

fn room(memory: &Memory) -> Finding {
    let (Some(free), Some(size)) = (memory.free, memory.size) else {
        return Finding::new(Level::Note, "room", "how much room is left there cannot be told", None);
    };
    let found = format!("{} of {} MiB are free there", free / MIB, size / MIB);
    if free < ROOM {
        let mend = "a container has 64 MiB by default: `docker run --shm-size 256m`; elsewhere `mount -o remount,size=1g /dev/shm`";
        return Finding::new(Level::Limited, "room", found, Some(mend));
    }
    Finding::new(Level::Works, "room", found, None)
}

fn library(facts: &Facts) -> Finding {
    match &facts.library {
        Ok(path) => Finding::new(Level::Works, "library", path.display().to_string(), None),
        Err(why) => Finding::new(Level::Limited, "library", why.clone(), None),
    }
}

fn preload(facts: &Facts) -> Finding {
    let what = "preload";
    match &facts.preload {
        None => Finding::new(Level::Limited, what, "not tried: there is no library", None),
        Some(Ok(())) => Finding::new(Level::Works, what, "a program ran under it and was seen", None),
        Some(Err(why)) => Finding::new(
            Level::Limited,
            what,
            why.clone(),
            Some(
                "the library must be of this C library and architecture, and on a file system that is not mounted noexec",
            ),
        ),
    }
}

fn port(facts: &Facts) -> Finding {
    match &facts.port {
        Ok(()) => Finding::new(Level::Works, "port", "127.0.0.1:7070 is free for the page", None),
        Err(why) => Finding::new(
            Level::Note,
            "port",
            format!("127.0.0.1:7070 cannot be listened on: {why}"),
            Some("perhaps a sidecar is there already; else choose another with --listen 127.0.0.1:0"),
        ),
    }
}

fn perf(perf: Perf) -> Finding {
    let what = "perf events";
    let kernel_too = "for the kernel's share and those of other users: `sysctl kernel.perf_event_paranoid=0`, or CAP_PERFMON";
    match (perf.paranoid, perf.unit) {
        (None, _) => Finding::new(
            Level::Limited,
            what,
            "the kernel has none",
            Some("it takes a kernel with CONFIG_PERF_EVENTS, and a container that shows /proc/sys"),
        ),
        (Some(level), false) => Finding::new(
            Level::Limited,
            what,
            format!("software events alone (perf_event_paranoid is {level}): there is no performance unit"),
            Some(
                "a virtual machine has one only if its host hands it on; a physical one should. `serve --perf` and `run --perf` count \
                 faults, switches and time nevertheless; `check` says of the rest that it is not available",
            ),
        ),
        (Some(level), true) if perf.capable || level <= 1 => Finding::new(
            Level::Works,
            what,
            format!("hardware and software (perf_event_paranoid is {level}): {PERF}"),
            None,
        ),
        (Some(2), true) => Finding::new(
            Level::Works,
            what,
            format!("hardware and software, of this user's own code (perf_event_paranoid is 2): {PERF}"),
            Some(kernel_too),
        ),
        (Some(level), true) => Finding::new(
            Level::Limited,
            what,
            format!("forbidden (perf_event_paranoid is {level})"),
            Some("`sysctl kernel.perf_event_paranoid=2` allows them for one's own processes"),
        ),
    }
}

fn huge_pages(setting: Option<&str>) -> Finding {
    let what = "huge pages";
    match setting {
        None => Finding::new(Level::Note, what, "the kernel has no transparent ones", None),
        Some("never") => Finding::new(
            Level::Note,
            what,
            "transparent ones are off",
            Some(
                "with many live bytes more misses of the TLB: `echo madvise > /sys/kernel/mm/transparent_hugepage/enabled`",
            ),
        ),
        Some("always") => Finding::new(
            Level::Note,
            what,
            "transparent ones everywhere: memory that was given back may come back whole",
            Some(
                "where resident memory matters more than speed: `echo madvise > /sys/kernel/mm/transparent_hugepage/enabled`",
            ),
        ),
        Some(setting) => Finding::new(Level::Works, what, format!("transparent ones: {setting}"), None),
    }
}

fn overcommit(setting: Option<u32>) -> Finding {
    match setting {
        Some(2) => Finding::new(
            Level::Limited,
            "overcommit",
            "vm.overcommit_memory is 2: the kernel counts what is reserved as if it were used",
            Some("`sysctl vm.overcommit_memory=0`, or more swap and vm.overcommit_ratio"),
        ),
        Some(setting) => {
            Finding::new(Level::Works, "overcommit", format!("vm.overcommit_memory is {setting}"), None)
        }
        None => Finding::new(Level::Note, "overcommit", "the kernel does not say", None),
    }
}

fn address_space(limit: Option<u64>) -> Finding {
    match limit {
        Some(limit) if limit < RESERVED => Finding::new(
            Level::Limited,
            "address space",
            format!("limited to {} MiB", limit / MIB),
            Some(
                "the allocator reserves address space that it does not use: `ulimit -v unlimited`; to limit memory set STORMGLASS_LIMIT",
            ),
        ),
        _ => Finding::new(Level::Works, "address space", "as much as an allocator reserves", None),
    }
}

fn map_count(count: Option<u64>) -> Finding {
    match count {
        Some(count) if count < MAPPINGS => Finding::new(
            Level::Limited,
            "mappings",
            format!("vm.max_map_count is {count}"),
            Some("a program with many large allocations needs more: `sysctl vm.max_map_count=65530`"),
        ),
        Some(count) => Finding::new(Level::Works, "mappings", format!("vm.max_map_count is {count}"), None),
        None => Finding::new(Level::Note, "mappings", "the kernel does not say", None),
    }
}

fn open_files(limit: Option<u64>) -> Finding {
    match limit {
        Some(limit) if limit < FILES => Finding::new(
            Level::Limited,
            "open files",
            format!("limited to {limit}: the sidecar holds one a process and one a client"),
            Some("`ulimit -n 1024`, or LimitNOFILE= in the unit"),
        ),
        Some(limit) => Finding::new(Level::Works, "open files", format!("up to {limit}"), None),
        None => Finding::new(Level::Works, "open files", "no limit", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts {
            kernel: "6.12.0".to_owned(),
            cores: 8,
            container: None,
            memory: Memory {
                path: "/dev/shm/stormglass-1000".into(),
                is_tmpfs: Some(true),
                size: Some(8192 * MIB),
                free: Some(8000 * MIB),
            },
            segment: Ok(()),
            library: Ok("/usr/lib/libstormglass.so".into()),
            preload: Some(Ok(())),
            port: Ok(()),
            perf: Perf { paranoid: Some(2), unit: true, capable: false },
            huge_pages: Some("madvise".to_owned()),
            overcommit: Some(0),
            map_count: Some(65_530),
            address_space: None,
            open_files: Some(1024),
        }
    }

    fn of<'a>(all: &'a [Finding], what: &str) -> &'a Finding {
        all.iter().find(|finding| finding.what == what).expect("it is looked at")
    }

    #[test]
    fn on_a_good_machine_everything_works() {
        assert!(findings(&good()).iter().all(|finding| finding.level == Level::Works));
    }

    #[test]
    fn without_shared_memory_nothing_works_and_it_says_what_to_set() {
        let facts = Facts { segment: Err("/dev/shm is not there".to_owned()), ..good() };
        let all = findings(&facts);
        let found = of(&all, "shared memory");
        assert_eq!(found.level, Level::Broken);
        assert!(found.mend.as_ref().is_some_and(|mend| mend.contains("STORMGLASS_DIR")));
    }

    #[test]
    fn whatever_is_not_well_says_how_to_mend_it() {
        let bad = Facts {
            cores: 1,
            container: Some("docker".to_owned()),
            memory: Memory { is_tmpfs: Some(false), free: Some(MIB), ..good().memory },
            library: Err("there is no libstormglass.so: `cargo build --release` makes it".to_owned()),
            preload: Some(Err("it does not load".to_owned())),
            port: Err("it is taken".to_owned()),
            perf: Perf { paranoid: Some(4), unit: true, capable: false },
            huge_pages: Some("never".to_owned()),
            overcommit: Some(2),
            map_count: Some(100),
            address_space: Some(1 << 30),
            open_files: Some(64),
            ..good()
        };
        let all = findings(&bad);
        assert!(all.iter().all(|finding| finding.level != Level::Works), "{all:?}");
        for finding in all {
            // What is missing of a library stands in the sentence itself.
            assert!(finding.mend.is_some() || finding.what == "library", "{}", finding.what);
        }
    }

    #[test]
    fn perf_events_are_told_by_what_allows_them() {
        let level = |paranoid, unit, capable| perf(Perf { paranoid, unit, capable }).level;
        assert_eq!(level(Some(4), true, true), Level::Works, "a capability is enough");
        assert_eq!(level(Some(-1), true, false), Level::Works);
        assert_eq!(level(Some(3), true, false), Level::Limited);
        assert_eq!(level(Some(2), false, false), Level::Limited, "a machine without a unit");
        assert_eq!(level(None, true, true), Level::Limited);
    }
}
