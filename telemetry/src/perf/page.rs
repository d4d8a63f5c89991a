//! An event read in user space, from the page that the kernel keeps of it.
//!
//! The kernel writes into the page where the event is being counted and what was counted before; the rest is in the processor's own
//! counter, which `RDPMC` reads. The page changes whenever the thread or the event is moved, so it is read under its sequence
//! count. This is the protocol of perf_event_open(2), "cap_user_rdpmc", and of the comment in the kernel's perf_event.h; x86-64 alone: on
//! other processors, and where `/sys/bus/event_source/devices/cpu/rdpmc` says 0, there is `read`.
//!
//! Invariant: a value is of one moment, or there is none.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicI64, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};
use std::os::fd::BorrowedFd;

use rustix::mm::{MapFlags, ProtFlags};

/// The start of `struct perf_event_mmap_page`.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Header {
    version: AtomicU32,
    compat_version: AtomicU32,
    /// Changes before and after each change of the rest.
    lock: AtomicU32,
    /// The processor's counter plus 1; 0 while the event is on none.
    index: AtomicU32,
    /// What is to be added to the processor's counter.
    offset: AtomicI64,
    time_enabled: AtomicU64,
    time_running: AtomicU64,
    /// Bit 2: `RDPMC` is allowed.
    capabilities: AtomicU64,
    /// Bits of the processor's counter.
    width: AtomicU16,
}

const _: () = assert!(core::mem::offset_of!(Header, lock) == 8, "as in perf_event.h");
const _: () = assert!(core::mem::offset_of!(Header, offset) == 16, "as in perf_event.h");
const _: () = assert!(core::mem::offset_of!(Header, capabilities) == 40, "as in perf_event.h");
const _: () = assert!(core::mem::offset_of!(Header, width) == 48, "as in perf_event.h");

/// `cap_user_rdpmc`.
const MAY_RDPMC: u64 = 1 << 2;
/// Looks at the page before a value is given up: it changes when the thread is moved, which takes longer than this by far.
const LOOKS: u32 = 16;

impl Header {
    /// The count now; none while the event is not on a counter, or where user space may not read it.
    fn value(&self, counter: impl Fn(u32) -> u64) -> Option<u64> {
        for _ in 0..LOOKS {
            // Acquire: what follows is read after it. The kernel writes on this thread's own processor, so that nothing more is
            // needed than that the order stays.
            let lock = self.lock.load(Ordering::Acquire);
            let index = self.index.load(Ordering::Relaxed);
            if index == 0 || self.capabilities.load(Ordering::Relaxed) & MAY_RDPMC == 0 {
                return None;
            }
            let offset = self.offset.load(Ordering::Relaxed);
            let unused = 64 - u32::from(self.width.load(Ordering::Relaxed).clamp(1, 64));
            // The counter is signed and narrower than a word.
            let count = (counter(index - 1) << unused).cast_signed() >> unused;
            fence(Ordering::Acquire);
            if self.lock.load(Ordering::Relaxed) == lock {
                return Some(offset.wrapping_add(count).cast_unsigned());
            }
        }
        None
    }

    /// Whether the event could be read in user space as it stands.
    fn is_readable(&self) -> bool {
        cfg!(target_arch = "x86_64") && self.value(|_| 0).is_some()
    }
}

/// The page of one event of the calling thread; known to this module alone.
#[derive(Debug)]
pub struct Page(NonNull<Header>);

impl Page {
    /// Maps the page of an event; none where user space cannot read the event by it. It keeps the event open.
    pub(super) fn map(event: BorrowedFd<'_>) -> Option<Page> {
        let size = rustix::param::page_size();
        // SAFETY: a new mapping at an address of the kernel's choice aliases nothing.
        let start = unsafe {
            rustix::mm::mmap(core::ptr::null_mut(), size, ProtFlags::READ, MapFlags::SHARED, event, 0)
        };
        let page = Page(NonNull::new(start.ok()?.cast())?);
        if page.header().is_readable() {
            return Some(page);
        }
        page.unmap();
        None
    }

    fn header(&self) -> &Header {
        // SAFETY: mapped until `unmap` takes the page; the kernel writes it, and it is read through atomics alone.
        unsafe { self.0.as_ref() }
    }

    /// The count now, of the calling thread, whose event it must be.
    pub(super) fn value(&self) -> Option<u64> {
        self.header().value(counter)
    }

    /// Not in a forked child, where the mapping is not.
    pub(super) fn unmap(self) {
        // SAFETY: our own mapping, which nobody knows any more.
        let _ = unsafe { rustix::mm::munmap(self.0.as_ptr().cast(), rustix::param::page_size()) };
    }
}

/// The processor's counter.
#[cfg(target_arch = "x86_64")]
fn counter(index: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the page says that the kernel lets user space do this, and which counter; it touches no memory. The order against the
    // page's words is kept because the block may touch memory, for all that the compiler knows.
    unsafe { core::arch::asm!("rdpmc", in("ecx") index, out("eax") low, out("edx") high, options(nostack)) };
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(not(target_arch = "x86_64"))]
fn counter(_index: u32) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(index: u32, offset: i64, width: u16) -> Header {
        let page = Header::default();
        page.index.store(index, Ordering::Relaxed);
        page.offset.store(offset, Ordering::Relaxed);
        page.width.store(width, Ordering::Relaxed);
        page.capabilities.store(MAY_RDPMC, Ordering::Relaxed);
        page
    }

    #[test]
    fn a_value_is_the_offset_and_the_signed_counter() {
        assert_eq!(page(3, 1000, 48).value(|index| u64::from(index) + 5), Some(1007), "counter 2");
        // The kernel starts counters below 0, so that they overflow in time; the bits above the width are noise.
        let minus_one = (1_u64 << 48) - 1;
        assert_eq!(page(1, 1000, 48).value(|_| minus_one), Some(999));
        assert_eq!(page(1, 1000, 48).value(|_| minus_one | 0xFFFF << 48), Some(999));
        assert_eq!(page(1, -1, 64).value(|_| 0), Some(u64::MAX));
    }

    #[test]
    fn an_event_that_is_on_no_counter_has_no_value() {
        assert_eq!(page(0, 1000, 48).value(|_| 5), None);
        let forbidden = page(1, 1000, 48);
        forbidden.capabilities.store(!MAY_RDPMC, Ordering::Relaxed);
        assert_eq!(forbidden.value(|_| 5), None);
    }

    #[test]
    fn a_page_that_changes_meanwhile_is_read_again() {
        let page = page(1, 1000, 48);
        let value = page.value(|index| {
            // The thread is moved while the first counter is read: now it is another one.
            if index == 0 {
                page.lock.fetch_add(2, Ordering::Relaxed);
                page.index.store(2, Ordering::Relaxed);
                page.offset.store(2000, Ordering::Relaxed);
            }
            u64::from(index)
        });
        assert_eq!(value, Some(2001));
    }

    #[test]
    fn a_page_that_never_rests_is_given_up() {
        let page = page(1, 1000, 48);
        let value = page.value(|_| {
            page.lock.fetch_add(1, Ordering::Relaxed);
            0
        });
        assert_eq!(value, None);
    }
}
