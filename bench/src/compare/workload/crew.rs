//! Threads that prepare themselves, begin together and work until the time is over.
//!
//! Invariant: between the meter's start and its stop there is work and nothing else: what threads prepared is there
//! before, and what they are left with is handed to the caller after.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::shape::Shape;
use crate::workload::{Meter, OwnLine, Trouble};

/// The end of the time, as threads see it.
pub(super) struct Bell(OwnLine<AtomicBool>);

impl Bell {
    /// Whether the time is over.
    #[inline]
    pub(super) fn rang(&self) -> bool {
        // Relaxed: the flag publishes no memory, and a thread may see it a little late.
        self.0.0.load(Ordering::Relaxed)
    }

    fn ring(&self) {
        // Relaxed: see `rang`.
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Where threads wait for the beginning.
#[derive(Default)]
struct Gate {
    begun: Mutex<Option<bool>>,
    turned: Condvar,
}

impl Gate {
    /// Whether to begin.
    fn wait(&self) -> bool {
        let guard = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = self.turned.wait_while(guard, |begun| begun.is_none());
        guard.unwrap_or_else(PoisonError::into_inner).unwrap_or(false)
    }

    fn turn(&self, begin: bool) {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = Some(begin);
        self.turned.notify_all();
    }
}

/// What threads tell the main thread.
enum Word {
    Ready,
    Failed,
}

/// Runs `work` on `shape.threads` threads for `shape.seconds`, each on what it has prepared, and returns that and what each
/// counted, in the order of their numbers.
///
/// # Errors
/// The first trouble of any of them, which ends the others' work too.
pub(super) fn crew<S: Send>(
    shape: &Shape,
    meter: &mut dyn Meter,
    prepare: impl Fn(usize) -> Result<S, Trouble> + Sync,
    work: impl Fn(&mut S, &Bell) -> Result<u64, Trouble> + Sync,
) -> Result<Vec<(S, u64)>, Trouble> {
    let bell = Bell(OwnLine(AtomicBool::new(false)));
    let gate = Gate::default();
    let (post, words) = mpsc::channel();
    let (bell, gate, prepare, work) = (&bell, &gate, &prepare, &work);
    thread::scope(|scope| {
        let mut threads = Vec::with_capacity(shape.threads);
        let mut refused = None;
        for number in 0..shape.threads {
            let post = post.clone();
            let life = move || {
                let prepared =
                    catch_unwind(AssertUnwindSafe(|| prepare(number))).unwrap_or(Err(Trouble::Panic));
                let _ = post.send(if prepared.is_ok() { Word::Ready } else { Word::Failed });
                let mut state = prepared?;
                if !gate.wait() {
                    return Ok((state, 0));
                }
                let worked =
                    catch_unwind(AssertUnwindSafe(|| work(&mut state, bell))).unwrap_or(Err(Trouble::Panic));
                if worked.is_err() {
                    let _ = post.send(Word::Failed);
                }
                worked.map(|counted| (state, counted))
            };
            match thread::Builder::new().spawn_scoped(scope, life) {
                Ok(handle) => threads.push(handle),
                Err(error) => refused = Some(Trouble::Thread(error)),
            }
        }
        drop(post);
        let ready = (0..threads.len()).filter(|_| matches!(words.recv(), Ok(Word::Ready))).count();
        let begin = ready == shape.threads;
        if begin {
            meter.start();
        }
        let deadline = Instant::now() + Duration::from_secs_f64(shape.seconds);
        gate.turn(begin);
        if begin {
            // Whatever comes before the time is over is an end: of one that failed, or of all.
            let _ = words.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        bell.ring();
        let mut results = Vec::with_capacity(threads.len());
        for thread in threads {
            results.push(thread.join().unwrap_or(Err(Trouble::Panic)));
        }
        if begin {
            meter.stop();
        }
        refused.map_or(Ok(()), Err)?;
        results.into_iter().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::workload::SHAPE;

    struct Silent(Vec<&'static str>);

    impl Meter for Silent {
        fn start(&mut self) {
            self.0.push("start");
        }

        fn stop(&mut self) {
            self.0.push("stop");
        }
    }

    const QUICK: Shape = Shape { threads: 3, seconds: 0.01, ..SHAPE };

    #[test]
    fn every_thread_works_on_what_it_prepared_until_the_bell() {
        let mut meter = Silent(vec![]);
        let work = |state: &mut usize, bell: &Bell| {
            while !bell.rang() {
                thread::yield_now();
            }
            Ok(*state as u64 * 10)
        };
        let found = crew(&QUICK, &mut meter, Ok, work).expect("no trouble");
        assert_eq!(found, [(0, 0), (1, 10), (2, 20)]);
        assert_eq!(meter.0, ["start", "stop"]);
    }

    #[test]
    fn trouble_in_preparing_starts_nothing() {
        let mut meter = Silent(vec![]);
        let prepare = |number| if number == 1 { Err(Trouble::Memory { size: 5 }) } else { Ok(()) };
        let found = crew(&QUICK, &mut meter, prepare, |(), _| Ok(0));
        assert!(matches!(found, Err(Trouble::Memory { size: 5 })));
        assert!(meter.0.is_empty());
        let panics = |number| if number == 1 { panic!("on purpose") } else { Ok(()) };
        assert!(matches!(crew(&QUICK, &mut meter, panics, |(), _| Ok(0)), Err(Trouble::Panic)));
    }

    #[test]
    fn trouble_in_working_ends_the_others_at_once() {
        let long = Shape { seconds: 600.0, ..QUICK };
        let work = |number: &mut usize, bell: &Bell| {
            while *number > 0 && !bell.rang() {
                thread::yield_now();
            }
            if *number == 0 { Err(Trouble::Answer("wrong".into())) } else { Ok(1) }
        };
        let found = crew(&long, &mut Silent(vec![]), Ok, work);
        assert!(matches!(found, Err(Trouble::Answer(_))));
    }
}
