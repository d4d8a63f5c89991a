//! Where a thread's pages come from and where they go, and when memory goes back to the kernel.
//!
//! ```text
//!  page heap --whole, one more than is kept--> space, idle --oldest first--> kernel
//!      ^                                         |
//!      `--------- whichever class, whichever thread, first of all
//! ```
//!
//! A page that is whole goes to the space at once, with its memory, and is the first to be taken again, by any class; a thread keeps
//! some of each of the last [`KEEPING`] classes that had one, so that a page is not given up and taken by turns. What stays idle for the delay goes back to the kernel.
//!
//! ## Peaks
//! Memory that lies idle costs nothing as long as the process takes no more than it did before. When it would take more than ever,
//! it first looks for pages that are whole in its other classes, and once it has taken more, as much of what is idle goes back: blocks in
//! rings that were not used since, pages of its own and of idle heaps, of the space, large spans, as far as those have more than is
//! allowed (large/cache.rs). So the peak is that of a process that keeps nothing, by a few per cent, or with large blocks that come
//! and go by a quarter of those, and a process whose
//! need goes up and down below its peak keeps its memory until the delay has passed. With `STORMGLASS_PURGE_MS=-1` nothing goes back.

use super::process::{self, Core, LARGE, LIMIT, TRANSFER};
use super::resting;
use super::size_class::Class;
use super::space::{Refusal, Source, Sweep};
use super::thread::{Counters, ThreadHeap};
use super::transfer;
use crate::batch::Batch;
use crate::block::FreshPage;
use crate::site::Tally;
use stormglass_telemetry::clock;

/// Bytes of whole pages that a heap keeps, if it is one that does, and how many pages at least and at most: as many as a few batches
/// come from. With one page, in 4 classes, a thread whose blocks another frees gave pages up and took them again with every other
/// batch, for a quarter more time (`stormglass compare --workload xmalloc`).
const WHOLE: usize = 256 << 10;
const WHOLE_PAGES: (u32, u32) = (1, 8);
/// Classes of which a thread keeps whole pages.
pub(super) const KEEPING: usize = 16;

/// How many whole pages of a class are kept.
fn whole_pages(class: Class) -> u32 {
    ((WHOLE / class.page_bytes()) as u32).clamp(WHOLE_PAGES.0, WHOLE_PAGES.1)
}

impl ThreadHeap {
    /// Fills a batch from the thread's pages, or from a page that is taken.
    pub(super) fn fill(&mut self, class: Class, batch: &mut Batch, core: &Core) {
        let (tally, counters) = (self.tally(class), self.counters_apart());
        let take = |source| take(class, source, tally, counters, core);
        loop {
            core.pages.refill(class.index(), &mut self.held, batch, tally, || None);
            if !batch.is_empty() {
                return self.shed(class, core);
            }
            if !resting::rob(class, core, counters) {
                break;
            }
        }
        core.pages.refill(class.index(), &mut self.held, batch, tally, || {
            let idle = take(Source::Idle);
            if idle.is_some() || LIMIT.would_peak(class.page_bytes()) { idle } else { take(Source::Anywhere) }
        });
        if batch.is_empty() {
            for other in Class::all() {
                core.pages.shed(other.index(), &self.held, 0, |page| core.space.put(page, other));
            }
            core.pages.refill(class.index(), &mut self.held, batch, tally, || take(Source::Anywhere));
            self.after_growth(core);
        }
        // What others have freed may have made pages whole.
        self.shed(class, core);
    }

    /// Lets whole pages go that are more than are kept.
    pub(super) fn shed(&mut self, class: Class, core: &Core) {
        let leave = |page| core.space.put(page, class);
        core.pages.shed(class.index(), &self.held, whole_pages(class), leave);
        if core.pages.has_whole(class.index(), &self.held) {
            self.keep(class, core);
        }
    }

    /// Makes a class one of those that keep a whole page, and another give its own up.
    fn keep(&mut self, class: Class, core: &Core) {
        let own = class.mark();
        let at = self.keeping.iter().position(|&kept| kept == own).unwrap_or(KEEPING - 1);
        let last = core::mem::replace(&mut self.keeping[at], own);
        self.keeping[..=at].rotate_right(1);
        if last != own
            && let Some(last) = Class::from_mark(last)
        {
            core.pages.shed(last.index(), &self.held, 0, |page| core.space.put(page, last));
        }
    }

    /// Where the process has taken more memory than ever, gives idle memory up for it.
    pub(super) fn after_growth(&mut self, core: &Core) {
        if process::purge_delay().is_some()
            && let Some(growth) = LIMIT.growth()
        {
            self.spill_unused(core);
            self.collect_batches(core, |class| TRANSFER.rests(class));
            self.collect_held(core);
            self.collect_idle(core);
            let went = self.sweep(Sweep::All, growth.bytes, core);
            if went < growth.bytes {
                LARGE.give_up(growth.bytes - went, &self.counters_apart().totals);
            }
            LIMIT.settle(&growth);
        }
    }

    /// Gives back what has been idle for `delay`, at most a few times that.
    pub(super) fn give_back(&mut self, now: u64, delay: u64, core: &Core) {
        self.collect_held(core);
        if core.may_look_at_idle(now, delay) {
            resting::empty(now.saturating_sub(delay), core, self.counters_apart());
            self.collect_batches(core, |class| TRANSFER.rests(class));
            self.collect_idle(core);
            self.sweep(if delay == 0 { Sweep::All } else { Sweep::Old }, usize::MAX, core);
            core.space.turn();
        }
        LARGE.purge(now, delay, &self.counters_apart().totals);
    }

    /// Gives back whatever is free, for want of memory or because a user asks; whether that was anything.
    pub(super) fn purge(&mut self, core: &Core) -> bool {
        resting::empty(u64::MAX, core, self.counters_apart());
        self.collect_batches(core, |_| true);
        self.collect_held(core);
        self.collect_idle(core);
        let pages = self.sweep(Sweep::All, usize::MAX, core) > 0;
        LARGE.purge(clock::monotonic(), 0, &self.counters_apart().totals) > 0 || pages
    }

    /// Fills a batch where there was nothing to be had: from what is free elsewhere. Also where no page was whole: what has rested, and
    /// batches, are now in page heaps that can be adopted, and heaps without pages have given their numbers back.
    pub(super) fn fill_for_want(&mut self, class: Class, batch: &mut Batch, core: &Core) {
        self.purge(core);
        self.fill(class, batch, core);
    }

    /// The batches between the rings go to their pages, of those classes that `of` names.
    fn collect_batches(&self, core: &Core, of: impl Fn(Class) -> bool) {
        for class in Class::all().filter(|&class| of(class)) {
            let to_pages =
                |batch: &[*mut u8]| self.to_pages(class, transfer::blocks(batch), core, self.counters());
            while TRANSFER.take(class, to_pages).is_ok() {}
        }
    }

    /// The whole pages of the thread's heaps become the space's.
    fn collect_held(&self, core: &Core) {
        for class in Class::all() {
            let leave = |page| core.space.put(page, class);
            core.pages.release_held(class.index(), &self.held, self.tally(class), leave);
        }
    }

    /// The whole pages of idle heaps become the space's.
    fn collect_idle(&self, core: &Core) {
        for class in Class::all() {
            core.pages.release_idle(class.index(), self.tally(class), |page| core.space.put(page, class));
        }
    }

    /// Idle memory of the space becomes the kernel's.
    fn sweep(&self, sweep: Sweep, at_most: usize, core: &Core) -> usize {
        let (start, counters) = (clock::stamp(), self.counters_apart());
        let bytes = core.space.sweep(sweep, at_most, |class, bytes| {
            counters.shard(class.index(), 0).page_purged_bytes.add(bytes as u64);
        });
        if bytes > 0 {
            LIMIT.give_back(bytes);
            core.count_purged(bytes as u64);
            counters.totals.purges.add(1);
            counters.totals.purge.add(core.clock.nanoseconds(clock::stamp().wrapping_sub(start)));
        }
        bytes
    }
}

/// A page, charged to the limit as far as it has no memory.
fn take(
    class: Class,
    source: Source,
    tally: Tally<'_>,
    counters: &Counters,
    core: &Core,
) -> Option<FreshPage> {
    match core.space.take(class, source, |bytes| LIMIT.take(bytes)) {
        Ok(page) => {
            tally.counters.page_retaken_bytes.add(page.again as u64);
            tally.counters.page_mapped_bytes.add(page.fresh as u64);
            let zeroed = page.fresh + page.again == class.page_bytes();
            Some(FreshPage::claim(page.number, class.blocks()).zeroed(zeroed))
        }
        Err(Refusal::Charge) => {
            counters.totals.limit_refusals.add(1);
            None
        }
        Err(Refusal::Space) => {
            if source == Source::Anywhere {
                counters.totals.kernel_refusals.add(1);
            }
            None
        }
    }
}
