//! Size classes of the general allocator: from a size to a class, and from a class to its blocks and pages.
//!
//! Classes go up in steps of 16 bytes to 128, then in four steps a doubling. A size wastes at most 15 bytes up to 128, at most a
//! quarter of its block beyond (a size just above a power of two), and a tenth on average over all sizes.
//!
//! ## Blocks above 1 KiB start a line later
//! The steps above 1 KiB would be multiples of 256 bytes, most of them of 2 KiB, and so would be the addresses of their blocks: the
//! first lines of all blocks, which programs touch most, would share 8 of the 64 sets of a 4 KiB way of the cache. So
//! each of these classes is one line larger: an odd number of lines, by which the blocks of a page go through all sets
//! in turn. It costs 64 bytes a block, at most 5%, and holds what many programs ask for: a power of two and a header.
//!
//! An alignment above a line needs blocks that lie at its multiples. For these there are five classes more, the powers of two from
//! 2 KiB up, which serve nothing else.
//!
//! The mid pool and its designs (../size_class.rs) keep the paper's seven classes.
//!
//! ## Pages
//! A page has at most 512 blocks, because its maps have that many bits, and at least 15, so that its records are small change. It has
//! no more than it must, because one block that lives on keeps the memory of its page. `e2e/footprint mixed` (nine sizes after
//! one another, 48 MiB each, of which every 200th block lives on; 2 cores) took 351 MiB with pages of 256, 128 and 64 blocks (to
//! 256 bytes, to 1 KiB, beyond), 253 with 128, 64 and 16, and 203 with 64, 32 and 15, and page faults fell with it: 129, 117, 107
//! thousand. gperftools' tcmalloc took 210, mimalloc 299.
//!
//! Invariant: a page starts at a multiple of its size and its blocks at multiples of theirs from there, so a block is aligned to every
//! power of two that divides its size.

/// How many classes there are.
pub(crate) const CLASSES: usize = FINE + 4 * DOUBLINGS + ALIGNED;
/// The largest size that is asked of a class.
pub(crate) const MAX_SIZE: usize = 32 << 10;
/// What every block is aligned to.
pub(crate) const LEAST_ALIGN: usize = 16;
/// The unit in which pages are counted.
pub(crate) const GRANULE: usize = 8 << 10;
/// The largest page.
pub(crate) const MAX_PAGE: usize = 1 << 20;

/// How many marks a granule can have: a byte's values. Class `i` has mark `i + 1`; 0 and what is above the last class's are no
/// class's (space.rs).
pub(crate) const MARKS: usize = 256;

/// Classes whose sizes are multiples of 16 bytes.
const FINE: usize = 8;
const FINE_MAX: usize = 16 * FINE;
/// From there to [`MAX_SIZE`].
const DOUBLINGS: usize = (MAX_SIZE / FINE_MAX).ilog2() as usize;
/// The largest step to which no line is added.
const PLAIN_MAX: usize = 1024;
/// What is added to the steps above.
const LINE: usize = 64;
/// Classes for alignments above a line.
const ALIGNED: usize = (MAX_SIZE / PLAIN_MAX).ilog2() as usize;

/// A size class, by its mark: 1 to [`CLASSES`].
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
    CLASS_BYTES[class] as usize
}

/// Block sizes of the classes, for the segment.
pub(crate) const CLASS_BYTES: [u32; CLASSES] = {
    let mut table = [0; CLASSES];
    let mut class = 0;
    while class < FINE {
        table[class] = (class as u32 + 1) * 16;
        class += 1;
    }
    let mut step = 0;
    while step < 4 * DOUBLINGS {
        let bytes = (FINE_MAX << (step / 4)) + (step % 4 + 1) * ((FINE_MAX / 4) << (step / 4));
        let line = if bytes > PLAIN_MAX { LINE } else { 0 };
        if line > 0 && bytes.is_power_of_two() {
            table[class] = bytes as u32;
            class += 1;
        }
        table[class] = (bytes + line) as u32;
        class += 1;
        step += 1;
    }
    table
};

/// Whether a class serves nothing but alignments above a line.
const fn is_aligned(class: usize) -> bool {
    bytes_of(class) > PLAIN_MAX && bytes_of(class).is_power_of_two()
}

/// Up to this size the table has an entry every 16 bytes, beyond it one a line: no class starts between.
const FINE_STEPS: usize = PLAIN_MAX;

/// Where the table has the class of a size.
#[inline]
const fn step_of(size: usize) -> usize {
    if size <= FINE_STEPS {
        size.div_ceil(16)
    } else {
        size.div_ceil(LINE) + FINE_STEPS / 16 - FINE_STEPS / LINE
    }
}

/// Marks of classes by [`step_of`] their sizes: nine cache lines, of which a program uses those of its sizes.
const BY_SIZE: [u8; step_of(MAX_SIZE) + 1] = {
    let mut table = [0; step_of(MAX_SIZE) + 1];
    let (mut size, mut class) = (0, 0);
    while size <= MAX_SIZE {
        while size > bytes_of(class) || is_aligned(class) {
            class += 1;
        }
        table[step_of(size)] = class as u8 + 1;
        size += 16;
    }
    table
};

const _: () = assert!(bytes_of(CLASSES - 1) == MAX_SIZE + LINE && CLASSES == 45);

impl Class {
    /// The smallest class whose blocks hold `size` bytes, which are at most [`MAX_SIZE`]. A size of 0 counts as 1.
    ///
    /// # Panics
    /// If the size is above [`MAX_SIZE`].
    #[inline]
    pub(crate) fn of_size(size: usize) -> Class {
        Class(BY_SIZE[step_of(size)])
    }

    /// The smallest class whose blocks hold `size` bytes at multiples of `align`, a power of two; none where that is not for a class.
    #[inline]
    pub(crate) fn of(size: usize, align: usize) -> Option<Class> {
        if size > MAX_SIZE || align > MAX_SIZE {
            return None;
        }
        if align <= LEAST_ALIGN {
            return Some(Class::of_size(size));
        }
        // A block is aligned to the powers of two that divide its size: a power of two is, at the latest, and may stand below the
        // class that the size alone would get.
        let first = Class::of_size(size.max(align)).index().saturating_sub(1);
        let fits = |class: &Class| class.bytes() >= size && class.bytes().is_multiple_of(align);
        (first..CLASSES).filter_map(Class::from_index).find(fits)
    }

    /// Every class, smallest first.
    pub(crate) fn all() -> impl Iterator<Item = Class> {
        (1..=CLASSES as u8).map(Class)
    }

    /// The class with this index.
    #[inline]
    pub(crate) fn from_index(index: usize) -> Option<Class> {
        (index < CLASSES).then(|| Class(index as u8 + 1))
    }

    /// Whether a thread's own blocks of the class go back to its pages rather than to other threads (thread/traffic.rs): those that may
    /// share lines of the cache, none of which are above 1 KiB. Some classes below are of whole lines and need not, but
    /// `churn` does 1 to 3% more with them.
    #[inline]
    pub(crate) const fn goes_home(self) -> bool {
        bytes_of(self.index()) <= PLAIN_MAX
    }

    /// Its index, from 0.
    #[inline]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize - 1
    }

    /// What marks the granules of its pages.
    #[inline]
    pub(crate) const fn mark(self) -> u8 {
        self.0
    }

    /// The class with this mark.
    #[inline]
    pub(crate) fn from_mark(mark: u8) -> Option<Class> {
        (1..=CLASSES as u8).contains(&mark).then_some(Class(mark))
    }

    const fn geometry(self) -> &'static Geometry {
        &GEOMETRY[self.index()]
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

    #[test]
    fn every_size_gets_the_smallest_class_that_holds_it() {
        for size in 0..=MAX_SIZE {
            let class = Class::of(size, 1).expect("in range");
            let smallest = Class::all().find(|c| c.bytes() >= size && !is_aligned(c.index()));
            assert_eq!(Some(class), smallest, "{size}");
        }
        assert_eq!(Class::of(MAX_SIZE + 1, 1), None);
        assert_eq!(Class::of(usize::MAX, 1), None);
        assert_eq!(Class::of(1, 2 * MAX_SIZE), None);
    }

    #[test]
    fn an_aligned_size_gets_the_smallest_class_that_is_a_multiple_of_the_alignment() {
        for align in (5..=15).map(|shift| 1_usize << shift) {
            for size in (0..=MAX_SIZE).step_by(7).chain([MAX_SIZE]) {
                let class = Class::of(size, align).expect("in range");
                let smallest =
                    Class::all().find(|c| c.bytes() >= size.max(1) && c.bytes().is_multiple_of(align));
                assert_eq!(Some(class), smallest, "{size} at {align}");
            }
        }
    }

    #[test]
    fn blocks_that_go_to_other_threads_are_whole_lines() {
        assert!(Class::all().all(|class| class.goes_home() || class.bytes().is_multiple_of(LINE)));
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
        assert!(average(1..=MAX_SIZE) < 0.105, "{}", average(1..=MAX_SIZE));
        assert!(average(1..=1024) < 0.125 && average(129..=MAX_SIZE) < 0.125);
        for size in 1..=MAX_SIZE {
            assert!(wasted(size) <= 15 || wasted(size) * 4 <= size + wasted(size), "{size}");
        }
    }

    #[test]
    fn the_first_lines_of_blocks_above_1_kib_go_through_all_cache_sets() {
        for class in Class::all().filter(|c| c.bytes() > PLAIN_MAX && !is_aligned(c.index())) {
            let sets: std::collections::HashSet<_> =
                (0..64).map(|block| block * class.bytes() / LINE % 64).collect();
            assert_eq!(sets.len(), 64, "{class:?}");
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
}
