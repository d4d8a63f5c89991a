//! How much of a process lies in memory, by the kernel's count.

/// Resident bytes of a process of this pid namespace: field 2 of its `statm` (proc(5)), which is in pages. `None` where it
/// has gone or cannot be read.
pub(crate) fn bytes(pid: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_that_this_process_touches_becomes_resident() {
        const BYTES: usize = 64 << 20;
        let before = super::bytes(std::process::id()).expect("this process");
        let touched = vec![1_u8; BYTES];
        let after = super::bytes(std::process::id()).expect("this process");
        drop(std::hint::black_box(touched));
        // Other tests run beside this one, and may free something meanwhile.
        assert!(after > before + BYTES as u64 / 2, "{before} to {after}");
    }

    #[test]
    fn no_process_has_no_resident_memory() {
        assert_eq!(super::bytes(u32::MAX), None);
    }
}
