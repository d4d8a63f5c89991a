//! Text to words.

use std::ops::Range;

use stormglass_telemetry::Dimension;

use super::mistake::Mistake;
use super::{Arithmetic, Comparison, units};

/// Longer than any assertion that means something.
const LONGEST: usize = 4096;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Word(String),
    /// A number in base units; `None` where it has no unit, and so fits everything.
    Number(f64, Option<Dimension>),
    Text(String),
    Compare(Comparison),
    Arithmetic(Arithmetic),
    Assign,
    Open,
    Close,
    OpenLabels,
    CloseLabels,
    Comma,
}

/// A word and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Spanned {
    pub(super) token: Token,
    pub(super) at: Range<usize>,
}

/// The words of a text.
///
/// # Errors
/// At a character that begins no word.
pub(super) fn words(text: &str) -> Result<Vec<Spanned>, Mistake> {
    if text.len() > LONGEST {
        let sentence = format!("this is longer than {LONGEST} bytes, so it is hardly one assertion");
        return Err(Mistake::new("", 0..0, sentence));
    }
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (token, length) = word(text, at, c)?;
        words.push(Spanned { token, at: at..at + length });
        at += length;
    }
    Ok(words)
}

/// The word that begins at `at` with `c`, and its length in bytes.
fn word(text: &str, at: usize, c: char) -> Result<(Token, usize), Mistake> {
    let rest = &text[at..];
    for (sign, token) in [
        ("<=", Token::Compare(Comparison::LessOrEqual)),
        (">=", Token::Compare(Comparison::GreaterOrEqual)),
        ("==", Token::Compare(Comparison::Equal)),
        ("!=", Token::Compare(Comparison::Unequal)),
        ("<", Token::Compare(Comparison::Less)),
        (">", Token::Compare(Comparison::Greater)),
        ("=", Token::Assign),
        ("(", Token::Open),
        (")", Token::Close),
        ("{", Token::OpenLabels),
        ("}", Token::CloseLabels),
        (",", Token::Comma),
        ("+", Token::Arithmetic(Arithmetic::Add)),
        ("-", Token::Arithmetic(Arithmetic::Subtract)),
        ("*", Token::Arithmetic(Arithmetic::Multiply)),
        ("/", Token::Arithmetic(Arithmetic::Divide)),
    ] {
        if rest.starts_with(sign) {
            return Ok((token, sign.len()));
        }
    }
    match c {
        '"' | '\'' => quoted(text, at, c),
        '0'..='9' | '.' => number(text, at),
        c if c.is_ascii_alphabetic() || c == '_' => {
            let length = length_of(rest, |c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
            Ok((Token::Word(rest[..length].to_owned()), length))
        }
        _ => Err(Mistake::new(
            text,
            at..at + c.len_utf8(),
            format!("`{}` means nothing here", c.escape_debug()),
        )),
    }
}

fn length_of(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// A text in quotes of either kind; a backslash takes the next character as it is.
fn quoted(text: &str, at: usize, quote: char) -> Result<(Token, usize), Mistake> {
    let mut value = String::new();
    let mut characters = text[at + 1..].char_indices();
    while let Some((i, c)) = characters.next() {
        if c == quote {
            return Ok((Token::Text(value), 1 + i + 1));
        }
        let c = if c == '\\' { characters.next().map_or(c, |(_, next)| next) } else { c };
        value.push(c);
    }
    Err(Mistake::new(text, at..text.len(), format!("the quote {quote} is not closed")))
}

fn number(text: &str, at: usize) -> Result<(Token, usize), Mistake> {
    let rest = &text[at..];
    let mut length = length_of(rest, |c| c.is_ascii_digit() || c == '.' || c == '_');
    length += exponent(&rest[length..]);
    let digits = rest[..length].replace('_', "");
    let value: f64 = digits
        .parse()
        .map_err(|_| Mistake::new(text, at..at + length, format!("`{}` is no number", &rest[..length])))?;
    let after = &rest[length..];
    let unit = length_of(after, |c| c.is_alphabetic() || c == '%' || c == '_');
    let (mut dimension, mut scale) = (None, 1.0);
    if unit > 0 {
        let name = &after[..unit];
        let (of, by) = units::named(name).ok_or_else(|| {
            let sentence = format!("`{name}` is no unit: take {}, or none", units::all());
            Mistake::new(text, at + length..at + length + unit, sentence)
        })?;
        // Thousands are of whatever it is that is counted.
        dimension = (of != Dimension::Number || name == "%").then_some(of);
        scale = by;
        length += unit;
    }
    // A division by a figure would have a space or a name of more letters.
    let per = rest[length..]
        .strip_prefix("/s")
        .filter(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'));
    if per.is_some() {
        let of = dimension.unwrap_or(Dimension::Number);
        dimension = Some(units::per_second(of).ok_or_else(|| {
            let sentence = format!("{} for each second is no unit", of.name());
            Mistake::new(text, at..at + length + 2, sentence)
        })?);
        length += 2;
    }
    // Dividing by a whole number rounds once: 95% is 0.95.
    let value = if scale < 1.0 { value / (1.0 / scale).round() } else { value * scale };
    Ok((Token::Number(value, dimension), length))
}

/// Length of an exponent such as `e-6`; 0 if this is none.
fn exponent(text: &str) -> usize {
    let Some(after) = text.strip_prefix(['e', 'E']) else { return 0 };
    let digits = after.strip_prefix(['+', '-']).unwrap_or(after);
    let count = length_of(digits, |c| c.is_ascii_digit());
    if count == 0 { 0 } else { text.len() - digits.len() + count }
}
