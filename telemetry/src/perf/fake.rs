//! A kernel that refuses what a test wants refused, and counts what it says.

use core::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use rustix::io::Errno;

use super::circumstances::Circumstances;
use super::event::{Event, Source};
use super::opener::{Counter, Mode, Opener, Request, Target};

/// A machine on which everything is allowed.
pub(super) const OPEN: Circumstances =
    Circumstances { paranoid: Some(1), filtered: false, capable: false, pmu: true };

/// What a counter of the fake is read as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) enabled: u64,
    pub(super) running: u64,
    /// Of each event.
    pub(super) value: u64,
}

/// The kernel of a test.
pub(super) struct Fake {
    no_pmu: bool,
    no_kernel: bool,
    unfit: Option<Event>,
    refusal: Option<Errno>,
    /// Threads that end before they can be attached to.
    ended: BTreeSet<u32>,
    /// Descriptors that are left.
    left: Cell<usize>,
    pub(super) now: Rc<Cell<Now>>,
    open: Rc<Cell<usize>>,
    /// Called at each opening: a thread may begin or end meanwhile.
    pub(super) meanwhile: RefCell<Box<dyn FnMut()>>,
}

/// An open event of the fake's.
pub(super) struct Opened {
    group: Rc<Cell<usize>>,
    now: Rc<Cell<Now>>,
    open: Rc<Cell<usize>>,
}

impl Fake {
    pub(super) fn new() -> Fake {
        Fake {
            no_pmu: false,
            no_kernel: false,
            unfit: None,
            refusal: None,
            ended: BTreeSet::new(),
            left: Cell::new(usize::MAX),
            now: Rc::new(Cell::new(Now { enabled: 0, running: 0, value: 0 })),
            open: Rc::default(),
            meanwhile: RefCell::new(Box::new(|| {})),
        }
    }

    pub(super) fn without_pmu(self) -> Fake {
        Fake { no_pmu: true, ..self }
    }

    pub(super) fn forbidding_kernel(self) -> Fake {
        Fake { no_kernel: true, ..self }
    }

    pub(super) fn unfit(self, event: Event) -> Fake {
        Fake { unfit: Some(event), ..self }
    }

    pub(super) fn refusing(self, errno: Errno) -> Fake {
        Fake { refusal: Some(errno), ..self }
    }

    pub(super) fn ended(self, thread: u32) -> Fake {
        Fake { ended: BTreeSet::from([thread]), ..self }
    }

    pub(super) fn with_descriptors(self, left: usize) -> Fake {
        self.left.set(left);
        self
    }

    /// Counters that are open.
    pub(super) fn open_now(&self) -> usize {
        self.open.get()
    }
}

impl Opener for Fake {
    type Counter = Opened;

    fn open(&self, request: Request, leader: Option<&mut Opened>) -> Result<Opened, Errno> {
        (self.meanwhile.borrow_mut())();
        if let Some(errno) = self.refusal {
            return Err(errno);
        }
        // In the order of the kernel's own checks.
        if self.no_kernel && request.mode == Mode::Kernel {
            return Err(Errno::ACCESS);
        }
        if let Target::Thread(thread) = request.target
            && self.ended.contains(&thread)
        {
            return Err(Errno::SRCH);
        }
        if self.no_pmu && request.event.source() == Source::Hardware {
            return Err(Errno::NOENT);
        }
        if leader.is_some() && self.unfit == Some(request.event) {
            return Err(Errno::INVAL);
        }
        if self.left.get() == self.open.get() {
            return Err(Errno::MFILE);
        }
        self.open.set(self.open.get() + 1);
        let group = leader.map_or_else(Rc::default, |leader| Rc::clone(&leader.group));
        group.set(group.get() + 1);
        Ok(Opened { group, now: Rc::clone(&self.now), open: Rc::clone(&self.open) })
    }
}

impl Counter for Opened {
    fn enable(&mut self) -> Result<(), Errno> {
        Ok(())
    }

    fn read(&self, words: &mut [u64]) -> Result<usize, Errno> {
        let now = self.now.get();
        let len = 3 + self.group.get();
        words[..3].copy_from_slice(&[self.group.get() as u64, now.enabled, now.running]);
        words[3..len].fill(now.value);
        Ok(len)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.open.set(self.open.get() - 1);
    }
}
