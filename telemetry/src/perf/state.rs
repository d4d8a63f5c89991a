//! How an event stands, and what a refusal of the kernel means to whoever runs the machine.
//!
//! Pure: an error number and what is known of the machine go in, a state and a sentence come out.

use rustix::io::Errno;
use serde::Serialize;

use super::circumstances::Circumstances;
use super::descriptors;
use super::event::{Event, Source};

/// How an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Counted all the time.
    Counting,
    /// Counted part of the time, because events take turns, and scaled up by that part.
    Scaled,
    /// There is no such counter on this machine.
    Unsupported,
    /// A setting or a filter forbids it.
    Forbidden,
    /// It should work and does not.
    Failed,
}

impl State {
    /// Every state.
    pub const ALL: [State; 5] =
        [State::Counting, State::Scaled, State::Unsupported, State::Forbidden, State::Failed];

    /// The value of the label `state`.
    pub const fn name(self) -> &'static str {
        match self {
            State::Counting => "counting",
            State::Scaled => "scaled",
            State::Unsupported => "unsupported",
            State::Forbidden => "forbidden",
            State::Failed => "failed",
        }
    }
}

/// The capability that stands above the setting, and how a container gets it.
const CAPABILITY: &str = "give stormglass CAP_PERFMON (in a container: --cap-add PERFMON)";

/// What a refusal means.
pub(super) fn refusal(errno: Errno, event: Event, kernel: bool, here: &Circumstances) -> (State, String) {
    match errno {
        Errno::NOENT | Errno::OPNOTSUPP | Errno::NODEV | Errno::NXIO => absent(event, here),
        // A filter may say so too, where it does not know the call.
        Errno::NOSYS if !here.filtered => {
            (State::Unsupported, "this kernel is built without perf events (CONFIG_PERF_EVENTS)".to_owned())
        }
        Errno::NOSYS | Errno::PERM if here.filtered => (
            State::Forbidden,
            format!(
                "a seccomp filter forbids perf_event_open: {CAPABILITY}, which the filters of container engines let through, \
                 or a filter that allows the call (--security-opt seccomp=FILE)"
            ),
        ),
        Errno::ACCESS | Errno::PERM => (State::Forbidden, forbidden(kernel, here)),
        Errno::MFILE | Errno::NFILE => (State::Failed, descriptors::exhausted(errno)),
        Errno::NOSPC | Errno::BUSY => (
            State::Failed,
            "other users of the processor's counters have them all: end them (perf, or the watchdog: sysctl \
             kernel.nmi_watchdog=0)"
                .to_owned(),
        ),
        Errno::SRCH => (State::Failed, "the process ended while it was being attached to".to_owned()),
        other => (State::Failed, format!("perf_event_open failed: {other}")),
    }
}

fn absent(event: Event, here: &Circumstances) -> (State, String) {
    let why = match event.source() {
        Source::Software => "this kernel has no such event",
        Source::Hardware if !here.pmu => "this machine has no PMU",
        Source::Hardware if event == Event::RemoteCacheFills => "no such event is known of this processor",
        Source::Hardware => "this processor has no such event",
    };
    (State::Unsupported, why.to_owned())
}

fn forbidden(kernel: bool, here: &Circumstances) -> String {
    // What the kernel asks for at most: 1 to look into the kernel, 2 to look at one's own programs.
    let (most, what) = if kernel { (1, "which happens in the kernel") } else { (2, "even in user mode") };
    match here.paranoid {
        Some(level) if level > most && !here.capable => format!(
            "kernel.perf_event_paranoid is {level}, which forbids to count this, {what}: sysctl kernel.perf_event_paranoid={most}, or \
             {CAPABILITY}"
        ),
        _ => "the kernel forbids to look at this process: it runs as another user, has capabilities that stormglass lacks, or a \
              security module keeps it apart; run stormglass as its user or as root"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Circumstances =
        Circumstances { paranoid: Some(1), filtered: false, capable: false, pmu: true };

    fn said(errno: Errno, event: Event, kernel: bool, here: Circumstances, state: State, word: &str) {
        let (got, message) = refusal(errno, event, kernel, &here);
        assert_eq!(got, state, "{message}");
        assert!(message.contains(word), "{message}");
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        use Event::{ContextSwitches, Cycles, PageFaults, RemoteCacheFills};
        let virtual_machine = Circumstances { pmu: false, ..OPEN };
        said(Errno::NOENT, Cycles, false, virtual_machine, State::Unsupported, "this machine has no PMU");
        said(Errno::NOENT, Cycles, false, OPEN, State::Unsupported, "this processor has no such event");
        said(Errno::NOENT, RemoteCacheFills, false, OPEN, State::Unsupported, "known of this processor");
        said(Errno::NOENT, PageFaults, false, OPEN, State::Unsupported, "kernel");
        said(Errno::NOSYS, Cycles, false, OPEN, State::Unsupported, "CONFIG_PERF_EVENTS");

        let level = |paranoid| Circumstances { paranoid: Some(paranoid), ..OPEN };
        let setting = "kernel.perf_event_paranoid=1";
        said(Errno::ACCESS, ContextSwitches, true, level(2), State::Forbidden, setting);
        said(Errno::ACCESS, Cycles, false, level(3), State::Forbidden, "kernel.perf_event_paranoid=2");
        said(Errno::ACCESS, Cycles, false, level(4), State::Forbidden, "CAP_PERFMON");
        said(Errno::ACCESS, Cycles, false, OPEN, State::Forbidden, "another user");
        let filtered = Circumstances { filtered: true, ..OPEN };
        said(Errno::PERM, Cycles, false, filtered, State::Forbidden, "seccomp");
        said(Errno::NOSYS, Cycles, false, filtered, State::Forbidden, "--cap-add PERFMON");
        said(Errno::PERM, Cycles, false, OPEN, State::Forbidden, "security module");

        said(Errno::MFILE, Cycles, false, OPEN, State::Failed, "ulimit -n");
        said(Errno::NFILE, Cycles, false, OPEN, State::Failed, "fs.file-max");
        said(Errno::BUSY, Cycles, false, OPEN, State::Failed, "nmi_watchdog");
        said(Errno::SRCH, Cycles, false, OPEN, State::Failed, "ended");
        said(Errno::INVAL, Cycles, false, OPEN, State::Failed, "perf_event_open failed");
    }
}
