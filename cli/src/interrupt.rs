//! Ctrl-C, and the polite signal that service managers send.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// Exit code after an interrupt, as shells have it: 128 and the signal's number.
pub(crate) const EXIT_CODE: u8 = 130;

/// Hears of interrupts from the moment it is made.
pub(crate) struct Interrupt {
    int: Signal,
    term: Signal,
}

impl Interrupt {
    /// # Errors
    /// If the kernel refuses a handler.
    pub(crate) fn listen() -> Result<Interrupt, Failure> {
        let to = |kind| signal(kind).map_err(|e| Failure::failed(format!("signals cannot be handled: {e}")));
        Ok(Interrupt { int: to(SignalKind::interrupt())?, term: to(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
        }
    }
}

/// The runtime of a command: one thread, because the other cores are being measured.
///
/// # Errors
/// If the kernel has no more file descriptors.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("the event loop cannot be started: {e}")))
}
