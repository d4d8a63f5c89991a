//! Misuse that is found where it costs nothing. The answer is a message by a raw write and an abort: an allocator that
//! has been lied to cannot unwind.

use core::fmt::Write as _;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

/// Text on the stack: no allocation, what does not fit is cut.
struct Line {
    bytes: [u8; 256],
    len: usize,
}

impl core::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = &mut self.bytes[self.len..];
        let n = text.len().min(room.len());
        room[..n].copy_from_slice(&text.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

/// Ends the process: `address` is freed here, but was never given out by this pool.
#[cold]
pub(crate) fn foreign(address: NonNull<u8>) -> ! {
    end(format_args!("free of {address:p}, which this pool never gave out (a foreign or stale pointer)"))
}

/// Ends the process: a block came back to a page that has it already.
#[cold]
pub(crate) fn freed_twice() -> ! {
    end(format_args!("a block was freed twice (found when it came back to its page, after the second free)"))
}

/// Ends the process: a block is in a thread's ring twice.
#[cold]
pub(crate) fn freed_twice_in_a_ring() -> ! {
    end(format_args!(
        "a block was freed twice (found when it was to go to another thread, after the second free)"
    ))
}

/// Ends the process: `address` is no start of a block, though it points into one.
#[cold]
pub(crate) fn interior(address: NonNull<u8>, bytes: usize) -> ! {
    end(format_args!("free of {address:p}, which points into a block of {bytes} bytes, not to its start"))
}

/// Ends the process: `address` points into a large block.
#[cold]
pub(crate) fn interior_large(address: NonNull<u8>) -> ! {
    end(format_args!("free of {address:p}, which points into a large block, not to the start of one"))
}

/// Ends the process: the large block at `address` was freed before.
#[cold]
pub(crate) fn large_freed_twice(address: NonNull<u8>) -> ! {
    end(format_args!("the block at {address:p} was freed twice"))
}

/// Writes a line to standard error, without allocating.
pub(crate) fn say(what: core::fmt::Arguments<'_>) {
    let mut line = Line { bytes: [0; 256], len: 0 };
    let _ = writeln!(line, "stormglass: {what}");
    // Nothing more can be done if standard error is closed.
    let _ = rustix::io::write(rustix::stdio::stderr(), &line.bytes[..line.len]);
}

/// Whether the process is about to end because of misuse.
static ENDS: AtomicBool = AtomicBool::new(false);

/// Whether the process is about to end: the caller may be a handler of its SIGABRT, under a lock that its own thread holds.
pub(crate) fn ends() -> bool {
    // Relaxed: what matters is what this thread itself has set.
    ENDS.load(Ordering::Relaxed)
}

/// Ends the process with a message.
#[cold]
pub(crate) fn end(what: core::fmt::Arguments<'_>) -> ! {
    ENDS.store(true, Ordering::Relaxed);
    say(what);
    std::process::abort()
}
