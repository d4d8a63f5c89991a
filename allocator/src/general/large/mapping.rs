//! Blocks that have a mapping of their own: made, given back, made longer or shorter.
//!
//! Invariant: the registry knows a block exactly while its owner may use it. It learns of a mapping after that was made, and
//! forgets it before it goes, since another thread may get the address the moment it is free. Room in the registry is promised
//! before the kernel is asked, so that nothing can fail afterwards.

use core::ptr::NonNull;

use super::account::Account;
use super::registry::Standing;
use super::reservation::HUGE;
use super::spans::Refusal;
use super::{Large, Misuse, direct};

impl Large {
    /// A block in a mapping of its own; zeroes.
    #[cold]
    pub(super) fn map(
        &self,
        size: usize,
        align: usize,
        account: Account<'_>,
    ) -> Result<NonNull<u8>, Refusal> {
        let len = direct::len_of(size);
        if !self.locked(account, |shared| shared.registry.promise()) {
            return Err(Refusal::Space);
        }
        if !account.charge(len) {
            self.locked(account, |shared| shared.registry.forget());
            return Err(Refusal::Limit);
        }
        let huge = len >= HUGE && self.wants_huge_pages();
        let Some(block) = direct::map(len, align, huge) else {
            account.counters.kernel_refusals.add(1);
            account.limit.give_back(len);
            self.locked(account, |shared| shared.registry.forget());
            return Err(Refusal::Space);
        };
        self.locked(account, |shared| shared.register(block, len));
        account.counters.large_direct_mappings.add(1);
        account.counters.large_mapped_bytes.add(len as u64);
        Ok(block)
    }

    /// Takes a block back that is not in the reservation; its bytes.
    #[cold]
    pub(super) fn unmap(&self, block: NonNull<u8>, account: Account<'_>) -> Result<usize, Misuse> {
        let len = self.locked(account, |shared| {
            shared.unregister(block).ok_or_else(|| match shared.registry.standing(block) {
                Standing::Interior => Misuse::Interior,
                Standing::Freed => Misuse::FreedTwice,
                Standing::Unknown => Misuse::Foreign,
            })
        })?;
        // SAFETY: a whole mapping; it left the registry, so nobody else will unmap it, and the caller does not use it.
        unsafe { direct::unmap(block, len) };
        account.limit.give_back(len);
        account.counters.large_unmapped_bytes.add(len as u64);
        Ok(len)
    }

    /// Makes a mapping longer or shorter, which may move it.
    ///
    /// # Safety
    /// The caller owns the block.
    #[cold]
    pub(super) unsafe fn resize_mapping(
        &self,
        block: NonNull<u8>,
        size: usize,
        may_move: bool,
        account: Account<'_>,
    ) -> Option<NonNull<u8>> {
        let new = direct::len_of(size);
        let old = self.locked(account, |shared| {
            shared.registry.get(block)?;
            shared.registry.promise().then(|| shared.unregister(block))?
        })?;
        let more = new.saturating_sub(old);
        let mut resized = None;
        if account.charge(more) {
            // SAFETY: a whole mapping of the caller's, by the registry.
            resized = unsafe { direct::resize(block, old, new, may_move) };
            if resized.is_none() {
                account.limit.give_back(more);
            }
        }
        let (at, len) = resized.map_or((block, old), |at| (at, new));
        self.locked(account, |shared| shared.register(at, len));
        let moved = resized?;
        let less = old.saturating_sub(new);
        account.limit.give_back(less);
        account.counters.large_mapped_bytes.add(more as u64);
        account.counters.large_unmapped_bytes.add(less as u64);
        if moved != block {
            account.counters.large_moved.add(1);
        } else if more > 0 {
            account.counters.large_grown_in_place.add(1);
        }
        account.count_change(old, new);
        Some(moved)
    }
}
