//! What is said of a finding: one line, with the address, the class, the page and the thread; then the process ends.

use core::ptr::NonNull;

use crate::general::plain::Place;
use crate::misuse;

/// What was found of a block that the allocator knows.
pub(super) enum Finding {
    /// A call was given an address inside the block.
    Interior(&'static str),
    /// It was freed while it was freed already.
    FreedTwice,
    /// Another call was given it after its free.
    UsedFreed(&'static str),
    /// Its seal is gone: written over from the front, or the block was never given out.
    NoSeal(&'static str),
    /// A byte behind the caller's has changed.
    Overrun { size: usize, offset: usize },
    /// A byte of a freed block has changed.
    WrittenAfterFree { size: usize, offset: usize },
}

/// Ends the process over an address that is in no page of ours.
#[cold]
pub(super) fn foreign(address: NonNull<u8>, call: &str) -> ! {
    misuse::end(format_args!(
        "{call} of {address:p}, which is no block: never given out, or not any more (a foreign, interior or stale pointer; thread {})",
        thread()
    ))
}

/// Ends the process over a block.
#[cold]
pub(super) fn report(finding: Finding, address: NonNull<u8>, place: Place) -> ! {
    let tell = |what: core::fmt::Arguments<'_>| -> ! {
        misuse::end(format_args!(
            "{what} (class {}, page {:#x}, thread {})",
            place.class,
            place.page,
            thread()
        ))
    };
    match finding {
        Finding::Interior(call) => tell(format_args!(
            "{call} of {address:p}, which lies {} bytes inside the block {:p}",
            address.addr().get() - place.start.addr().get(),
            place.start
        )),
        Finding::FreedTwice => tell(format_args!("{address:p} was freed twice")),
        Finding::UsedFreed(call) => tell(format_args!("{call} of {address:p}, which was freed")),
        Finding::NoSeal(call) => tell(format_args!(
            "{call} of {address:p}, whose end is overwritten, or which is not in use: a write past its bytes, or a stale pointer"
        )),
        Finding::Overrun { size, offset } => {
            tell(format_args!("{address:p} was written past its {size} bytes: byte {offset} has changed"))
        }
        Finding::WrittenAfterFree { size, offset } => tell(format_args!(
            "{address:p} ({size} bytes) was written after its free: byte {offset} has changed"
        )),
    }
}

fn thread() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}
