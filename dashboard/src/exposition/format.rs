//! In which words a scrape is answered: what the client asks for, in the order of its preference (RFC 9110, 12.5).
//!
//! Invariant: whatever a client sends, it gets an answer in a format that exists; text if it asks for none of ours.

/// How the samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Length-delimited `io.prometheus.client.MetricFamily` messages.
    Protobuf,
}

impl Format {
    /// In the order of what is cheapest to read, for clients that like several equally.
    const ALL: [Format; 3] = [Format::Text, Format::OpenMetrics, Format::Protobuf];

    /// Value of the header `content-type`.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// The one that `accept`, the header of that name, likes best.
    pub(crate) fn chosen(accept: Option<&str>) -> Format {
        let Some(accept) = accept else { return Format::Text };
        let ranges: Vec<Range<'_>> = ranges(accept).collect();
        // Of what is liked equally, the first that the client names; of what no range tells apart, our first.
        let liked = |format: Format| {
            let of = |(at, range): (usize, &Range<'_>)| Some((range.fits(format)?, at, range.quality));
            // The most specific range counts, whatever the quality of the others.
            let best = ranges
                .iter()
                .enumerate()
                .filter_map(of)
                .max_by_key(|(specific, at, _)| (*specific, core::cmp::Reverse(*at)));
            best.map(|(_, at, quality)| (quality, at)).filter(|(quality, _)| *quality > 0)
        };
        let all = Format::ALL.into_iter().filter_map(|format| Some((format, liked(format)?)));
        let first = all.reduce(|best, next| {
            let ((quality, at), (next_quality, next_at)) = (best.1, next.1);
            if (next_quality, core::cmp::Reverse(next_at)) > (quality, core::cmp::Reverse(at)) {
                next
            } else {
                best
            }
        });
        first.map_or(Format::Text, |(format, _)| format)
    }
}

/// One element of an `accept` header.
struct Range<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    /// In thousandths, as the header has it.
    quality: u16,
}

impl Range<'_> {
    /// How exactly the range names the format; none if it does not.
    fn fits(&self, format: Format) -> Option<usize> {
        let is = |name: &str, values: &[&str]| {
            self.parameters
                .iter()
                .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                .all(|(_, value)| values.iter().any(|known| known.eq_ignore_ascii_case(value)))
        };
        let has = |name: &str| self.parameters.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        let named = |media: &str, good: bool| {
            (good && self.media.eq_ignore_ascii_case(media)).then(|| 2 + self.parameters.len())
        };
        let wild = |media: &str| self.media.eq_ignore_ascii_case(media);
        // How names that are not plain words would be written does not matter: we have none.
        match format {
            Format::Text if wild("*/*") => Some(0),
            Format::Text if wild("text/*") => Some(1),
            Format::Text => named("text/plain", is("version", &["0.0.4"]) && is("charset", &["utf-8"])),
            Format::OpenMetrics => named(
                "application/openmetrics-text",
                is("version", &["1.0.0", "0.0.1"]) && is("charset", &["utf-8"]),
            ),
            // Without its parameters the name says nothing of what is inside.
            Format::Protobuf => named(
                "application/vnd.google.protobuf",
                has("proto")
                    && is("proto", &["io.prometheus.client.MetricFamily"])
                    && has("encoding")
                    && is("encoding", &["delimited"]),
            ),
        }
    }
}

fn ranges(header: &str) -> impl Iterator<Item = Range<'_>> {
    // No value that we know has a comma or a semicolon in quotes; elements that do are ones that we do not know.
    header.split(',').take(64).filter_map(|element| {
        let mut parts = element.split(';').map(str::trim);
        let media = parts.next().filter(|media| !media.is_empty())?;
        let mut range = Range { media, parameters: Vec::new(), quality: 1000 };
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            let (key, value) = (key.trim(), value.trim().trim_matches('"'));
            if key.eq_ignore_ascii_case("q") {
                range.quality = quality(value);
            } else if !key.eq_ignore_ascii_case("escaping") {
                range.parameters.push((key, value));
            }
        }
        Some(range)
    })
}

/// A quality in thousandths; what is none counts as a refusal.
fn quality(text: &str) -> u16 {
    let number = text.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q));
    number.map_or(0, |q| (q * 1000.0).round() as u16)
}

/// Whether `accept_encoding`, the header of that name, takes gzip.
pub(crate) fn takes_gzip(accept_encoding: Option<&str>) -> bool {
    let mut any = false;
    for range in ranges(accept_encoding.unwrap_or_default()) {
        match range.media {
            media if media.eq_ignore_ascii_case("gzip") || media.eq_ignore_ascii_case("x-gzip") => {
                return range.quality > 0;
            }
            "*" => any = range.quality > 0,
            _ => {}
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTOBUF: &str =
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

    #[test]
    fn the_client_chooses() {
        for (accept, format) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Text),
            ("text/plain;version=0.0.4", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.8", Format::Text),
            ("application/openmetrics-text; version=1.0.0 ; charset=\"UTF-8\"", Format::OpenMetrics),
            ("Application/OpenMetrics-Text;Q=0.3, */*;q=0.1", Format::OpenMetrics),
            ("application/openmetrics-text;version=2.0.0,*/*;q=0.1", Format::Text),
            ("application/openmetrics-text;q=0, text/*;q=0.1", Format::Text),
            ("application/openmetrics-text;q=2, text/plain;q=0.1", Format::Text),
            (PROTOBUF, Format::Protobuf),
            ("application/vnd.google.protobuf", Format::Text),
            ("application/vnd.google.protobuf;proto=x;encoding=delimited", Format::Text),
            ("image/png", Format::Text),
            (",;=;,;q=,", Format::Text),
            // Of what is liked equally, what is named first.
            ("application/openmetrics-text,text/plain", Format::OpenMetrics),
            ("text/plain,application/openmetrics-text", Format::Text),
            // The exact range counts for its format, not a better wild one.
            ("*/*, text/plain;q=0.2, application/openmetrics-text;q=0.3", Format::OpenMetrics),
        ] {
            assert_eq!(Format::chosen(Some(accept)), format, "{accept}");
        }
        assert_eq!(Format::chosen(None), Format::Text);
    }

    #[test]
    fn prometheus_gets_what_it_likes_best() {
        let two = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                   text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::chosen(Some(two)), Format::OpenMetrics);
        let three = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                     application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                     text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert_eq!(Format::chosen(Some(three)), Format::Protobuf);
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for yes in ["gzip", "deflate, gzip;q=0.5", "*", "GZIP;q=1.0", "identity;q=0.1,*;q=0.5"] {
            assert!(takes_gzip(Some(yes)), "{yes}");
        }
        for no in ["", "identity", "gzip;q=0", "*;q=0", "gzip;q=0, *", "br"] {
            assert!(!takes_gzip(Some(no)), "{no}");
        }
        assert!(!takes_gzip(None));
    }
}
