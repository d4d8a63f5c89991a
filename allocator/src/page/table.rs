//! A table whose entries take no memory before they are used.
//!
//! Invariant: every entry is zero until somebody changes it.

#[cfg(not(loom))]
use rustix::io::Errno;

/// All-zero bytes are a valid value, and only shared references to it are ever needed.
///
/// # Safety
/// That must be so.
pub(super) unsafe trait Zeroed: Sync {
    /// What zeroes mean.
    #[cfg(loom)]
    fn zeroed() -> Self;
}

#[cfg(not(loom))]
pub(super) struct Table<T> {
    entries: core::ptr::NonNull<T>,
    len: usize,
}

#[cfg(loom)]
pub(super) struct Table<T>(Vec<T>);

#[cfg(not(loom))]
impl<T: Zeroed> Table<T> {
    /// Reserves address space for `len` entries; the kernel backs what is touched.
    pub(super) fn reserve(len: usize) -> Result<Table<T>, Errno> {
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
        const { assert!(align_of::<T>() <= 4096, "a mapping starts at a page of the machine") };
        let bytes = len.checked_mul(size_of::<T>()).filter(|&bytes| bytes > 0).ok_or(Errno::INVAL)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice aliases nothing.
        let start = unsafe {
            mmap_anonymous(core::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, flags)
        }?;
        Ok(Table { entries: core::ptr::NonNull::new(start.cast()).ok_or(Errno::NOMEM)?, len })
    }

    pub(super) fn entries(&self) -> &[T] {
        // SAFETY: `reserve` mapped `len` entries, aligned; the kernel zeroed them, which is a value of `T` (`Zeroed`); the
        // mapping stays until drop, and no exclusive reference is ever made.
        unsafe { core::slice::from_raw_parts(self.entries.as_ptr(), self.len) }
    }
}

#[cfg(not(loom))]
impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping that `reserve` made; references into it borrow the table. Nothing can be done
        // if it fails.
        let _ = unsafe { rustix::mm::munmap(self.entries.as_ptr().cast(), self.len * size_of::<T>()) };
    }
}

// SAFETY: the table owns its mapping, and gives out only shared references to entries, which are `Sync`.
#[cfg(not(loom))]
unsafe impl<T: Zeroed> Send for Table<T> {}
// SAFETY: as for `Send`.
#[cfg(not(loom))]
unsafe impl<T: Zeroed> Sync for Table<T> {}

#[cfg(loom)]
impl<T: Zeroed> Table<T> {
    /// A small table for a model.
    pub(super) fn model(len: usize) -> Table<T> {
        Table((0..len).map(|_| T::zeroed()).collect())
    }

    pub(super) fn entries(&self) -> &[T] {
        &self.0
    }
}
