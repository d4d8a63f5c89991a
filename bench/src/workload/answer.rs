//! What every workload checks of the allocator at its end: no two blocks overlap.

use std::ptr::NonNull;

use super::Trouble;

/// A block that the workload holds, and the size it asked for.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) address: NonNull<u8>,
    pub(super) size: usize,
}

// SAFETY: a `Held` is the only handle on its block, which belongs to no thread: a pool's block may be used and freed by
// whichever thread holds it, and moving the handle is how it is handed over.
unsafe impl Send for Held {}

/// An error if two of the blocks share a byte.
pub(super) fn distinct<'a>(blocks: impl Iterator<Item = &'a Held>) -> Result<(), Trouble> {
    let mut spans: Vec<(usize, usize)> = blocks.map(|b| (b.address.addr().get(), b.size)).collect();
    spans.sort_unstable();
    for pair in spans.windows(2) {
        let ((low, size), (high, _)) = (pair[0], pair[1]);
        if low + size > high {
            return Err(Trouble::Answer(format!(
                "the block of {size} bytes at {low:#x} and the one at {high:#x} overlap, and both are held"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(address: usize, size: usize) -> Held {
        Held { address: NonNull::without_provenance(address.try_into().expect("not null")), size }
    }

    #[test]
    fn neighbours_are_distinct_and_overlaps_are_found() {
        assert!(distinct([held(4096, 4096), held(8192, 100), held(1024, 3072)].iter()).is_ok());
        let twice = distinct([held(4096, 10), held(8192, 10), held(4096, 10)].iter());
        assert!(matches!(twice, Err(Trouble::Answer(_))));
        assert!(distinct([held(4096, 4097), held(8192, 10)].iter()).is_err());
    }
}
