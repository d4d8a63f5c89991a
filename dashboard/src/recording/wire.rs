//! Numbers and texts as bytes: LEB128, the low seven bits first, and texts with their length in front.
//!
//! Invariant: reading never passes the end, and never allocates more than it has bytes for.

use super::limits;

/// Why a payload makes no sense.
pub(crate) type Malformed = &'static str;

pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A number that may be negative, small in either direction.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// A text; what is too long for a reader is cut at a character.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(limits::TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    put(out, end as u64);
    out.extend_from_slice(&text.as_bytes()[..end]);
}

/// Reads what the functions above have written.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Input<'a> {
        Input(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.0.split_first().ok_or("it ends too early")?;
        self.0 = rest;
        Ok(first)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number has more than 64 bits")
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Malformed> {
        let value = self.number()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A number that must be below a limit.
    pub(crate) fn below(&mut self, limit: usize, what: Malformed) -> Result<usize, Malformed> {
        usize::try_from(self.number()?).ok().filter(|&value| value < limit).ok_or(what)
    }

    pub(crate) fn small(&mut self, what: Malformed) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| what)
    }

    pub(crate) fn text(&mut self) -> Result<String, Malformed> {
        let length = self.below(limits::TEXT + 1, "a text is too long")?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or("it ends within a text")?;
        self.0 = rest;
        let text = core::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8")?;
        // A terminal may be the next to read it.
        if text.chars().any(char::is_control) {
            return Err("a text has control characters");
        }
        Ok(text.to_owned())
    }

    /// A text that Prometheus takes for a name.
    pub(crate) fn name(&mut self) -> Result<String, Malformed> {
        let text = self.text()?;
        let mut chars = text.chars();
        let good = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
        if good { Ok(text) } else { Err("a name is not one") }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(value in any::<u64>(), signed in any::<i64>(), shift in 0..64_u32) {
            let mut out = Vec::new();
            put(&mut out, value >> shift);
            put_signed(&mut out, signed >> shift);
            let mut input = Input::new(&out);
            prop_assert_eq!(input.number(), Ok(value >> shift));
            prop_assert_eq!(input.signed(), Ok(signed >> shift));
            prop_assert!(input.is_empty());
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert_eq!(Input::new(&[0x80, 0x80]).number(), Err("it ends too early"));
        assert_eq!(Input::new(&[0xFF; 10]).number(), Err("a number has more than 64 bits"));
        assert_eq!(Input::new(&[0xFF; 11]).number(), Err("a number has more than 64 bits"));
    }

    #[test]
    fn a_text_is_cut_at_a_character_and_read_without_controls() {
        let mut out = Vec::new();
        put_text(&mut out, &"é".repeat(limits::TEXT));
        assert_eq!(Input::new(&out).text().map(|text| text.len()), Ok(limits::TEXT));
        assert!(Input::new(b"\x01\x1b").text().is_err());
        assert!(Input::new(b"\x05abc").text().is_err());
    }
}
