//! The reserved address space: pages of blocks, their links, and the way from an address to its block in O(1).
//!
//! ```text
//! | pages: 1 MiB each, one class and shard a page | links: 64 bytes a block | owners: 2 bytes a page |
//! ```
//!
//! Nothing is touched before it is used, so that a reservation costs address space only. Pages are never given back
//! while the pool lives. Invariant: a page's owner word is written once, before any of its blocks is handed out.

use core::ptr::NonNull;

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use stormglass_telemetry::schema::{CLASSES, PAGE_BYTES, SHARDS};

use crate::block::{Block, FreshPage, NUMBERS_PER_PAGE};
use crate::error::PoolError;
use crate::links::{LINE_BYTES, Links};
use crate::site::ShardId;
use crate::size_class::Class;
use crate::sync::{AtomicU32, Ordering};

/// The smallest region that makes sense: four pages for each of the classes.
const MIN_BYTES: usize = CLASSES * 4 * PAGE_BYTES;
/// Block numbers are 32 bits, and 0 stands for none.
const MAX_PAGES: usize = (u32::MAX as usize - 1) / NUMBERS_PER_PAGE;
/// Transparent huge pages start at multiples of this.
const ALIGN: usize = 2 << 20;

const _: () = assert!(CLASSES < 0xFF && SHARDS <= 0xFF, "an owner word has a byte for each");

/// The class and shard of a page, or 0 where no page is yet.
type OwnerWord = core::sync::atomic::AtomicU16;

/// Who is asked before a page is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payer {
    /// Whether so many bytes more may be taken.
    pub(crate) take: fn(usize) -> bool,
    /// So many were not taken after all.
    pub(crate) give_back: fn(usize),
}

/// One reservation and what is taken of it.
pub(crate) struct Region {
    base: NonNull<u8>,
    pages: usize,
    links: Links,
    owners: NonNull<OwnerWord>,
    taken: AtomicU32,
    payer: Option<Payer>,
    mapping: (NonNull<core::ffi::c_void>, usize),
}

// SAFETY: the pointers never change after `reserve`; what they point to is reached through atomics, or is a block's
// memory, which belongs to whoever owns the block.
unsafe impl Send for Region {}
// SAFETY: as for `Send`.
unsafe impl Sync for Region {}

impl Region {
    /// Reserves about `bytes` for blocks; where the address space is limited, as much as can be had.
    pub(crate) fn reserve(bytes: usize) -> Result<Region, PoolError> {
        let mut pages = (bytes.max(MIN_BYTES) / PAGE_BYTES).min(MAX_PAGES);
        loop {
            match Region::map(pages) {
                Ok(region) => return Ok(region),
                Err(_) if pages * PAGE_BYTES >= 2 * MIN_BYTES => pages /= 2,
                Err(errno) => return Err(PoolError::Reserve { bytes: pages * PAGE_BYTES, errno }),
            }
        }
    }

    fn map(pages: usize) -> Result<Region, Errno> {
        let blocks = pages * PAGE_BYTES;
        let links = pages * NUMBERS_PER_PAGE * LINE_BYTES;
        let owners = pages * size_of::<OwnerWord>();
        let len = ALIGN + blocks + links + owners;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice aliases nothing.
        let start =
            unsafe { mmap_anonymous(core::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags) }?;
        let start = NonNull::new(start).ok_or(Errno::NOMEM)?;
        let offset = start.cast::<u8>().align_offset(ALIGN);
        // SAFETY: `offset` < ALIGN, and the mapping is ALIGN longer than its three parts, so each part lies inside it.
        let (base, links_at, owners_at) = unsafe {
            let base = start.cast::<u8>().add(offset);
            (base, base.add(blocks), base.add(blocks + links))
        };
        // SAFETY: the part is 64-byte aligned (blocks are whole MiB), zeroed by the kernel, long enough, and ours alone.
        let links = unsafe { Links::over(links_at, pages * NUMBERS_PER_PAGE) };
        let owners = owners_at.cast();
        Ok(Region {
            base,
            pages,
            links,
            owners,
            taken: AtomicU32::new(0),
            payer: None,
            mapping: (start, len),
        })
    }

    /// Charges to `payer` the pages that are taken from now on.
    pub(crate) fn charge_to(&mut self, payer: Payer) {
        self.payer = Some(payer);
    }

    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    fn owner_word(&self, page: usize) -> Option<&OwnerWord> {
        // SAFETY: in bounds by the check; zeroed by the kernel, aligned (the part starts at a multiple of 64).
        (page < self.pages).then(|| unsafe { self.owners.add(page).as_ref() })
    }

    /// The class and shard of the page that `address` lies in; `None` for an address that this region never gave out.
    #[inline]
    pub(crate) fn owner(&self, address: NonNull<u8>) -> Option<ShardId> {
        let offset = address.addr().get().wrapping_sub(self.base.addr().get());
        // Relaxed: who frees a block got its pointer from who allocated it, and with it everything that happened before.
        let word = self.owner_word(offset / PAGE_BYTES)?.load(core::sync::atomic::Ordering::Relaxed);
        let class = Class::from_index(usize::from(word & 0xFF).wrapping_sub(1))?;
        Some(ShardId { class, shard: usize::from(word >> 8) })
    }

    /// The number of the block that `address` starts, which must be one of this region's (see [`Region::owner`]).
    #[inline]
    pub(crate) fn number(&self, address: NonNull<u8>, class: Class) -> u32 {
        let offset = address.addr().get() - self.base.addr().get();
        (offset / PAGE_BYTES * NUMBERS_PER_PAGE + class.block_in_page(offset % PAGE_BYTES)) as u32
    }

    /// Where a block starts.
    #[inline]
    pub(crate) fn address(&self, block: &Block, class: Class) -> NonNull<u8> {
        let number = block.number() as usize;
        let offset = number / NUMBERS_PER_PAGE * PAGE_BYTES + number % NUMBERS_PER_PAGE * class.bytes();
        // SAFETY: numbers come from `take_page`, so the page is below `self.pages` and the block inside its page.
        unsafe { self.base.add(offset) }
    }

    /// A fresh page for `at`; `None` when the region is used up, or nobody pays for it.
    #[cold]
    pub(crate) fn take_page(&self, at: ShardId) -> Option<FreshPage> {
        if self.payer.is_some_and(|payer| !(payer.take)(PAGE_BYTES)) {
            return None;
        }
        // Relaxed: the counter hands out each page once and publishes nothing.
        let page = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            ((taken as usize) < self.pages).then_some(taken + 1)
        });
        let Ok(page) = page else {
            if let Some(payer) = self.payer {
                (payer.give_back)(PAGE_BYTES);
            }
            return None;
        };
        let word = (at.class.index() as u16 + 1) | (at.shard as u16) << 8;
        // Relaxed: see `owner`.
        self.owner_word(page as usize)?.store(word, core::sync::atomic::Ordering::Relaxed);
        // Handed out just now, to this thread alone.
        Some(FreshPage::claim(page, at.class.blocks_per_page() as u32))
    }

    /// How many pages there are, taken or not.
    pub(crate) fn pages(&self) -> usize {
        self.pages
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping that `map` made, and nobody can hold a reference into the region any more:
        // heaps borrow the pool. Callers that still hold blocks break the contract of `Heap::alloc`.
        let _ = unsafe { munmap(self.mapping.0.as_ptr(), self.mapping.1) };
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use core::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn address_and_number_are_inverse_for_every_block_of_every_class() {
        let region = Region::reserve(MIN_BYTES).expect("address space");
        for class in Class::all() {
            let at = ShardId { class, shard: class.index() };
            let mut next = Some(region.take_page(at).expect("a page").into_chain(region.links()).first());
            let mut blocks = 0;
            while let Some(number) = next {
                let block = Block::claim(number);
                let address = region.address(&block, class);
                assert_eq!(region.number(address, class), number);
                assert_eq!(region.owner(address), Some(at));
                // SAFETY: the last byte of a block lies in the region.
                assert_eq!(region.owner(unsafe { address.add(class.bytes() - 1) }), Some(at));
                assert_eq!(address.addr().get() % 1024, 0);
                next = region.links().next(number);
                blocks += 1;
            }
            assert_eq!(blocks, class.blocks_per_page());
        }
    }

    #[test]
    fn a_foreign_address_has_no_owner() {
        let region = Region::reserve(MIN_BYTES).expect("address space");
        let local = 0_u8;
        assert_eq!(region.owner(NonNull::from(&local)), None);
        assert_eq!(region.owner(region.base), None, "no page was taken yet");
    }

    #[test]
    fn who_does_not_pay_gets_no_page() {
        use core::sync::atomic::AtomicUsize;
        static LEFT: AtomicUsize = AtomicUsize::new(3 * PAGE_BYTES);
        let mut region = Region::reserve(MIN_BYTES).expect("address space");
        region.charge_to(Payer {
            take: |bytes| LEFT.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes)).is_ok(),
            give_back: |bytes| _ = LEFT.fetch_add(bytes, Relaxed),
        });
        let at = ShardId { class: Class::of(1).expect("class"), shard: 0 };
        assert_eq!((0..9).filter(|_| region.take_page(at).is_some()).count(), 3);
        LEFT.store(PAGE_BYTES * (region.pages() + 1), Relaxed);
        while region.take_page(at).is_some() {}
        assert_eq!(LEFT.load(Relaxed), PAGE_BYTES * 4, "what was not there is not paid for");
    }

    #[test]
    fn a_region_that_is_used_up_says_so() {
        let region = Region::reserve(MIN_BYTES).expect("address space");
        let at = ShardId { class: Class::of(1).expect("class"), shard: 0 };
        let mut pages = 0;
        while region.take_page(at).is_some() {
            pages += 1;
        }
        assert_eq!(pages, region.pages());
    }
}
