//! What a user may say of the allocator, in environment variables.
//!
//! Pure: from texts to values. What cannot be read is as if it were not said, because nobody is there to be told; an unknown
//! strategy is, because a user who names one wants to see it.

use core::time::Duration;

/// The user's wishes.
#[allow(clippy::struct_excessive_bools, reason = "each is a wish of its own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// How long a page or span stays free before its memory goes back; none: for ever (`STORMGLASS_PURGE_MS`).
    pub(crate) purge: Option<Duration>,
    /// The most bytes to be mapped (`STORMGLASS_LIMIT`).
    pub(crate) limit: Option<usize>,
    /// Misuse is looked for (`STORMGLASS_CHECK`).
    pub(crate) check: bool,
    /// The segment stays when the process ends (`STORMGLASS_KEEP`).
    pub(crate) keep: bool,
    /// The process says why it runs uncounted (`STORMGLASS_VERBOSE`).
    pub(crate) verbose: bool,
    /// Slow paths are sampled by hardware counters (`STORMGLASS_PERF`).
    pub(crate) perf: bool,
    /// Huge pages (`STORMGLASS_THP`).
    pub(crate) huge_pages: bool,
}

impl Options {
    /// What holds if nothing is said.
    pub(crate) const DEFAULT: Options = Options {
        purge: Some(Duration::from_secs(1)),
        limit: None,
        check: false,
        keep: false,
        verbose: false,
        perf: false,
        huge_pages: false,
    };

    /// Reads one `NAME=VALUE`.
    pub(crate) fn read(&mut self, entry: &[u8]) {
        let Some(entry) = entry.strip_prefix(b"STORMGLASS_") else { return };
        let Some(equals) = entry.iter().position(|&byte| byte == b'=') else { return };
        let value = &entry[equals + 1..];
        match &entry[..equals] {
            b"PURGE_MS" if value == b"-1" => self.purge = None,
            b"PURGE_MS" => {
                if let Some((milliseconds, b"")) = number(value) {
                    self.purge = Some(Duration::from_millis(milliseconds));
                }
            }
            b"LIMIT" => self.limit = bytes(value).or(self.limit),
            b"CHECK" => self.check = value == b"1",
            b"KEEP" => self.keep = value == b"1",
            b"VERBOSE" => self.verbose = value == b"1",
            b"PERF" => self.perf = value == b"1",
            b"THP" => self.huge_pages = value == b"1",
            _ => {}
        }
    }
}

/// The number at the start of a text, and what follows.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = text[..digits]
        .iter()
        .try_fold(0_u64, |value, &digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))?;
    (digits > 0).then_some((value, &text[digits..]))
}

/// A number of bytes, perhaps with K, M or G.
fn bytes(text: &[u8]) -> Option<usize> {
    let (value, unit) = number(text)?;
    let shift = match unit {
        b"" => 0,
        b"K" | b"k" => 10,
        b"M" | b"m" => 20,
        b"G" | b"g" => 30,
        _ => return None,
    };
    usize::try_from(value).ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(entries: &[&str]) -> Options {
        let mut options = Options::DEFAULT;
        for entry in entries {
            options.read(entry.as_bytes());
        }
        options
    }

    #[test]
    fn what_is_said_is_read() {
        let options = read(&["HOME=/", "STORMGLASS_PURGE_MS=0", "STORMGLASS_LIMIT=3M", "STORMGLASS_KEEP=1"]);
        assert_eq!((options.purge, options.limit), (Some(Duration::ZERO), Some(3 << 20)));
        assert!(options.keep && !options.check && !options.verbose);
        assert_eq!(read(&["STORMGLASS_PURGE_MS=-1"]).purge, None);
        assert_eq!(read(&["STORMGLASS_LIMIT=17"]).limit, Some(17));
        assert!(read(&["STORMGLASS_PERF=1"]).perf);
        assert!(read(&["STORMGLASS_CHECK=1", "STORMGLASS_VERBOSE=1", "STORMGLASS_THP=1"]).check);
    }

    #[test]
    fn what_cannot_be_read_changes_nothing() {
        for entry in [
            "LIMIT=",
            "LIMIT=x",
            "LIMIT=1T",
            "LIMIT=99999999999999999999",
            "LIMIT=99999999999G",
            "PURGE_MS=1s",
        ] {
            assert_eq!(read(&[&format!("STORMGLASS_{entry}")]), Options::DEFAULT, "{entry}");
        }
        assert_eq!(
            read(&["", "=", "STORMGLASS_", "STORMGLASS_LIMIT", "xSTORMGLASS_LIMIT=1"]),
            Options::DEFAULT
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(entry in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut options = Options::DEFAULT;
            options.read(&entry);
            options.read(&[b"STORMGLASS_LIMIT=", entry.as_slice()].concat());
            options.read(&[b"STORMGLASS_PURGE_MS=", entry.as_slice()].concat());
        }
    }
}
