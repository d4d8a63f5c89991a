//! Another process, counted from outside: every thread that it has, and by inheritance every thread that it will have.
//!
//! ```text
//! list the threads --> open the plan on each --> list again: a thread that was not there before? close all, and begin again
//! ```
//!
//! A thread that appears meanwhile was started by one that is attached to, and is counted by inheritance, or by one that is
//! not yet, and is lost; nobody can tell which. Hence the second list: where it has nothing new, everything is counted, once. A thread that
//! ends has its counts added to its parent's by the kernel, so that short lives are not lost.
//!
//! Invariants: a thread is counted once; totals never fall; the process is the one that was meant, before and after, by its
//! start time.

use std::collections::BTreeSet;
use std::fs;

use rustix::io::Errno;

use super::descriptors;
use super::event::Event;
use super::group::Group;
use super::opener::{Opener, Target};
use super::plan::{Plan, Standing};
use super::scale::Scaled;
use super::state::{State, refusal};
use crate::liveness;

/// How often it begins again because of threads that appear meanwhile.
const TRIES: u32 = 32;

/// Why a process could not be attached to, as a state and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// How every event stands.
    pub state: State,
    /// What to do.
    pub message: String,
}

/// One event of a process.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// Which.
    pub event: Event,
    /// How it stands.
    pub state: State,
    /// What to say of that; empty while it is counted.
    pub message: String,
    /// How much was counted since the attachment, scaled; none if it is not counted.
    pub total: Option<u64>,
    /// Nanoseconds for which it was to be counted, and was.
    pub enabled: u64,
    /// See `enabled`.
    pub running: u64,
}

impl Tally {
    /// An event that is not counted.
    pub fn not(event: Event, state: State, message: &str) -> Tally {
        Tally { event, state, message: message.to_owned(), total: None, enabled: 0, running: 0 }
    }
}

/// An open group of one thread, and what it counted.
struct Counted<C> {
    /// Its index in the plan.
    group: usize,
    open: Group<C>,
    scaled: Scaled,
}

/// Counters on every thread of a process.
pub struct Attachment<O: Opener> {
    counted: Vec<Counted<O::Counter>>,
    threads: usize,
    missed: usize,
}

impl<O: Opener> Attachment<O> {
    /// Attaches to a process that started at `start_time` (field 22 of its `stat`).
    ///
    /// # Errors
    /// If nothing of it can be counted.
    pub fn new(opener: &O, plan: &Plan, pid: u32, start_time: u64) -> Result<Attachment<O>, Trouble> {
        let gone = || {
            Trouble {
            state: State::Failed,
            message: "the process cannot be seen from here: it has ended, or is in another pid namespace, and then a sidecar in the same \
                      one can count it"
                .to_owned(),
        }
        };
        let is_it = || liveness::start_time(pid) == Some(start_time);
        if !is_it() {
            return Err(gone());
        }
        let attachment = Attachment::over(opener, plan, || threads(pid))?;
        if is_it() { Ok(attachment) } else { Err(gone()) }
    }

    fn over(opener: &O, plan: &Plan, mut list: impl FnMut() -> Vec<u32>) -> Result<Attachment<O>, Trouble> {
        let mut tries = 0;
        loop {
            tries += 1;
            let before = list();
            let wanted = before.len() * plan.len();
            if !descriptors::are_there(wanted) {
                return Err(Trouble {
                    state: State::Failed,
                    message: descriptors::too_few(before.len(), wanted),
                });
            }
            let counted = open_all(opener, plan, &before)?;
            let known: BTreeSet<u32> = before.iter().copied().collect();
            let missed = list().iter().filter(|thread| !known.contains(thread)).count();
            if missed == 0 || tries == TRIES {
                return Ok(Attachment { counted, threads: before.len(), missed });
            }
        }
    }

    /// Threads that there were when it was attached to.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Threads that came while it was attached to, of which some may not be counted.
    pub fn missed(&self) -> usize {
        self.missed
    }

    /// Reads every counter and adds up; also once the process has ended, for the last time.
    pub fn read(&mut self, plan: &Plan) -> Vec<Tally> {
        for counted in &mut self.counted {
            // A reading that fails leaves the last one standing.
            if let Ok(reading) = counted.open.read() {
                counted.scaled.advance(&reading);
            }
        }
        Event::ALL.map(|event| self.tally(plan, event)).into()
    }

    fn tally(&self, plan: &Plan, event: Event) -> Tally {
        if let Standing::Not(state, message) = plan.standing(event) {
            return Tally::not(event, *state, message);
        }
        let mut tally = Tally::not(event, State::Counting, "");
        let mut total = 0_u64;
        for counted in &self.counted {
            let events = &plan.groups()[counted.group];
            if let Some(index) = events.iter().position(|&(other, _)| other == event) {
                total = total.saturating_add(counted.scaled.totals[index]);
                tally.enabled = tally.enabled.saturating_add(counted.scaled.enabled);
                tally.running = tally.running.saturating_add(counted.scaled.running);
            }
        }
        // Not to be counted yet is 0; to be counted and never on a counter is nothing that could be said.
        tally.total = (tally.running > 0 || tally.enabled == 0).then_some(total);
        if tally.running < tally.enabled {
            tally.state = State::Scaled;
            tally.message = if tally.running == 0 {
                "not counted so far: other events have the processor's counters".to_owned()
            } else {
                "counted in turn with other events, and scaled up".to_owned()
            };
        }
        tally
    }
}

fn open_all<O: Opener>(
    opener: &O,
    plan: &Plan,
    threads: &[u32],
) -> Result<Vec<Counted<O::Counter>>, Trouble> {
    let mut counted = Vec::with_capacity(threads.len() * plan.groups().len());
    for &thread in threads {
        for (group, events) in plan.groups().iter().enumerate() {
            match Group::open(opener, Target::Thread(thread), events) {
                Ok(open) => counted.push(Counted { group, open, scaled: Scaled::default() }),
                // It has ended, or is about to, in between: the kernel says so in several ways, none of which can be about an event of the plan.
                Err((_, Errno::SRCH | Errno::NODEV | Errno::NOENT | Errno::INVAL)) => break,
                Err((event, errno)) => {
                    let (state, message) = refusal(errno, event, false, &plan.circumstances);
                    return Err(Trouble { state, message });
                }
            }
        }
    }
    if counted.is_empty() && !plan.groups().is_empty() {
        return Err(Trouble {
            state: State::Failed,
            message: "the process ended while it was being attached to".to_owned(),
        });
    }
    Ok(counted)
}

/// The threads of a process; none if it has gone.
fn threads(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use super::*;
    use crate::perf::fake::{Fake, Now, OPEN};

    fn totals(attachment: &mut Attachment<Fake>, plan: &Plan, event: Event) -> Tally {
        attachment.read(plan).swap_remove(event as usize)
    }

    #[test]
    fn states_of_a_process_are_those_of_its_groups() {
        let fake = Fake::new().without_pmu();
        let plan = Plan::probe(&fake, OPEN);
        let mut attachment =
            Attachment::over(&fake, &plan, || vec![1, 2]).unwrap_or_else(|e| panic!("{e:?}"));
        let fresh = totals(&mut attachment, &plan, Event::PageFaults);
        assert_eq!((fresh.state, fresh.total), (State::Counting, Some(0)), "0 is a measurement");

        fake.now.set(Now { enabled: 100, running: 100, value: 7 });
        let faults = totals(&mut attachment, &plan, Event::PageFaults);
        assert_eq!((faults.state, faults.total, faults.running), (State::Counting, Some(14), 200));
        let cycles = totals(&mut attachment, &plan, Event::Cycles);
        assert_eq!((cycles.state, cycles.total), (State::Unsupported, None));
    }

    #[test]
    fn events_that_take_turns_are_scaled_and_say_so() {
        let fake = Fake::new();
        let plan = Plan::probe(&fake, OPEN);
        let mut attachment = Attachment::over(&fake, &plan, || vec![1]).unwrap_or_else(|e| panic!("{e:?}"));
        fake.now.set(Now { enabled: 100, running: 0, value: 0 });
        let waiting = totals(&mut attachment, &plan, Event::Cycles);
        assert_eq!((waiting.state, waiting.total), (State::Scaled, None), "never 0");
        fake.now.set(Now { enabled: 200, running: 50, value: 10 });
        let cycles = totals(&mut attachment, &plan, Event::Cycles);
        assert_eq!((cycles.state, cycles.total), (State::Scaled, Some(40)));
        assert_eq!((cycles.enabled, cycles.running), (200, 50));
    }

    #[test]
    fn threads_that_come_meanwhile_make_it_begin_again() {
        let (listed, fake) = (Rc::new(RefCell::new(vec![1_u32])), Fake::new());
        let plan = Plan::probe(&fake, OPEN);
        // A second thread begins while the first is attached to.
        let coming = Rc::clone(&listed);
        let begun = Cell::new(false);
        *fake.meanwhile.borrow_mut() = Box::new(move || {
            if !begun.replace(true) {
                coming.borrow_mut().push(2);
            }
        });
        let attachment =
            Attachment::over(&fake, &plan, || listed.borrow().clone()).unwrap_or_else(|e| panic!("{e:?}"));
        assert_eq!((attachment.threads(), attachment.missed()), (2, 0));
        assert_eq!(fake.open_now(), 2 * plan.len(), "what the first try had opened is closed");
    }

    #[test]
    fn threads_without_end_are_said_to_be_missed() {
        let (next, fake) = (Cell::new(0), Fake::new());
        let plan = Plan::probe(&fake, OPEN);
        let list = || {
            next.set(next.get() + 1);
            vec![next.get()]
        };
        let attachment = Attachment::over(&fake, &plan, list).unwrap_or_else(|e| panic!("{e:?}"));
        assert_eq!((attachment.threads(), attachment.missed()), (1, 1));
    }

    #[test]
    fn a_thread_that_ends_meanwhile_is_passed_over() {
        let fake = Fake::new().ended(2);
        let plan = Plan::probe(&fake, OPEN);
        let attachment = Attachment::over(&fake, &plan, || vec![1, 2]).unwrap_or_else(|e| panic!("{e:?}"));
        assert_eq!(fake.open_now(), plan.len());
        drop(attachment);
        assert_eq!(fake.open_now(), 0);
    }

    #[test]
    fn too_few_descriptors_leave_none_open() {
        let fake = Fake::new().with_descriptors(30);
        let plan = Plan::probe(&fake, OPEN);
        let trouble = Attachment::over(&fake, &plan, || vec![1, 2, 3]).err().expect("trouble");
        assert_eq!(trouble.state, State::Failed);
        assert!(trouble.message.contains("ulimit -n"), "{}", trouble.message);
        assert_eq!(fake.open_now(), 0);
        let many = Attachment::over(&fake, &plan, || (0..100_000_000).step_by(100).collect()).err();
        assert!(many.is_some_and(|trouble| trouble.message.contains("LimitNOFILE")));
    }
}
