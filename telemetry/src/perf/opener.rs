//! Opens events: the one door to the kernel, and the trait that stands in it.
//!
//! Invariant: every descriptor is close-on-exec, so that no program that this process starts inherits one. Nothing here takes
//! memory from the heap on the way that succeeds, nor on the refusals that there are: a thread opens its own counters from inside the
//! allocator.

use core::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use perf_event::events::{Cache, CacheId, CacheOp, CacheResult, Hardware, Raw, Software};
use perf_event::{Builder, ReadFormat};
use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode, opcode};

use super::event::Event;
use super::page::Page;
use super::processor::Processor;

/// `PERF_EVENT_IOC_ID`: the number by which the kernel knows an event.
const ID: Opcode = opcode::read::<u64>(b'$', 7);

/// Whose events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The calling thread's.
    Caller,
    /// Those of this thread, and of the threads that it starts from then on.
    Thread(u32),
}

/// Where it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the program alone.
    User,
    /// In the program and in the kernel on its behalf.
    Kernel,
}

/// One event to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What.
    pub event: Event,
    /// Whose.
    pub target: Target,
    /// Where.
    pub mode: Mode,
}

/// Opens events.
pub trait Opener {
    /// What an open event is.
    type Counter: Counter;

    /// Opens an event, in the group of a leader or as a leader. A leader counts nothing before it is enabled, and its group
    /// begins with it.
    ///
    /// # Errors
    /// What the kernel says.
    fn open(&self, request: Request, leader: Option<&mut Self::Counter>) -> Result<Self::Counter, Errno>;
}

/// An open event; the leader of a group stands for the group.
pub trait Counter {
    /// Lets the group count.
    ///
    /// # Errors
    /// What the kernel says.
    fn enable(&mut self) -> Result<(), Errno>;

    /// Reads the group at one moment: how many events, time enabled, time running, and a value each, in the order in which they were opened.
    /// Returns how many words that was.
    ///
    /// # Errors
    /// What the kernel says.
    fn read(&self, words: &mut [u64]) -> Result<usize, Errno>;

    /// Whether it is still the event that was opened.
    fn is_intact(&self) -> bool {
        true
    }

    /// The page by which user space can read it, if it can.
    #[doc(hidden)]
    fn page(&self) -> Option<Page> {
        None
    }
}

/// The kernel.
#[derive(Clone, Copy, Debug)]
pub struct Kernel(());

impl Kernel {
    /// The kernel of this machine.
    pub fn here() -> Kernel {
        Kernel(())
    }
}

/// An open event of the kernel's.
#[derive(Debug)]
pub struct Descriptor(ManuallyDrop<perf_event::Counter>);

impl Drop for Descriptor {
    fn drop(&mut self) {
        // Somebody may have closed it: then another file has its number, and that is not ours to close.
        if self.is_intact() {
            // SAFETY: not used any more.
            unsafe { ManuallyDrop::drop(&mut self.0) };
        }
    }
}

impl Counter for Descriptor {
    fn is_intact(&self) -> bool {
        // SAFETY: the call writes a number where the getter has room for one; a file that is no event refuses it.
        let id = unsafe { rustix::ioctl::ioctl(self, Getter::<ID, u64>::new()) };
        id == Ok(self.0.id())
    }

    fn page(&self) -> Option<Page> {
        Page::map(self.as_fd())
    }

    fn enable(&mut self) -> Result<(), Errno> {
        self.0.enable().map_err(|error| errno_of(&error))
    }

    fn read(&self, words: &mut [u64]) -> Result<usize, Errno> {
        // SAFETY: the words as bytes, of which any are valid.
        let bytes: &mut [u8] =
            unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) };
        Ok(rustix::io::read(self, bytes)? / size_of::<u64>())
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the counter's, open for as long as it is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
}

/// The crate's own error, of an attribute that the kernel is too old for, has no number.
fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::TOOBIG)
}

const fn reads(which: CacheId) -> Cache {
    Cache { which, operation: CacheOp::READ, result: CacheResult::MISS }
}

impl Opener for Kernel {
    type Counter = Descriptor;

    fn open(&self, request: Request, leader: Option<&mut Descriptor>) -> Result<Descriptor, Errno> {
        let mut builder = match request.event {
            Event::Cycles => Builder::new(Hardware::CPU_CYCLES),
            Event::Instructions => Builder::new(Hardware::INSTRUCTIONS),
            Event::CacheReferences => Builder::new(Hardware::CACHE_REFERENCES),
            Event::CacheMisses => Builder::new(Hardware::CACHE_MISSES),
            Event::L1dReadMisses => Builder::new(reads(CacheId::L1D)),
            Event::LlcReadMisses => Builder::new(reads(CacheId::LL)),
            Event::RemoteCacheFills => {
                Builder::new(Raw::new(Processor::this().remote_cache_fills().ok_or(Errno::NOENT)?))
            }
            Event::PageFaults => Builder::new(Software::PAGE_FAULTS),
            Event::ContextSwitches => Builder::new(Software::CONTEXT_SWITCHES),
            Event::Migrations => Builder::new(Software::CPU_MIGRATIONS),
            Event::TaskClock => Builder::new(Software::TASK_CLOCK),
        };
        // Without ids, so that a group is read into a row of words; a member runs with its leader.
        builder
            .read_format(ReadFormat::TOTAL_TIME_ENABLED | ReadFormat::TOTAL_TIME_RUNNING)
            .exclude_kernel(request.mode == Mode::User)
            .exclude_hv(true)
            .enabled(leader.is_some());
        builder.attrs_mut().read_format |= ReadFormat::GROUP.bits();
        if let Target::Thread(thread) = request.target {
            builder.observe_pid(thread.try_into().map_err(|_| Errno::SRCH)?).inherit(true);
        }
        let opened = match leader {
            None => builder.build(),
            Some(leader) => builder.build_with_group(&mut *leader.0),
        };
        opened.map(|counter| Descriptor(ManuallyDrop::new(counter))).map_err(|error| errno_of(&error))
    }
}
