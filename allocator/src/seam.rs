//! The one place between what a list operation saw and its attempt to change it: after the load of a head and before
//! the CAS, or inside a lock.
//!
//! Tests step in here and let another thread's whole operation happen, so that an interleaving is scripted rather than
//! hoped for. Outside tests nothing is here but a delay that a user asked for (injection.rs).

use crate::site::Tally;

/// Called by every design at its seam.
#[inline]
#[allow(clippy::inline_always, reason = "one branch is left of it outside tests")]
pub(crate) fn reached<'a>(tally: impl Into<Tally<'a>>) {
    #[cfg(all(test, not(loom)))]
    script::play();
    tally.into().delay.pass();
}

// A model plays every interleaving and needs no script.
#[cfg(all(test, not(loom)))]
pub(crate) mod script {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    type Step = Box<dyn FnOnce()>;

    type Hook = std::rc::Rc<dyn Fn()>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
        static STEPS: RefCell<VecDeque<Option<Step>>> = const { RefCell::new(VecDeque::new()) };
    }

    /// What happens at the next seams of this thread, in order: an interruption, or nothing.
    pub(crate) fn write(steps: impl IntoIterator<Item = Option<Step>>) {
        STEPS.with_borrow_mut(|s| s.extend(steps));
    }

    /// What happens at every seam of this thread from now on that has no step of its own; nothing for `None`.
    pub(crate) fn always(hook: Option<Hook>) {
        HOOK.set(hook);
    }

    /// Whether every step was played.
    pub(crate) fn is_done() -> bool {
        STEPS.with_borrow(VecDeque::is_empty)
    }

    pub(super) fn play() {
        // The borrow ends before the step runs, and nothing is left to be played, because the step reaches seams of its own.
        if let Some(step) = STEPS.with_borrow_mut(VecDeque::pop_front) {
            let rest = STEPS.take();
            if let Some(step) = step {
                step();
            }
            STEPS.set(rest);
        } else if let Some(hook) = HOOK.take() {
            hook();
            HOOK.set(Some(hook));
        }
    }
}
