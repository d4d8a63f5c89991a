//! Size classes of the general allocator: from a size to a class, and from a class to its blocks and pages.
//!
//! Classes go up in steps of 16 bytes to 128, then in four steps a doubling to 32 KiB. So a size wastes at most 15 bytes up to 128,
//! at most a fifth of its block beyond (a size just above a power of two), and a tenth on average over all sizes. The
//! paper's seven classes are among those from 2 KiB up.
//!
//! A page has at most 512 blocks, because its maps have that many bits, and at least 15, so that its records are small change. It has
//! no more than it must, because one block that lives on keeps the memory of its page. `e2e/footprint mixed` (nine sizes after
//! one another, 48 MiB each, of which every 200th block lives on; 2 cores) took 351 MiB with pages of 256, 128 and 64 blocks (to
//! 256 bytes, to 1 KiB, beyond), 253 with 128, 64 and 16, and 203 with 64, 32 and 15, and page faults fell with it: 129, 117, 107
//! thousand. gperftools' tcmalloc took 210, mimalloc 299.
//!
//! Invariant: a page starts at a multiple of its size and its blocks at multiples of theirs, so a block is aligned to every power of two
//! that divides its size.

/// How many classes there are.
pub(crate) const CLASSES: usize = 40;
/// The largest size that a class holds.
pub(crate) const MAX_SIZE: usize = 32 << 10;
/// The unit in which pages are counted.
pub(crate) const GRANULE: usize = 8 << 10;
/// The largest page.
pub(crate) const MAX_PAGE: usize = 1 << 20;

/// Classes whose sizes are multiples of 16 bytes.
const FINE: usize = 8;
const FINE_MAX: usize = 16 * FINE;

/// A size class; always a valid index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class(u8);

/// What is known of a class.
struct Geometry {
    /// Bytes of a block.
    bytes: u32,
    /// Granules of a page, as a power of two.
    order: u8,
    /// Blocks of a page.
    blocks: u16,
    /// Blocks that a thread's ring holds.
    ring: u16,
    /// `ceil(2^40 / bytes)`: multiplying by it and shifting divides any offset in a page exactly, because offsets are below 2^20
    /// and sizes at most 2^15 (Granlund and Montgomery, PLDI 1994).
    reciprocal: u64,
}

const GEOMETRY: [Geometry; CLASSES] = {
    let mut table = [const { Geometry { bytes: 0, order: 0, blocks: 0, ring: 0, reciprocal: 0 } }; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        let bytes = bytes_of(class);
        let wanted = if bytes <= 256 {
            64
        } else if bytes <= 1024 {
            32
        } else {
            15
        };
        let mut page = (bytes * wanted).next_power_of_two();
        if page < GRANULE {
            page = GRANULE;
        } else if page > MAX_PAGE {
            page = MAX_PAGE;
        }
        // At most 64 KiB of a class lie idle in a ring, but for four blocks.
        let mut ring = (64 << 10) / bytes / 2 * 2;
        if ring > 64 {
            ring = 64;
        } else if ring < 4 {
            ring = 4;
        }
        table[class] = Geometry {
            bytes: bytes as u32,
            order: (page / GRANULE).trailing_zeros() as u8,
            blocks: (page / bytes) as u16,
            ring: ring as u16,
            reciprocal: (1_u64 << 40).div_ceil(bytes as u64),
        };
        class += 1;
    }
    table
};

const fn bytes_of(class: usize) -> usize {
    if class < FINE {
        return (class + 1) * 16;
    }
    let (doubling, step) = ((class - FINE) / 4, (class - FINE) % 4);
    (FINE_MAX << doubling) + (step + 1) * ((FINE_MAX / 4) << doubling)
}

/// Block sizes of the classes, for the segment.
pub(crate) const CLASS_BYTES: [u32; CLASSES] = {
    let mut table = [0; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        table[class] = bytes_of(class) as u32;
        class += 1;
    }
    table
};

const _: () = assert!(bytes_of(CLASSES - 1) == MAX_SIZE);

impl Class {
    /// The smallest class whose blocks hold `size` bytes, which are at most [`MAX_SIZE`]. A size of 0 counts as 1.
    #[inline]
    fn of_size(size: usize) -> Class {
        if size <= FINE_MAX {
            return Class((size.saturating_sub(1) / 16) as u8);
        }
        let last = size - 1;
        let doubling = last.ilog2() - FINE_MAX.ilog2();
        let step = (last >> (last.ilog2() - 2)) & 3;
        Class((FINE + 4 * doubling as usize + step) as u8)
    }

    /// The smallest class whose blocks hold `size` bytes at multiples of `align`, a power of two; none where that is not for a class.
    #[inline]
    pub(crate) fn of(size: usize, align: usize) -> Option<Class> {
        if size > MAX_SIZE || align > MAX_SIZE {
            return None;
        }
        if align <= 16 {
            return Some(Class::of_size(size));
        }
        // A block is aligned to the powers of two that divide its size: a power of two is, at the latest.
        let first = Class::of_size(size.max(align)).0;
        (first..CLASSES as u8).map(Class).find(|class| class.bytes().is_multiple_of(align))
    }

    /// Every class, smallest first.
    pub(crate) fn all() -> impl Iterator<Item = Class> {
        (0..CLASSES as u8).map(Class)
    }

    /// The class with this index.
    #[inline]
    pub(crate) fn from_index(index: usize) -> Option<Class> {
        (index < CLASSES).then_some(Class(index as u8))
    }

    /// Its index, from 0.
    #[inline]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    const fn geometry(self) -> &'static Geometry {
        &GEOMETRY[self.0 as usize]
    }

    /// Bytes of a block.
    #[inline]
    pub(crate) const fn bytes(self) -> usize {
        self.geometry().bytes as usize
    }

    /// Bytes of a page.
    #[inline]
    pub(crate) const fn page_bytes(self) -> usize {
        GRANULE << self.geometry().order
    }

    /// Granules of a page, as a power of two.
    pub(crate) const fn order(self) -> u32 {
        self.geometry().order as u32
    }

    /// Blocks of a page.
    pub(crate) const fn blocks(self) -> u32 {
        self.geometry().blocks as u32
    }

    /// Blocks that a thread's ring holds; half of it is a batch.
    pub(crate) const fn ring(self) -> usize {
        self.geometry().ring as usize
    }

    /// Which block of its page an offset in bytes lies in.
    #[inline]
    pub(crate) const fn block_at(self, offset: usize) -> usize {
        ((offset as u64 * self.geometry().reciprocal) >> 40) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stormglass_telemetry::schema;

    #[test]
    fn every_size_gets_the_smallest_class_that_holds_it() {
        for size in 0..=MAX_SIZE {
            let class = Class::of(size, 1).expect("in range");
            assert!(class.bytes() >= size);
            assert!(class.index() == 0 || bytes_of(class.index() - 1) < size, "{size}");
        }
        assert_eq!(Class::of(MAX_SIZE + 1, 1), None);
        assert_eq!(Class::of(usize::MAX, 1), None);
        assert_eq!(Class::of(1, 2 * MAX_SIZE), None);
    }

    #[test]
    fn an_aligned_size_gets_the_smallest_class_that_is_a_multiple_of_the_alignment() {
        for align in (0..=15).map(|shift| 1_usize << shift) {
            for size in (0..=MAX_SIZE).step_by(7).chain([MAX_SIZE]) {
                let class = Class::of(size, align).expect("in range");
                let smallest =
                    Class::all().find(|c| c.bytes() >= size && c.bytes().is_multiple_of(align.max(16)));
                assert_eq!(Some(class), smallest, "{size} at {align}");
            }
        }
    }

    #[test]
    fn waste_is_as_said() {
        let wasted = |size: usize| Class::of(size, 1).expect("in range").bytes() - size;
        let average = |sizes: core::ops::RangeInclusive<usize>| {
            let (mut waste, mut all) = (0, 0);
            for size in sizes {
                waste += wasted(size);
                all += wasted(size) + size;
            }
            waste as f64 / all as f64
        };
        assert!(average(1..=MAX_SIZE) < 0.1, "{}", average(1..=MAX_SIZE));
        assert!(average(1..=1024) < 0.125 && average(129..=MAX_SIZE) < 0.125);
        for size in 1..=MAX_SIZE {
            assert!(wasted(size) <= 15 || wasted(size) * 5 <= size + wasted(size), "{size}");
        }
    }

    #[test]
    fn pages_have_as_many_blocks_as_their_maps_have_bits_or_fewer() {
        for class in Class::all() {
            assert!((15..=512).contains(&class.blocks()), "{class:?}");
            assert!((GRANULE..=MAX_PAGE).contains(&class.page_bytes()));
            assert_eq!(class.blocks() as usize, class.page_bytes() / class.bytes());
            assert!(class.ring() >= 4 && class.ring().is_multiple_of(2));
        }
    }

    #[test]
    fn the_reciprocal_divides_every_offset_exactly() {
        for class in Class::all() {
            for offset in 0..class.page_bytes() {
                assert_eq!(class.block_at(offset), offset / class.bytes());
            }
        }
    }

    #[test]
    fn the_classes_of_the_paper_are_among_them() {
        assert!(schema::CLASS_BYTES.iter().all(|bytes| CLASS_BYTES.contains(bytes)));
    }
}
