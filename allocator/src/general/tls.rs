//! The calling thread's heap, by a thread-local pointer.
//!
//! A `thread_local!` without destructor costs one instruction in a program and asks nothing of the loader. In a shared object it
//! would be a call of `__tls_get_addr`, which may allocate; the feature `initial-exec`, which the preloaded library turns
//! on, takes the variable's place from the thread's own block instead.

use super::thread::ThreadHeap;

/// What stands where the heap's address would: the thread has none any more, or could get none, and shares one.
pub(super) const SHARES: *mut ThreadHeap = core::ptr::without_provenance_mut(1);

/// Whether a pointer from [`get`] is that of a heap.
#[inline]
pub(super) fn is_heap(heap: *mut ThreadHeap) -> bool {
    heap.addr() > SHARES.addr()
}

#[cfg(not(feature = "initial-exec"))]
mod place {
    use core::cell::Cell;
    use core::ptr::null_mut;

    use super::ThreadHeap;

    thread_local! {
        static HEAP: Cell<*mut ThreadHeap> = const { Cell::new(null_mut()) };
    }

    /// The calling thread's heap; null before it has one.
    #[inline]
    pub(in crate::general) fn get() -> *mut ThreadHeap {
        HEAP.with(Cell::get)
    }

    pub(in crate::general) fn set(heap: *mut ThreadHeap) {
        HEAP.with(|place| place.set(heap));
    }
}

#[cfg(feature = "initial-exec")]
mod place {
    use super::ThreadHeap;

    core::arch::global_asm!(
        ".section .tbss.stormglass_thread_heap,\"awT\",@nobits",
        ".balign 8",
        ".globl stormglass_thread_heap",
        ".hidden stormglass_thread_heap",
        ".type stormglass_thread_heap, @object",
        ".size stormglass_thread_heap, 8",
        "stormglass_thread_heap:",
        ".zero 8",
        ".previous",
    );

    /// Where the calling thread keeps the pointer.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn place() -> *mut *mut ThreadHeap {
        let place;
        // SAFETY: reads the thread pointer and the variable's offset from it, which the loader has written before any code of this
        // object runs; neither changes in a thread's life.
        unsafe {
            core::arch::asm!(
                "mov {place}, qword ptr fs:[0]",
                "add {place}, qword ptr [rip + stormglass_thread_heap@GOTTPOFF]",
                place = out(reg) place,
                options(pure, readonly, nostack),
            );
        }
        place
    }

    /// Where the calling thread keeps the pointer.
    #[cfg(target_arch = "aarch64")]
    #[inline]
    fn place() -> *mut *mut ThreadHeap {
        let place;
        // SAFETY: as on x86-64.
        unsafe {
            core::arch::asm!(
                "mrs {place}, tpidr_el0",
                "adrp {offset}, :gottprel:stormglass_thread_heap",
                "ldr {offset}, [{offset}, :gottprel_lo12:stormglass_thread_heap]",
                "add {place}, {place}, {offset}",
                place = out(reg) place,
                offset = out(reg) _,
                options(pure, readonly, nostack),
            );
        }
        place
    }

    /// The calling thread's heap; null before it has one.
    #[inline]
    pub(in crate::general) fn get() -> *mut ThreadHeap {
        // SAFETY: the thread's own variable, aligned, zero at first.
        unsafe { place().read() }
    }

    pub(in crate::general) fn set(heap: *mut ThreadHeap) {
        // SAFETY: as in `get`.
        unsafe { place().write(heap) }
    }
}

pub(super) use place::{get, set};
