//! Signals: what this program is sent is meant for the one that it runs.
//!
//! The two are in one process group, so that the terminal's Ctrl-C, Ctrl-\ and hang-up reach the program by themselves; such a
//! signal is told by its origin, the kernel, and not passed on, or it would arrive twice. What another process sends to this
//! one alone is passed on. (Whoever sends to the whole group cannot be told from that: the program gets it twice then.)
//!
//! The standard way to hear of signals does not say where they come from, so they are blocked and waited for.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::failure::Failure;

/// Those that are passed on. Job control (TSTP, CONT, TTIN, TTOU) is the group's, and what kills without asking cannot be heard.
const PASSED: [Signal; 8] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::WINCH,
];

/// The C library's set of signals and what it says of one (64-bit Linux).
mod c {
    use core::ffi::c_int;

    #[repr(C, align(8))]
    #[derive(Clone, Copy)]
    pub(super) struct SignalSet(pub(super) [u8; 128]);

    #[repr(C, align(8))]
    pub(super) struct Info {
        pub(super) signal: c_int,
        pub(super) errno: c_int,
        /// Above 0: the kernel sent it.
        pub(super) origin: c_int,
        rest: [u8; 116],
    }

    impl Info {
        pub(super) const EMPTY: Info = Info { signal: 0, errno: 0, origin: 0, rest: [0; 116] };
    }

    pub(super) const SIG_BLOCK: c_int = 0;
    pub(super) const SIG_SETMASK: c_int = 2;

    unsafe extern "C" {
        pub(super) fn sigemptyset(set: *mut SignalSet) -> c_int;
        pub(super) fn sigaddset(set: *mut SignalSet, signal: c_int) -> c_int;
        pub(super) fn pthread_sigmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
        pub(super) fn sigwaitinfo(set: *const SignalSet, info: *mut Info) -> c_int;
    }
}

/// Signals that are held back until there is somebody to get them.
pub(crate) struct Relay {
    held: c::SignalSet,
    before: c::SignalSet,
}

impl Relay {
    /// Holds them back, in this thread and those that it starts.
    pub(crate) fn hold() -> Relay {
        let mut held = c::SignalSet([0; 128]);
        let mut before = held;
        // SAFETY: the sets are ours and as large as the C library's; the numbers are those of signals.
        unsafe {
            c::sigemptyset(&raw mut held);
            for signal in PASSED {
                c::sigaddset(&raw mut held, signal.as_raw());
            }
            c::pthread_sigmask(c::SIG_BLOCK, &raw const held, &raw mut before);
        }
        Relay { held, before }
    }

    /// Holds nothing back from the program that is started: it would inherit that.
    pub(crate) fn release_in(&self, command: &mut Command) {
        let before = self.before;
        let release = move || {
            // SAFETY: the set is what the C library said was the mask.
            unsafe { c::pthread_sigmask(c::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
            Ok(())
        };
        // SAFETY: what runs between fork and exec makes one system call, on memory of its own.
        unsafe { command.pre_exec(release) };
    }

    /// Passes them on, on a thread of its own that ends with this program.
    ///
    /// # Errors
    /// If there can be no thread.
    pub(crate) fn to(self, target: Target) -> Result<(), Failure> {
        let relay = move || {
            loop {
                let mut info = c::Info::EMPTY;
                // SAFETY: both are ours and as large as the C library's.
                let signal = unsafe { c::sigwaitinfo(&raw const self.held, &raw mut info) };
                if let Some(signal) = Signal::from_named_raw(signal).filter(|_| info.origin <= 0) {
                    target.send(signal);
                }
            }
        };
        let started = thread::Builder::new().name("signals".to_owned()).spawn(relay);
        started.map(drop).map_err(|e| Failure::failed(format!("signals cannot be passed on: {e}")))
    }
}

/// The program, as long as its number is its own.
#[derive(Clone)]
pub(crate) struct Target(Arc<Mutex<Option<Pid>>>);

impl Target {
    pub(crate) fn of(child: &Child) -> Target {
        Target(Arc::new(Mutex::new(Some(Pid::from_child(child)))))
    }

    fn send(&self, signal: Signal) {
        // Nothing panics under the lock.
        let pid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pid) = *pid {
            // It may have ended meanwhile; then there is nobody to tell.
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it is no child of this process, which it is.
    pub(crate) fn wait(&self, mut child: Child) -> io::Result<ExitStatus> {
        // Until it is reaped nobody else gets its number; so first its end, then the lock, then the reaping.
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(error) = waitid(WaitId::Pid(Pid::from_child(&child)), ended) {
            if error != rustix::io::Errno::INTR {
                return Err(error.into());
            }
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        child.wait()
    }
}
