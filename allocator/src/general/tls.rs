//! The calling thread's heap and its front, by two thread-local pointers.
//!
//! The front is what the short ways use (front.rs), and is [`nobody`] unless the thread has a heap and may use it: so they ask
//! nothing but what is in the front. The heap is what the long ways find.
//!
//! A `thread_local!` without destructor costs one instruction in a program and asks nothing of the loader. In a shared object it
//! would be a call of `__tls_get_addr`, which may allocate; the feature `initial-exec`, which the preloaded library turns
//! on, takes the variables' place from the thread's own block instead.
//!
//! Invariant: the front is nobody's, or that of the heap to which the other pointer points.

use super::front::{Front, nobody};
use super::thread::ThreadHeap;

/// What stands where the heap's address would: the thread has none any more, or could get none, and shares one.
pub(super) const SHARES: *mut ThreadHeap = core::ptr::without_provenance_mut(1);

/// Whether a pointer from [`get`] is that of a heap.
#[inline]
pub(super) fn is_heap(heap: *mut ThreadHeap) -> bool {
    heap.addr() > SHARES.addr()
}

/// Sends the calling thread the long way from now on.
pub(super) fn leave_front() {
    place::set_front(nobody());
}

/// The front for the short ways.
#[inline]
pub(super) fn front() -> &'static Front {
    // SAFETY: nobody's, or that of a home, and neither ever goes away.
    unsafe { &*place::front() }
}

#[cfg(not(feature = "initial-exec"))]
mod place {
    use core::cell::Cell;
    use core::ptr::null_mut;

    use super::super::front::nobody;
    use super::{Front, ThreadHeap};

    thread_local! {
        static FRONT: Cell<*const Front> = const { Cell::new(nobody()) };
        static HEAP: Cell<*mut ThreadHeap> = const { Cell::new(null_mut()) };
    }

    #[inline]
    pub(super) fn front() -> *const Front {
        FRONT.with(Cell::get)
    }

    pub(in crate::general) fn set_front(front: *const Front) {
        FRONT.with(|place| place.set(front));
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
    use super::{Front, ThreadHeap};

    /// Where the two pointers are.
    #[repr(C)]
    struct Pointers {
        front: *const Front,
        heap: *mut ThreadHeap,
    }

    // As the C compiler makes of `__thread struct pointers stormglass_thread = { &stormglass_nobody, 0 }`: each thread begins with a copy
    // of these words, the first of which the loader has relocated.
    core::arch::global_asm!(
        ".section .tdata.stormglass_thread,\"awT\",@progbits",
        ".balign 16",
        ".globl stormglass_thread",
        ".hidden stormglass_thread",
        ".type stormglass_thread, @object",
        ".size stormglass_thread, 16",
        "stormglass_thread:",
        ".quad {nobody}",
        ".quad 0",
        ".previous",
        nobody = sym super::super::front::NOBODY,
    );

    /// Where the calling thread keeps them.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn place() -> *mut Pointers {
        let place;
        // SAFETY: reads the thread pointer and the variable's offset from it, which the loader has written before any code of this
        // object runs; neither changes in a thread's life.
        unsafe {
            core::arch::asm!(
                "mov {place}, qword ptr fs:[0]",
                "add {place}, qword ptr [rip + stormglass_thread@GOTTPOFF]",
                place = out(reg) place,
                options(pure, readonly, nostack),
            );
        }
        place
    }

    /// Where the calling thread keeps them.
    #[cfg(target_arch = "aarch64")]
    #[inline]
    fn place() -> *mut Pointers {
        let place;
        // SAFETY: as on x86-64.
        unsafe {
            core::arch::asm!(
                "mrs {place}, tpidr_el0",
                "adrp {offset}, :gottprel:stormglass_thread",
                "ldr {offset}, [{offset}, :gottprel_lo12:stormglass_thread]",
                "add {place}, {place}, {offset}",
                place = out(reg) place,
                offset = out(reg) _,
                options(pure, readonly, nostack),
            );
        }
        place
    }

    /// One load by way of the thread pointer, where there is an instruction for that.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(super) fn front() -> *const Front {
        let front;
        // SAFETY: as in `place`: the first of the two words.
        unsafe {
            core::arch::asm!(
                "mov {front}, qword ptr [rip + stormglass_thread@GOTTPOFF]",
                "mov {front}, qword ptr fs:[{front}]",
                front = out(reg) front,
                options(readonly, nostack, preserves_flags),
            );
        }
        front
    }

    #[cfg(not(target_arch = "x86_64"))]
    #[inline]
    pub(super) fn front() -> *const Front {
        // SAFETY: the thread's own words, aligned, valid from its start.
        unsafe { (*place()).front }
    }

    pub(in crate::general) fn set_front(front: *const Front) {
        // SAFETY: as in `front`.
        unsafe { (*place()).front = front };
    }

    /// The calling thread's heap; null before it has one.
    #[inline]
    pub(in crate::general) fn get() -> *mut ThreadHeap {
        // SAFETY: as in `front`.
        unsafe { (*place()).heap }
    }

    pub(in crate::general) fn set(heap: *mut ThreadHeap) {
        // SAFETY: as in `front`.
        unsafe { (*place()).heap = heap };
    }
}

pub(super) use place::{get, set, set_front};
