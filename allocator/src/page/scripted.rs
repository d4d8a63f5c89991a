//! Exact counts: races on pages that are written down, with numbers worked out by hand (see ../scripted.rs).

use std::rc::Rc;

use stormglass_telemetry::Op;

use super::scene::{Scene, Thread};
use crate::seam::script;

/// What happens at a seam: an interruption, or nothing.
type Step = Option<Box<dyn FnOnce()>>;

/// A step in which a thread does something.
#[allow(
    clippy::unnecessary_wraps,
    reason = "stands in a list beside `None`, the seam at which nothing happens"
)]
fn act(thread: &Rc<Thread>, what: impl FnOnce(&Thread) + 'static) -> Step {
    let thread = Rc::clone(thread);
    Some(Box::new(move || what(&thread)))
}

#[test]
fn a_remote_push_that_loses_its_cas_is_counted_and_does_not_queue_the_page_twice() {
    // A page has 32 blocks of this class, so one refill empties it.
    let scene = Scene::of(32 << 10);
    let (holder, first, second) = (scene.thread(), scene.thread(), scene.thread());
    assert_eq!(holder.refill(), (0..32).collect::<Vec<_>>());
    // Between the first one's load and its CAS the second pushes to the same word, and queues the page.
    script::write([act(&second, |t| t.spill(&[1])), None]);
    first.spill(&[0]);
    assert!(script::is_done());
    assert_eq!((first.cas(Op::RemotePush), first.cas(Op::Push)), ([2, 1], [0, 0]));
    assert_eq!((second.cas(Op::RemotePush), second.cas(Op::Push)), ([1, 0], [1, 0]));
    assert_eq!(first.counts().cas_retries.counts()[1], 1, "one operation needed one retry");
    assert_eq!([first.counts().remote_frees.get(), second.counts().remote_frees.get()], [1, 1]);

    assert_eq!(holder.refill(), [0, 1]);
    let c = holder.counts();
    assert_eq!([c.remote_drains.get(), c.remote_drained_blocks.get()], [1, 2]);
    assert_eq!([c.refills.get(), c.refilled_blocks.get(), c.pages_mapped.get()], [2, 34, 1]);
}

#[test]
fn a_page_that_is_queued_while_another_is_counts_a_retry_of_push() {
    let scene = Scene::of(32 << 10);
    let (holder, first, second) = (scene.thread(), scene.thread(), scene.thread());
    holder.refill();
    assert_eq!(holder.refill(), (512..544).collect::<Vec<_>>());
    // The second queues the other page between the first one's load of the queue and its CAS.
    script::write([None, act(&second, |t| t.spill(&[520])), None]);
    first.spill(&[7]);
    assert!(script::is_done());
    assert_eq!((first.cas(Op::RemotePush), first.cas(Op::Push)), ([1, 0], [2, 1]));
    assert_eq!((second.cas(Op::RemotePush), second.cas(Op::Push)), ([1, 0], [1, 0]));
    let mut back = holder.refill();
    back.sort_unstable();
    assert_eq!(back, [7, 520]);
    assert_eq!(holder.counts().remote_drains.get(), 2, "two pages");
}

#[test]
fn blocks_that_share_a_word_go_home_with_one_cas_and_a_page_is_queued_once() {
    let scene = Scene::of(2 << 10);
    let (holder, other) = (scene.thread(), scene.thread());
    let blocks = [holder.refill(), holder.refill(), holder.refill()].concat();
    assert_eq!(blocks, (0..96).collect::<Vec<_>>());
    other.spill(&blocks[..32]);
    assert_eq!((other.cas(Op::RemotePush), other.cas(Op::Push)), ([1, 0], [1, 0]));
    // From two words, in any order: two more, and the page is queued already.
    let mixed: Vec<u32> = (48..80).rev().collect();
    other.spill(&mixed);
    assert_eq!((other.cas(Op::RemotePush), other.cas(Op::Push)), ([3, 0], [1, 0]));
    assert_eq!(other.counts().remote_frees.get(), 64);
}

#[test]
fn a_page_that_is_queued_while_its_heap_is_merged_goes_to_the_other_heap() {
    let scene = Scene::of(32 << 10);
    let (gone, dry, freeing) = (scene.thread(), scene.thread(), scene.thread());
    let of_gone = gone.refill();
    dry.refill();
    gone.end();
    // The dry one, with as many pages, closes the idle heap's queue before the page is on it, and finds nothing there: it
    // maps a page.
    script::write([None, act(&dry, |t| assert_eq!(t.refill()[0], 1024)), None]);
    freeing.spill(&of_gone[..1]);
    assert!(script::is_done());
    assert_eq!(freeing.cas(Op::Push), [2, 1]);
    let c = dry.counts();
    assert_eq!([c.heaps_adopted.get(), c.pages_adopted.get(), c.remote_drains.get()], [1, 1, 0]);
    assert_eq!(dry.refill(), of_gone[..1]);
    assert_eq!([c.remote_drains.get(), c.pages_mapped.get()], [1, 2]);
}
