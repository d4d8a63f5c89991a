//! Size classes: from a size in bytes to a class, and from an offset in a page to a block.
//!
//! Invariant: a block of [`Class::of`]`(size)` holds `size` bytes, and no smaller class does.

use stormglass_telemetry::schema::{CLASS_BYTES, CLASSES, PAGE_BYTES};

/// The largest size that the mid pool serves, in bytes.
pub const MAX_SIZE: usize = CLASS_BYTES[CLASSES - 1] as usize;

/// A size class of the mid pool; always a valid index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class(u8);

/// For each KiB, rounded up, the class that holds it.
const BY_KIB: [u8; MAX_SIZE / 1024] = {
    let mut table = [0; MAX_SIZE / 1024];
    let mut kib = 0;
    let mut class = 0;
    while kib < table.len() {
        if (kib + 1) * 1024 > CLASS_BYTES[class] as usize {
            class += 1;
        }
        table[kib] = class as u8;
        kib += 1;
    }
    table
};

/// `ceil(2^40 / bytes)`: multiplying by it and shifting divides any offset in a page exactly. The rounding up adds less
/// than `offset / 2^40` to the quotient, which must stay below `1 / bytes`: offsets are below 2^20 and sizes at most
/// 2^15, so their product is below 2^40 (Granlund and Montgomery, PLDI 1994).
#[cfg(not(loom))]
const RECIPROCAL: [u64; CLASSES] = {
    let mut table = [0; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        table[class] = (1_u64 << 40).div_ceil(CLASS_BYTES[class] as u64);
        class += 1;
    }
    table
};

impl Class {
    /// Every class, by its index.
    #[cfg(not(loom))]
    pub(crate) const EACH: [Class; CLASSES] = {
        let mut each = [Class(0); CLASSES];
        let mut index = 0;
        while index < CLASSES {
            each[index] = Class(index as u8);
            index += 1;
        }
        each
    };

    /// Every class, smallest first.
    pub fn all() -> impl Iterator<Item = Class> {
        (0..CLASSES as u8).map(Class)
    }

    /// The smallest class whose blocks hold `size` bytes; none above [`MAX_SIZE`]. A size of 0 counts as 1.
    #[inline]
    pub fn of(size: usize) -> Option<Class> {
        BY_KIB.get(size.saturating_sub(1) >> 10).map(|&class| Class(class))
    }

    /// The class with this index.
    pub(crate) fn from_index(index: usize) -> Option<Class> {
        (index < CLASSES).then_some(Class(index as u8))
    }

    /// The class's index, from 0.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Size of a block in bytes.
    #[inline]
    pub const fn bytes(self) -> usize {
        CLASS_BYTES[self.0 as usize] as usize
    }

    /// How many blocks a page of this class holds.
    pub const fn blocks_per_page(self) -> usize {
        PAGE_BYTES / self.bytes()
    }

    /// Which block of its page an offset in bytes lies in.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) const fn block_in_page(self, offset: usize) -> usize {
        ((offset as u64 * RECIPROCAL[self.0 as usize]) >> 40) as usize
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_size_gets_the_smallest_class_that_holds_it() {
        for size in 1..=MAX_SIZE {
            let class = Class::of(size).expect("in range");
            assert!(class.bytes() >= size);
            assert!(class.index() == 0 || (CLASS_BYTES[class.index() - 1] as usize) < size);
        }
        assert_eq!(Class::of(MAX_SIZE + 1), None);
        assert_eq!(Class::of(usize::MAX), None);
        assert_eq!(Class::of(0), Class::of(1));
    }

    /// Every offset, not a sample: a reciprocal that is a few bits short is wrong for one offset in a thousand only.
    #[test]
    fn the_reciprocal_divides_every_offset_exactly() {
        for class in Class::all() {
            for offset in 0..PAGE_BYTES {
                assert_eq!(class.block_in_page(offset), offset / class.bytes(), "{class:?}, offset {offset}");
            }
        }
    }
}
