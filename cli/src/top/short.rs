//! Numbers in a few characters.

/// `0`, `12`, `410k`, `1.2M`; a dash for what is not counted.
pub(super) fn short(value: f64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    match units.iter().find(|(unit, _)| value >= unit * 0.9995) {
        Some((unit, name)) if value / unit < 9.95 => format!("{:.1}{name}", value / unit),
        Some((unit, name)) => format!("{:.0}{name}", value / unit),
        None if value > 0.0 && value < 9.95 => format!("{value:.1}"),
        None => format!("{value:.0}"),
    }
}

/// A share of 1 in per cent.
pub(super) fn percent(value: f64) -> String {
    let percent = value * 100.0;
    if percent > 0.0 && percent < 9.95 { format!("{percent:.1}%") } else { format!("{percent:.0}%") }
}

/// Bytes, by 1024.
pub(super) fn bytes(value: u64) -> String {
    let value = value as f64;
    let units = [(1024_f64.powi(3), "G"), (1024_f64.powi(2), "M"), (1024.0, "K")];
    match units.iter().find(|(unit, _)| value >= *unit) {
        Some((unit, name)) if value / unit < 9.95 => format!("{:.1}{name}", value / unit),
        Some((unit, name)) => format!("{:.0}{name}", value / unit),
        None => format!("{value:.0}B"),
    }
}

/// What there is, or a dash.
pub(super) fn or_dash<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), text)
}

/// The first characters of a text, with a mark where some are left out.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['~']).take(width).collect()
}

/// Words in lines of at most this width; a word that is longer is a line of its own.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_takes_few_characters() {
        let all = [0.0, 0.4, 12.0, 999.0, 1000.0, 410_321.0, 1.25e6, 99.6e6].map(short);
        assert_eq!(all, ["0", "0.4", "12", "999", "1.0k", "410k", "1.2M", "100M"]);
        assert_eq!([0.0, 0.004, 0.5, 1.0].map(percent), ["0%", "0.4%", "50%", "100%"]);
        assert_eq!([12, 2048, 70 << 20, 3 << 30].map(bytes), ["12B", "2.0K", "70M", "3.0G"]);
        assert_eq!(wrap("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!((cut("stormglass", 5), cut("ab", 5)), ("stor~".to_owned(), "ab".to_owned()));
    }
}
