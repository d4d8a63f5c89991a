//! The first record of a file: who recorded it, and what for.

use super::wire::{Input, Malformed, put, put_text};

/// What a recording says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Version of the stormglass that recorded.
    pub version: String,
    /// When it began, seconds since 1970.
    pub created: u64,
    /// Wanted time between moments, in milliseconds.
    pub spacing_ms: u64,
    /// What it is about, such as the verdict that a capture was made for; may be empty.
    pub note: String,
}

impl About {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_text(&mut out, &self.version);
        put(&mut out, self.created);
        put(&mut out, self.spacing_ms);
        put_text(&mut out, &self.note);
        out
    }

    /// What stands behind the fields that this build knows is left for newer ones.
    pub(crate) fn decode(payload: &[u8]) -> Result<About, Malformed> {
        let mut input = Input::new(payload);
        Ok(About {
            version: input.text()?,
            created: input.number()?,
            spacing_ms: input.number()?,
            note: input.text()?,
        })
    }
}
