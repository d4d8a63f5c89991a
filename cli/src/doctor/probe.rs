//! Looks at this machine.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use rustix::process::{Resource, getrlimit};
use stormglass_telemetry::{Directory, Segment};

use super::findings::{Facts, Memory, Perf};
use crate::failure::Failure;
use crate::{run, shared_memory};

/// Of a tmpfs (statfs(2)).
const TMPFS: u64 = 0x0102_1994;
/// Bits of `CapEff` (capabilities(7)).
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
/// A program that does nothing, and is everywhere.
const PROGRAM: &str = "/bin/true";

pub(super) fn probe() -> Facts {
    let directory = Directory::from_env();
    let segment = shared_memory::check().map_err(|failure| failure.sentence().to_owned());
    let library = run::library().map_err(|failure| failure.sentence().to_owned());
    Facts {
        kernel: text("/proc/sys/kernel/osrelease").unwrap_or_else(|| "of an unknown version".to_owned()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        container: container(),
        memory: memory(directory.path()),
        preload: library.is_ok().then(|| preload().map_err(|failure| failure.sentence().to_owned())),
        segment,
        library,
        port: TcpListener::bind((Ipv4Addr::LOCALHOST, 7070)).map(drop).map_err(|e| e.to_string()),
        perf: perf(),
        huge_pages: text("/sys/kernel/mm/transparent_hugepage/enabled").as_deref().and_then(chosen),
        overcommit: number("/proc/sys/vm/overcommit_memory"),
        map_count: number("/proc/sys/vm/max_map_count"),
        address_space: getrlimit(Resource::As).current,
        open_files: getrlimit(Resource::Nofile).current,
    }
}

fn text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn number<T: std::str::FromStr>(path: &str) -> Option<T> {
    text(path)?.parse().ok()
}

/// The word in brackets.
fn chosen(setting: &str) -> Option<String> {
    let (_, rest) = setting.split_once('[')?;
    rest.split_once(']').map(|(word, _)| word.to_owned())
}

fn container() -> Option<String> {
    if let Some(kind) = std::env::var_os("container") {
        return Some(kind.to_string_lossy().into_owned());
    }
    if Path::new("/run/.containerenv").exists() {
        return Some("podman".to_owned());
    }
    if Path::new("/.dockerenv").exists() {
        return Some("docker".to_owned());
    }
    let groups = text("/proc/1/cgroup").unwrap_or_default();
    ["kubepods", "docker", "lxc"].into_iter().find(|kind| groups.contains(kind)).map(str::to_owned)
}

fn memory(path: &Path) -> Memory {
    // A directory that is not there yet will be made in the one above.
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(path);
    let stat = rustix::fs::statfs(there).ok();
    let bytes = |blocks: u64| stat.as_ref().map(|stat| blocks.saturating_mul(stat.f_bsize as u64));
    Memory {
        path: path.to_owned(),
        is_tmpfs: stat.as_ref().map(|stat| stat.f_type as u64 == TMPFS),
        size: stat.as_ref().and_then(|stat| bytes(stat.f_blocks)),
        free: stat.as_ref().and_then(|stat| bytes(stat.f_bavail)),
    }
}

/// Runs programs under the library: one that does nothing must end well, one that allocates must be seen.
fn preload() -> Result<(), Failure> {
    let place = run::Place::make()?;
    let this = std::env::current_exe()
        .map_err(|e| Failure::failed(format!("this program cannot find itself: {e}")))?;
    let version = [this.into_os_string(), "--version".into()];
    for words in [&[PROGRAM.into()][..], &version] {
        let name = words[0].to_string_lossy();
        let output = run::preloaded(words, place.directory())?
            .output()
            .map_err(|e| Failure::failed(format!("{name} cannot be started: {e}")))?;
        let said = String::from_utf8_lossy(&output.stderr);
        // The loader goes on without a library that it cannot load, and says so.
        if !output.status.success() || said.contains("cannot be preloaded") {
            return Err(Failure::failed(format!(
                "{name} under the library: {}, {}",
                output.status,
                said.trim()
            )));
        }
    }
    let segments = place.directory().scan().unwrap_or_default();
    if segments.iter().any(|path| Segment::open(path).is_ok()) {
        return Ok(());
    }
    Err(Failure::failed("a program ran under the library and was not seen: no segment appeared"))
}

/// What can be told without opening an event.
fn perf() -> Perf {
    let status = text("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
    let unit = fs::read_dir("/sys/bus/event_source/devices").is_ok_and(|devices| {
        devices.flatten().any(|device| {
            let name = device.file_name();
            // One of a kind of core each, where there are several kinds.
            name.to_string_lossy().starts_with("cpu") || name.to_string_lossy().starts_with("armv8")
        })
    });
    Perf {
        paranoid: number("/proc/sys/kernel/perf_event_paranoid"),
        unit,
        capable: effective & (1 << CAP_SYS_ADMIN | 1 << CAP_PERFMON) != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_word_stands_in_brackets() {
        assert_eq!(chosen("always [madvise] never").as_deref(), Some("madvise"));
        assert_eq!(chosen("always"), None);
    }

    #[test]
    fn a_directory_that_is_not_there_is_judged_by_the_one_above() {
        let memory = memory(Path::new("/proc/self/nowhere/below"));
        assert_eq!(memory.is_tmpfs, Some(false));
    }
}
