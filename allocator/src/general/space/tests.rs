use super::super::size_class::CLASSES;
use super::*;
use proptest::prelude::*;

fn space() -> Space {
    Space::map(4 * CHUNK).expect("address space")
}

fn take(space: &Space, class: Class) -> Option<Taken> {
    space.take(class, Source::Anywhere, |_| true).ok()
}

fn taken(space: &Space) -> Vec<(u32, Class)> {
    let mut pages = Vec::new();
    while let Some(page) = take(space, Class::all().next().expect("a class")) {
        pages.push((page.number, Class::all().next().expect("a class")));
    }
    pages
}

#[test]
fn address_and_spot_are_inverse_for_every_block_of_every_class() {
    let space = Space::map(64 * CHUNK).expect("address space");
    for class in Class::all() {
        let page = take(&space, class).expect("a page").number;
        for index in 0..class.blocks() {
            let number = page * NUMBERS_PER_PAGE as u32 + index;
            let address = space.address(number, class);
            assert_eq!(space.class_of(address), Some(class));
            let spot = space.spot(address, class);
            assert_eq!((spot.number(), spot.inside), (number, 0));
            assert_eq!(space.blocks(class).number(address), Some(number));
            // SAFETY: inside the block.
            assert_eq!(space.blocks(class).number(unsafe { address.add(1) }), None);
            assert_eq!(address.addr().get() % (1 << class.bytes().trailing_zeros()), 0);
            // SAFETY: the last byte of the block.
            let last = space.spot(unsafe { address.add(class.bytes() - 1) }, class);
            assert_eq!((last.number(), last.inside), (number, class.bytes() - 1));
        }
    }
}

#[test]
fn what_comes_back_is_whole_again_and_keeps_its_memory_until_it_is_swept() {
    let space = space();
    let small = taken(&space);
    assert_eq!(small.len(), 4 * CHUNK as usize);
    for &(number, class) in &small {
        // SAFETY: the page's memory.
        unsafe { space.address(number * 512, class).write_bytes(1, class.page_bytes()) };
        space.put(number, class);
    }
    let all = 4 * MAX_PAGE;
    assert_eq!(space.idle(), all);
    let largest = Class::from_index(39).expect("class");
    let bytes = largest.page_bytes();
    let page = take(&space, largest).expect("all became one stretch a chunk");
    assert_eq!((page.fresh, page.again, space.idle()), (0, 0, all - bytes));
    let mut gone = 0;
    assert_eq!(space.sweep(Sweep::All, usize::MAX, |_, bytes| gone += bytes), all - bytes);
    assert_eq!((gone, space.idle()), (all - bytes, 0));
    for _ in 1..all / bytes {
        let page = take(&space, largest).expect("a chunk");
        assert_eq!((page.fresh, page.again), (0, bytes));
        let start = space.address(page.number * 512, largest);
        // SAFETY: the page's memory.
        assert!(unsafe { core::slice::from_raw_parts(start.as_ptr(), bytes) }.iter().all(|&b| b == 0));
    }
    assert!(take(&space, largest).is_none());
}

#[test]
fn a_sweep_of_what_is_old_leaves_what_became_idle_since_the_last_turn() {
    let space = space();
    let class = Class::from_index(39).expect("class");
    let pages: Vec<_> = (0..4).map(|_| take(&space, class).expect("a page").number).collect();
    let old = |space: &Space| space.sweep(Sweep::Old, usize::MAX, |_, _| ());
    space.put(pages[0], class);
    space.put(pages[3], class);
    assert_eq!(old(&space), 0);
    space.turn();
    space.put(pages[1], class);
    assert_eq!(old(&space), 2 * class.page_bytes());
    space.turn();
    assert_eq!((old(&space), space.idle()), (class.page_bytes(), 0));
}

#[test]
fn a_sweep_ends_where_enough_went_and_the_next_goes_on_there() {
    let space = space();
    let pages = taken(&space);
    for &(number, class) in pages.iter().step_by(2) {
        space.put(number, class);
    }
    let half = pages.len() * GRANULE / 2;
    assert_eq!(space.sweep(Sweep::All, half / 4, |_, _| ()), half / 4);
    assert_eq!(space.sweep(Sweep::All, usize::MAX, |_, _| ()), half - half / 4);
}

#[test]
fn idle_memory_is_taken_before_any_other_by_whichever_class() {
    let space = space();
    let class = |index| Class::from_index(index).expect("class");
    let pages: Vec<_> = (0..4).map(|_| take(&space, class(0)).expect("a page").number).collect();
    assert!(space.take(class(20), Source::Idle, |_| true).is_err(), "nothing is idle yet");
    space.put(pages[3], class(0));
    // The idle granule is the second half of what it joins.
    space.put(pages[2], class(0));
    for number in [pages[2], pages[3]] {
        let page = space.take(class(1), Source::Idle, |bytes| bytes == 0).expect("idle");
        assert_eq!((page.number, page.fresh), (number, 0));
    }
}

#[test]
fn a_stretch_that_is_partly_idle_gives_the_idle_part_first() {
    let space = space();
    let class = |index| Class::from_index(index).expect("class");
    let pages: Vec<_> = (0..2).map(|_| take(&space, class(0)).expect("a page").number).collect();
    space.put(pages[0], class(0));
    space.sweep(Sweep::All, usize::MAX, |_, _| ());
    space.put(pages[1], class(0));
    let page = take(&space, class(0)).expect("a page");
    assert_eq!((page.number, page.fresh, page.again), (pages[1], 0, 0));
}

#[test]
fn who_does_not_pay_gets_nothing_and_nothing_is_lost() {
    let space = space();
    let largest = Class::from_index(39).expect("class");
    assert_eq!(space.take(largest, Source::Anywhere, |_| false).err(), Some(Refusal::Charge));
    assert_eq!(taken(&space).len(), 4 * CHUNK as usize);
}

#[test]
fn there_is_no_class_where_there_is_no_page() {
    let space = space();
    let class = Class::all().next().expect("class");
    assert_eq!(space.class_of(space.base), None);
    let page = take(&space, class).expect("a page");
    let start = space.address(page.number * 512, class);
    assert_eq!(space.class_of(start), Some(class));
    space.put(page.number, class);
    assert_eq!(space.class_of(start), None);
    let local = 0_u8;
    assert!(space.class_of(NonNull::from(&local)).is_none() && !space.contains(NonNull::from(&local)));
}

proptest! {
    #[test]
    fn no_granule_is_part_of_two_pages(acts in prop::collection::vec((0..CLASSES, any::<prop::sample::Index>()), 1..300)) {
        let space = space();
        let mut out: Vec<(u32, Class)> = Vec::new();
        for (class, which) in acts {
            let class = Class::from_index(class).expect("class");
            match take(&space, class) {
                Some(page) => {
                    let mine = page.number..page.number + (1 << class.order());
                    prop_assert!(page.number.is_multiple_of(1 << class.order()));
                    for (number, other) in &out {
                        let theirs = *number..*number + (1 << other.order());
                        prop_assert!(mine.end <= theirs.start || theirs.end <= mine.start);
                    }
                    out.push((page.number, class));
                }
                None => prop_assert!(!out.is_empty()),
            }
            if out.len().is_multiple_of(3) {
                let (number, class) = out.swap_remove(which.index(out.len()));
                space.put(number, class);
            }
        }
        for (number, class) in out {
            space.put(number, class);
        }
        prop_assert_eq!(taken(&space).len(), 4 * CHUNK as usize);
    }
}
