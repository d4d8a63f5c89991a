//! What is known of the machine and of this process when the kernel refuses an event.

use std::fs;

/// What decides who may count what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// `kernel.perf_event_paranoid`; none where it cannot be read.
    pub paranoid: Option<i32>,
    /// Whether a seccomp filter is over this process.
    pub filtered: bool,
    /// Whether this process has CAP_PERFMON or CAP_SYS_ADMIN.
    pub capable: bool,
    /// Whether the kernel knows a PMU of the processor.
    pub pmu: bool,
}

impl Circumstances {
    /// Those of the calling thread, now: filters and capabilities are a thread's.
    pub fn here() -> Circumstances {
        let setting = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok();
        let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        Circumstances {
            paranoid: setting.and_then(|text| text.trim().parse().ok()),
            filtered: field(&status, "Seccomp:").is_some_and(|mode| mode == "2"),
            capable: field(&status, "CapEff:").is_some_and(is_capable),
            pmu: names("/sys/bus/event_source/devices").any(|name| is_pmu(&name)),
        }
    }
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Whether a mask of capabilities has 21 (SYS_ADMIN) or 38 (PERFMON), see capability.h.
fn is_capable(mask: &str) -> bool {
    u64::from_str_radix(mask, 16).is_ok_and(|mask| mask & (1 << 21 | 1 << 38) != 0)
}

fn names(directory: &str) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// Whether a source of events is the processor's: `cpu`, on machines with unlike cores `cpu_core` and `cpu_atom`, on ARM
/// `armv8_pmuv3_0` and the like.
fn is_pmu(name: &str) -> bool {
    name == "cpu" || name.starts_with("cpu_") || (name.starts_with("armv") && name.contains("pmu"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says_is_read() {
        assert_eq!(field("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n", "Seccomp:"), Some("2"));
        assert!(is_capable("000001ffffffffff") && is_capable("0000004000000000"));
        assert!(!is_capable("0000000000000000") && !is_capable("0000000000080000"));
        for (name, is) in [
            ("cpu", true),
            ("cpu_atom", true),
            ("armv8_pmuv3_0", true),
            ("software", false),
            ("msr", false),
            ("uncore_imc_0", false),
        ] {
            assert_eq!(is_pmu(name), is, "{name}");
        }
        assert!(Circumstances::here().paranoid.is_some());
    }
}
