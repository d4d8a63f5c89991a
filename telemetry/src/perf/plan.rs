//! What can be counted on this machine by this process, found out once on the calling thread.
//!
//! Each event is tried alone and with the kernel excluded: asked for more, a kernel whose settings forbid it says so before it looks
//! whether there is such a counter, and a missing PMU would pass for a forbidden one. What happens in the kernel alone is
//! then tried with it, for without it reads 0; a page fault too, if that is allowed.

use rustix::io::Errno;

use super::attach::Tally;
use super::circumstances::Circumstances;
use super::event::Event;
use super::group::Group;
use super::opener::{Mode, Opener, Request, Target};
use super::state::{State, refusal};

/// How an event stands on this machine, before anything is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can be counted, there.
    Here(Mode),
    /// It cannot, and why.
    Not(State, String),
}

/// What can be opened, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    standings: [Standing; Event::ALL.len()],
    groups: Vec<Vec<(Event, Mode)>>,
    pub(super) circumstances: Circumstances,
}

impl Plan {
    /// Tries every event on the calling thread.
    pub fn probe<O: Opener>(opener: &O, circumstances: Circumstances) -> Plan {
        let standings = Event::ALL.map(|event| match mode(opener, event) {
            Ok(mode) => Standing::Here(mode),
            Err((errno, kernel)) => {
                let (state, message) = refusal(errno, event, kernel, &circumstances);
                Standing::Not(state, message)
            }
        });
        let mut plan = Plan { standings, groups: Vec::new(), circumstances };
        for events in Event::GROUPS {
            let mut group: Vec<(Event, Mode)> = events
                .iter()
                .filter_map(|&event| match plan.standing(event) {
                    Standing::Here(mode) => Some((event, *mode)),
                    Standing::Not(..) => None,
                })
                .collect();
            // A processor with few counters, or with one for a certain event alone, takes fewer at a time.
            while let Err((unfit, _)) = Group::open(opener, Target::Caller, &group) {
                let Some(index) = group.iter().position(|&(event, _)| event == unfit) else { break };
                plan.groups.push(vec![group.remove(index)]);
            }
            plan.groups.extend(Some(group).filter(|group| !group.is_empty()));
        }
        plan
    }

    /// How an event stands.
    pub fn standing(&self, event: Event) -> &Standing {
        &self.standings[event as usize]
    }

    /// Every event in the same state, but for those that this machine lacks or forbids anyway.
    pub fn all(&self, state: State, message: &str) -> Vec<Tally> {
        let tally = |event| match self.standing(event) {
            Standing::Here(_) => Tally::not(event, state, message),
            Standing::Not(state, message) => Tally::not(event, *state, message),
        };
        Event::ALL.map(tally).into()
    }

    /// What cannot be counted here, a sentence for each reason.
    pub fn problems(&self) -> Vec<String> {
        let mut reasons: Vec<(&str, State, Vec<&str>)> = Vec::new();
        for event in Event::ALL {
            let Standing::Not(state, message) = self.standing(event) else { continue };
            match reasons.iter_mut().find(|(other, ..)| other == message) {
                Some((.., events)) => events.push(event.name()),
                None => reasons.push((message, *state, vec![event.name()])),
            }
        }
        let sentence = |(message, state, events): (&str, State, Vec<&str>)| {
            format!("{}: {}: {message}", events.join(", "), state.name())
        };
        reasons.into_iter().map(sentence).collect()
    }

    /// The events to be opened together.
    pub(super) fn groups(&self) -> &[Vec<(Event, Mode)>] {
        &self.groups
    }

    /// Events in all, which is descriptors a thread.
    pub(super) fn len(&self) -> usize {
        self.groups.iter().map(Vec::len).sum()
    }
}

/// Where an event can be counted, or what the kernel said, and whether it was then asked to count in the kernel.
fn mode<O: Opener>(opener: &O, event: Event) -> Result<Mode, (Errno, bool)> {
    let open = |mode| opener.open(Request { event, target: Target::Caller, mode }, None).map(drop);
    open(Mode::User).map_err(|errno| (errno, false))?;
    match event {
        event if event.needs_kernel() => {
            open(Mode::Kernel).map(|()| Mode::Kernel).map_err(|errno| (errno, true))
        }
        Event::PageFaults => Ok(open(Mode::Kernel).map_or(Mode::User, |()| Mode::Kernel)),
        _ => Ok(Mode::User),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perf::fake::{Fake, OPEN};

    fn not(plan: &Plan, event: Event) -> State {
        match plan.standing(event) {
            Standing::Here(_) => panic!("{event:?} is here"),
            Standing::Not(state, _) => *state,
        }
    }

    #[test]
    fn a_missing_pmu_does_not_hide_behind_a_setting() {
        // A virtual machine at level 2: the kernel would answer EACCES to whatever is to be counted in the kernel.
        let fake = Fake::new().without_pmu().forbidding_kernel();
        let plan = Plan::probe(&fake, Circumstances { paranoid: Some(2), pmu: false, ..OPEN });
        assert_eq!(not(&plan, Event::Cycles), State::Unsupported);
        assert_eq!(not(&plan, Event::ContextSwitches), State::Forbidden);
        assert_eq!(plan.standing(Event::PageFaults), &Standing::Here(Mode::User));
        assert_eq!(plan.groups(), [[(Event::TaskClock, Mode::User), (Event::PageFaults, Mode::User)]]);
    }

    #[test]
    fn context_switches_are_counted_in_the_kernel_and_cycles_are_not() {
        let plan = Plan::probe(&Fake::new(), OPEN);
        assert_eq!(plan.standing(Event::ContextSwitches), &Standing::Here(Mode::Kernel));
        assert_eq!(plan.standing(Event::Migrations), &Standing::Here(Mode::Kernel));
        assert_eq!(plan.standing(Event::Cycles), &Standing::Here(Mode::User));
        assert_eq!((plan.groups().len(), plan.len()), (3, Event::ALL.len()));
    }

    #[test]
    fn an_event_that_does_not_fit_its_group_is_counted_apart() {
        let fake = Fake::new().unfit(Event::CacheMisses);
        let plan = Plan::probe(&fake, OPEN);
        assert!(plan.groups().contains(&vec![(Event::CacheMisses, Mode::User)]));
        assert_eq!(plan.len(), Event::ALL.len());
    }

    #[test]
    fn every_refusal_of_the_kernel_becomes_its_state() {
        for (errno, state) in [
            (Errno::NOENT, State::Unsupported),
            (Errno::ACCESS, State::Forbidden),
            (Errno::PERM, State::Forbidden),
            (Errno::MFILE, State::Failed),
        ] {
            let plan = Plan::probe(&Fake::new().refusing(errno), OPEN);
            assert!(Event::ALL.iter().all(|&event| not(&plan, event) == state), "{errno}");
            assert!(plan.groups().is_empty());
        }
    }

    #[test]
    fn what_shares_a_reason_shares_a_sentence() {
        let fake = Fake::new().without_pmu().forbidding_kernel();
        let plan = Plan::probe(&fake, Circumstances { paranoid: Some(2), pmu: false, ..OPEN });
        let problems = plan.problems();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("cycles, instructions, ") && problems[0].ends_with("no PMU"));
        assert!(
            problems[1]
                .starts_with("context_switches, migrations: forbidden: kernel.perf_event_paranoid is 2")
        );
        assert!(Plan::probe(&Fake::new(), OPEN).problems().is_empty());
    }

    #[test]
    fn nothing_stays_open() {
        let fake = Fake::new();
        let _ = Plan::probe(&fake, OPEN);
        assert_eq!(fake.open_now(), 0);
    }
}
