//! A read-only view of a segment's file.
//!
//! Invariant: no byte outside the mapping is touched, and what has been cut off from the file since it was mapped reads as
//! zeros and is noticed (sigbus.rs).

use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::os::fd::OwnedFd;

use rustix::mm::{Advice, MapFlags, ProtFlags};

use crate::error::Problem;
use crate::sigbus;

/// The file's first bytes.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is read through atomics only, and belongs to this value.
unsafe impl Send for Mapping {}

/// The words of a mapping, while it is watched for pages that go.
#[derive(Clone, Copy)]
pub(crate) struct View<'a>(&'a Mapping);

impl Mapping {
    pub(crate) fn of(file: &OwnedFd, len: u64) -> Result<Mapping, Problem> {
        sigbus::install();
        let len = len as usize;
        // SAFETY: a new mapping at an address of the kernel's choice aliases nothing.
        let start = unsafe {
            rustix::mm::mmap(core::ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, file, 0)
        };
        let start = start.map_err(|errno| Problem::System("map it", errno))?;
        let start = NonNull::new(start.cast()).ok_or(Problem::Malformed("it maps to address 0"))?;
        Ok(Mapping { start, len })
    }

    /// Bytes of the file that are mapped.
    pub(crate) fn len(&self) -> u64 {
        self.len as u64
    }

    /// What `read` makes of the words; none if the file was cut off meanwhile, and then this mapping is of no more use.
    pub(crate) fn watched<T>(&self, read: impl FnOnce(View<'_>) -> T) -> Option<T> {
        sigbus::watched(self.start, self.len, || read(View(self)))
    }

    /// Lets go of the whole pages between the parts of `keep`, which rise: they stay in the file and come back when they are
    /// read, but are not resident in this process meanwhile.
    pub(crate) fn let_go(&self, keep: impl IntoIterator<Item = Range<usize>>) {
        let page = rustix::param::page_size();
        for gap in gaps(keep, self.len, page) {
            // SAFETY: inside the mapping, by `gaps`; of a shared mapping that is only read it drops no data, and a load that
            // runs beside it finds its page again. It cannot fail in a way that matters: what it does not let go of stays.
            let _ = unsafe {
                let start = self.start.add(gap.start).as_ptr().cast();
                rustix::mm::madvise(start, gap.len(), Advice::LinuxDontNeed)
            };
        }
    }
}

/// The whole pages of `0..len` that no part of `keep` touches; the parts rise.
fn gaps(
    keep: impl IntoIterator<Item = Range<usize>>,
    len: usize,
    page: usize,
) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    let end = core::iter::once(len..len);
    keep.into_iter().chain(end).filter_map(move |part| {
        let gap = from..part.start.min(len) / page * page;
        from = part.end.next_multiple_of(page).max(from);
        (gap.start < gap.end).then_some(gap)
    })
}

impl<'a> View<'a> {
    /// The word at `offset`, which must lie inside and be aligned.
    pub(crate) fn word(self, offset: usize) -> &'a AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset + 4 <= self.0.len, "{offset} of {}", self.0.len);
        // SAFETY: inside the mapping and aligned, by the check; shared memory is only ever read through atomics.
        unsafe { self.0.start.add(offset).cast().as_ref() }
    }

    /// The cell at `offset`, which must lie inside and be aligned.
    pub(crate) fn cell(self, offset: usize) -> u64 {
        // Relaxed: counters publish nothing, and readers may lag.
        self.cells(offset, 1)[0].load(Ordering::Relaxed)
    }

    /// So many cells from `offset` on, which must lie inside and be aligned.
    #[inline]
    pub(crate) fn cells(self, offset: usize, cells: usize) -> &'a [AtomicU64] {
        let inside = offset.is_multiple_of(8) && offset <= self.0.len && cells <= (self.0.len - offset) / 8;
        assert!(inside, "{offset} of {}", self.0.len);
        // SAFETY: inside the mapping, whose start is a page's, and aligned, by the check; shared memory is only ever read
        // through atomics, for which any bytes are valid.
        unsafe { core::slice::from_raw_parts(self.0.start.add(offset).cast().as_ptr(), cells) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `of` made exactly this mapping, and no reference outlives the value.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::OwnedFd;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Stdio};

    use super::*;

    const PAGES: u64 = 4;
    const BYTES: u64 = PAGES * 4096;

    fn mapped() -> (File, Mapping) {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(BYTES).expect("sized");
        std::os::unix::fs::FileExt::write_all_at(&file, &[1; BYTES as usize], 0).expect("written");
        let descriptor: OwnedFd = file.try_clone().expect("duplicated").into();
        let mapping = Mapping::of(&descriptor, BYTES).expect("mapped");
        (file, mapping)
    }

    #[test]
    fn gaps_are_whole_pages_that_nothing_is_kept_of() {
        let of = |keep: &[Range<usize>]| gaps(keep.to_vec(), 100, 10).collect::<Vec<_>>();
        assert_eq!(of(&[10..10, 50..55]), [0..10, 10..50, 60..100]);
        assert_eq!(of(&[0..1, 25..31, 31..32, 90..100]), [10..20, 40..90]);
        assert!(of(&[0..1, 2..95]).is_empty());
        assert_eq!(of(&[50..60, 55..57, 200..300]), [0..50, 60..100]);
    }

    #[test]
    fn what_was_let_go_is_read_again() {
        let (file, mapping) = mapped();
        let sum = |view: View<'_>| (0..BYTES as usize / 8).fold(0, |all: u64, i| all ^ view.cell(i * 8));
        let before = mapping.watched(sum);
        mapping.let_go([0..8, 8192..8200]);
        assert_eq!(mapping.watched(sum), before);
        mapping.let_go([]);
        file.set_len(0).expect("cut");
        assert_eq!(mapping.watched(sum), None, "and a cut is noticed as before");
    }

    #[test]
    fn a_file_that_is_cut_off_while_it_is_read_is_noticed() {
        for left in [0, 4096, 2 * 4096 + 8] {
            let (file, mapping) = mapped();
            let whole = mapping.watched(|view| view.cell(BYTES as usize - 8));
            assert_eq!(whole, Some(0x0101_0101_0101_0101));
            let cut = mapping.watched(|view| {
                file.set_len(left).expect("cut");
                (0..BYTES as usize / 8).map(|i| view.cell(i * 8)).max()
            });
            assert_eq!(cut, None, "{left}");
            // What is there instead faults no more.
            assert_eq!(mapping.watched(|view| view.cell(BYTES as usize - 8)), Some(0));
        }
    }

    const ROLE: &str = "STORMGLASS_TEST_FAULT";

    /// Played in the child: a fault of a mapping that nobody watches.
    #[test]
    #[ignore = "a role, played in a child process"]
    fn fault() {
        if std::env::var_os(ROLE).is_none() {
            return;
        }
        let (file, mapping) = mapped();
        let (other_file, other) = mapped();
        other_file.set_len(0).expect("cut");
        file.set_len(BYTES).expect("whole");
        mapping.watched(|_| View(&other).cell(0));
    }

    #[test]
    fn a_fault_elsewhere_still_ends_the_process() {
        let status = Command::new(std::env::current_exe().expect("this binary"))
            .args(["mapping::tests::fault", "--exact", "--ignored"])
            .env(ROLE, "1")
            .stdout(Stdio::null())
            .status()
            .expect("a child");
        assert_eq!(status.signal(), Some(libc::SIGBUS), "{status}");
    }
}
