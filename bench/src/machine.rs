//! The facts of the machine that a result belongs to, from `/proc`.
//!
//! Invariant: what cannot be read is said to be unknown; nothing here fails, and nothing names the host.

use std::fs;

use serde::{Deserialize, Serialize};

/// The machine that measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Model of the processor as it calls itself.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory in bytes; 0 if it cannot be read.
    pub memory_bytes: u64,
    /// Release of the kernel.
    pub kernel: String,
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn this() -> Machine {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let kernel = read("/proc/sys/kernel/osrelease");
        Machine {
            cpu: cpu(&read("/proc/cpuinfo")).unwrap_or_else(|| format!("unknown {}", std::env::consts::ARCH)),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_bytes: memory(&read("/proc/meminfo")).unwrap_or(0),
            kernel: if kernel.trim().is_empty() { "unknown".to_owned() } else { kernel.trim().to_owned() },
        }
    }

    /// One line for the head of a table.
    pub fn line(&self) -> String {
        let gib = self.memory_bytes as f64 / f64::from(1 << 30);
        let cores = if self.cores == 1 { "1 core".to_owned() } else { format!("{} cores", self.cores) };
        format!("{}, {cores}, {gib:.0} GiB, Linux {}", self.cpu, self.kernel)
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name && !value.trim().is_empty()).then(|| value.trim())
    })
}

/// The processor's model: x86 says a name, Arm says numbers.
fn cpu(cpuinfo: &str) -> Option<String> {
    if let Some(name) = field(cpuinfo, "model name") {
        return Some(name.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let implementer = field(cpuinfo, "CPU implementer")?;
    let part = field(cpuinfo, "CPU part")?;
    Some(format!("Arm implementer {implementer} part {part}"))
}

fn memory(meminfo: &str) -> Option<u64> {
    let kib = field(meminfo, "MemTotal")?.strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x86_says_a_name() {
        let text =
            "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R)  Xeon(R) CPU @ 2.00GHz\n";
        assert_eq!(cpu(text).as_deref(), Some("Intel(R) Xeon(R) CPU @ 2.00GHz"));
    }

    #[test]
    fn arm_says_numbers() {
        let text = "processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd40\n";
        assert_eq!(cpu(text).as_deref(), Some("Arm implementer 0x41 part 0xd40"));
        assert_eq!(cpu("nothing here"), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        assert_eq!(memory("MemTotal:       24683520 kB\nMemFree: 1 kB\n"), Some(24_683_520 * 1024));
        assert_eq!(memory(""), None);
    }

    #[test]
    fn a_line_has_every_fact() {
        let machine = Machine { cpu: "Z80".into(), cores: 1, memory_bytes: 3 << 30, kernel: "6.1.0".into() };
        assert_eq!(machine.line(), "Z80, 1 core, 3 GiB, Linux 6.1.0");
        assert!(Machine::this().cores > 0);
    }
}
