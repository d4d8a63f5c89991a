//! Text in a buffer that somebody else brought: what does not fit is counted and not written.

use core::fmt;

/// Writes into a buffer as `snprintf` does: whole characters' bytes up to the end, and the length that all of it has.
pub(crate) struct Text<'a> {
    room: &'a mut [u8],
    len: usize,
}

impl<'a> Text<'a> {
    pub(crate) fn new(room: &'a mut [u8]) -> Text<'a> {
        Text { room, len: 0 }
    }

    /// What was written.
    pub(crate) fn written(&self) -> &[u8] {
        &self.room[..self.len.min(self.room.len())]
    }

    /// Bytes that all of the text has, written or not.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let at = self.len.min(self.room.len());
        let room = &mut self.room[at..];
        let n = text.len().min(room.len());
        room[..n].copy_from_slice(&text.as_bytes()[..n]);
        self.len += text.len();
        Ok(())
    }
}
