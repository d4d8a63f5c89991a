//! Where the mappings are that were made for one block each: a hash table by address.
//!
//! Invariants: an address has one slot at most; a slot that was used stays used until the table is rebuilt, so a search ends at the
//! first empty one; there is room for every insertion that was promised. The slot of a block that was freed still tells so.

use core::num::NonZeroUsize;
use core::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags};

/// Slots of the first table: one page.
const FIRST: usize = 256;

#[derive(Clone, Copy)]
struct Slot {
    /// 0: never used.
    address: usize,
    /// 0: freed.
    len: usize,
}

impl Slot {
    /// The block that it notes, if that is live.
    fn block(self) -> Option<(NonNull<u8>, usize)> {
        let address = NonZeroUsize::new(self.address).filter(|_| self.len > 0)?;
        Some((NonNull::with_exposed_provenance(address), self.len))
    }
}

/// The table.
pub(super) struct Registry {
    /// `capacity` slots, a power of two, or none.
    slots: Option<NonNull<Slot>>,
    capacity: usize,
    used: usize,
    live: usize,
    promised: usize,
}

// SAFETY: the table owns its mapping.
unsafe impl Send for Registry {}

/// What an address is to the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Inside a block.
    Interior,
    /// Where a block was, and no other has been since.
    Freed,
    /// Nothing that it knows.
    Unknown,
}

impl Registry {
    pub(super) const fn new() -> Registry {
        Registry { slots: None, capacity: 0, used: 0, live: 0, promised: 0 }
    }

    /// Makes room for one more [`insert`](Registry::insert); `false`: there is no memory.
    pub(super) fn promise(&mut self) -> bool {
        if (self.used + self.promised + 1) * 2 > self.capacity && !self.rebuild() {
            return false;
        }
        self.promised += 1;
        true
    }

    /// Takes a promise back.
    pub(super) fn forget(&mut self) {
        self.promised -= 1;
    }

    /// Notes a block. It was promised.
    pub(super) fn insert(&mut self, address: NonNull<u8>, len: usize) {
        self.promised -= 1;
        self.live += 1;
        self.place(Slot { address: address.expose_provenance().get(), len });
    }

    /// The length of the block that starts at `address`.
    pub(super) fn get(&self, address: NonNull<u8>) -> Option<usize> {
        self.read(self.probe(address.addr().get())?).block().map(|(_, len)| len)
    }

    /// Forgets the block that starts at `address`; its length.
    pub(super) fn remove(&mut self, address: NonNull<u8>) -> Option<usize> {
        let at = self.probe(address.addr().get())?;
        let (_, len) = self.read(at).block()?;
        self.write(at, Slot { address: address.addr().get(), len: 0 });
        self.live -= 1;
        Some(len)
    }

    /// What an address is at which no block starts. Looks at all slots: it is for a message.
    pub(super) fn standing(&self, address: NonNull<u8>) -> Standing {
        let address = address.addr().get();
        if self.slots().any(|slot| slot.address < address && address - slot.address < slot.len) {
            return Standing::Interior;
        }
        match self.probe(address).map(|at| self.read(at)) {
            Some(slot) if slot.address == address => Standing::Freed,
            _ => Standing::Unknown,
        }
    }

    /// Blocks that are noted.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// The blocks that are noted.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (NonNull<u8>, usize)> {
        self.slots().filter_map(Slot::block)
    }

    fn slots(&self) -> impl Iterator<Item = Slot> {
        (0..self.capacity).map(|at| self.read(at))
    }

    fn read(&self, at: usize) -> Slot {
        match self.slots {
            // SAFETY: callers name slots below the capacity; mapped, zeroed by the kernel at first, and changed only through an
            // exclusive reference.
            Some(slots) => unsafe { slots.add(at).read() },
            None => Slot { address: 0, len: 0 },
        }
    }

    fn write(&mut self, at: usize, slot: Slot) {
        if let Some(slots) = self.slots {
            // SAFETY: as in `read`, and this is the exclusive reference.
            unsafe { slots.add(at).write(slot) };
        }
    }

    /// Where the search for an address ends: at its slot, or at an empty one; `None` where there is no table.
    fn probe(&self, address: usize) -> Option<usize> {
        let mask = self.capacity.checked_sub(1)?;
        // Fibonacci hashing: the product's upper half depends on all bits of the address.
        let mut at = ((address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize & mask;
        // The search ends: half of the slots at least are empty.
        while ![0, address].contains(&self.read(at).address) {
            at = (at + 1) & mask;
        }
        Some(at)
    }

    fn place(&mut self, slot: Slot) {
        if let Some(at) = self.probe(slot.address) {
            self.used += usize::from(self.read(at).address == 0);
            self.write(at, slot);
        }
    }

    /// A table with four slots for each block, without those of freed blocks.
    #[cold]
    fn rebuild(&mut self) -> bool {
        let capacity = ((self.live + self.promised + 1) * 4).next_power_of_two().max(FIRST);
        let Some(slots) = Registry::map(capacity) else { return false };
        let old = core::mem::replace(
            self,
            Registry { slots: Some(slots), capacity, used: 0, live: self.live, promised: self.promised },
        );
        for slot in old.slots().filter(|slot| slot.block().is_some()) {
            self.place(slot);
        }
        true
    }

    fn map(capacity: usize) -> Option<NonNull<Slot>> {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        let bytes = capacity * size_of::<Slot>();
        // SAFETY: a new anonymous mapping at an address of the kernel's choice aliases nothing.
        let start = unsafe { rustix::mm::mmap_anonymous(core::ptr::null_mut(), bytes, protection, flags) };
        NonNull::new(start.ok()?.cast())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Some(slots) = self.slots {
            let bytes = self.capacity * size_of::<Slot>();
            // SAFETY: this is the whole mapping that `map` made, and no reference into it outlives a call.
            let _ = unsafe { rustix::mm::munmap(slots.as_ptr().cast(), bytes) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn at(address: usize) -> NonNull<u8> {
        NonNull::without_provenance(NonZeroUsize::new(address).expect("not null"))
    }

    #[test]
    fn what_is_inside_freed_and_unknown_is_told_apart() {
        let mut registry = Registry::new();
        assert_eq!(registry.standing(at(4096)), Standing::Unknown);
        assert!(registry.promise());
        registry.insert(at(4096), 8192);
        assert_eq!(registry.standing(at(4097)), Standing::Interior);
        assert_eq!(registry.standing(at(4096 + 8192)), Standing::Unknown);
        assert_eq!(registry.remove(at(4096)), Some(8192));
        assert_eq!(registry.standing(at(4096)), Standing::Freed);
        assert_eq!(registry.standing(at(4097)), Standing::Unknown);
        assert_eq!(registry.remove(at(4096)), None);
    }

    proptest! {
        /// Against a map: addresses come and go, far more often than the table has slots.
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((1_usize..600, any::<bool>()), 1..4000)) {
            let mut registry = Registry::new();
            let mut oracle = BTreeMap::new();
            for (i, (number, insert)) in steps.into_iter().enumerate() {
                let address = number * 4096;
                if insert && !oracle.contains_key(&address) {
                    prop_assert!(registry.promise());
                    registry.insert(at(address), i + 1);
                    oracle.insert(address, i + 1);
                } else {
                    prop_assert_eq!(registry.remove(at(address)), oracle.remove(&address));
                }
                prop_assert_eq!(registry.get(at(address)), oracle.get(&address).copied());
                prop_assert_eq!(registry.len(), oracle.len());
            }
            let blocks: BTreeMap<_, _> = registry.blocks().map(|(at, len)| (at.addr().get(), len)).collect();
            prop_assert_eq!(blocks, oracle);
        }
    }
}
