//! Peers that are linked into this program instead of preloaded: newer versions than distributions have, from crates, with
//! the feature `peers`. Without it the list is empty and nothing of them is built.
//!
//! Invariant: none of them replaces `malloc`: they are called by names of their own, through the same table of functions as
//! a library that is preloaded.

use super::c::Calls;
use super::memory::Memory;

/// A linked peer.
#[derive(Debug)]
pub struct Peer {
    /// Its name as a contender.
    pub(super) name: &'static str,
    /// What serves, for the report.
    pub(super) about: &'static str,
    calls: Calls,
}

impl Peer {
    pub(super) fn memory(&self) -> Memory {
        // SAFETY: they are the functions of an allocator under C's signatures.
        unsafe { Memory::new(self.calls) }
    }
}

impl PartialEq for Peer {
    fn eq(&self, other: &Peer) -> bool {
        self.name == other.name
    }
}

impl Eq for Peer {}

/// Those that were built in.
#[cfg(not(feature = "peers"))]
pub(super) static ALL: &[Peer] = &[];

/// Those that were built in.
#[cfg(feature = "peers")]
pub(super) static ALL: &[Peer] = &[
    Peer {
        name: "mimalloc-crate",
        about: "libmimalloc-sys, linked",
        calls: Calls {
            malloc: linked::mi_malloc,
            calloc: linked::mi_calloc,
            realloc: linked::mi_realloc,
            aligned_alloc: linked::mi_aligned_alloc,
            free: linked::mi_free,
        },
    },
    Peer {
        name: "jemalloc-crate",
        about: "tikv-jemalloc-sys, linked",
        calls: Calls {
            malloc: linked::_rjem_malloc,
            calloc: linked::_rjem_calloc,
            realloc: linked::_rjem_realloc,
            aligned_alloc: linked::_rjem_aligned_alloc,
            free: linked::_rjem_free,
        },
    },
    Peer {
        name: "snmalloc-crate",
        about: "snmalloc-sys, linked",
        calls: Calls {
            malloc: linked::sn_malloc,
            calloc: linked::sn_calloc,
            realloc: linked::sn_realloc,
            aligned_alloc: linked::sn_rust_alloc,
            free: linked::sn_free,
        },
    },
];

/// Their functions under C's signatures. The crates are named so that they are linked.
#[cfg(feature = "peers")]
mod linked {
    use libmimalloc_sys as _;
    use snmalloc_sys as _;
    use tikv_jemalloc_sys as _;

    unsafe extern "C" {
        pub(super) fn mi_malloc(size: usize) -> *mut u8;
        pub(super) fn mi_calloc(count: usize, size: usize) -> *mut u8;
        pub(super) fn mi_realloc(block: *mut u8, size: usize) -> *mut u8;
        pub(super) fn mi_aligned_alloc(align: usize, size: usize) -> *mut u8;
        pub(super) fn mi_free(block: *mut u8);
        pub(super) fn _rjem_malloc(size: usize) -> *mut u8;
        pub(super) fn _rjem_calloc(count: usize, size: usize) -> *mut u8;
        pub(super) fn _rjem_realloc(block: *mut u8, size: usize) -> *mut u8;
        pub(super) fn _rjem_aligned_alloc(align: usize, size: usize) -> *mut u8;
        pub(super) fn _rjem_free(block: *mut u8);
        pub(super) fn sn_malloc(size: usize) -> *mut u8;
        pub(super) fn sn_calloc(count: usize, size: usize) -> *mut u8;
        pub(super) fn sn_realloc(block: *mut u8, size: usize) -> *mut u8;
        /// The alignment, then the size, as `aligned_alloc`.
        pub(super) fn sn_rust_alloc(align: usize, size: usize) -> *mut u8;
        pub(super) fn sn_free(block: *mut u8);
    }
}
