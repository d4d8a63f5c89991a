//! Drawings for the page: a few primitives, each with a class, whose look the style sheet says.
//!
//! Invariant: text is escaped here, and a coordinate that is no number is left out, so a drawing is always well-formed.

use std::fmt::Write as _;

/// Text that HTML shows as it is, in a text or in a quoted attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // HTML has no place for control characters.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Which point of a text stands at its coordinates.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// The shape of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Up,
    Down,
    Square,
}

/// A drawing under way.
pub(super) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Svg {
        Svg { width, height, body: String::new() }
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.path(class, &[from, to]);
    }

    /// Straight lines from point to point.
    pub(super) fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut d = String::new();
        for (x, y) in points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
            let _ = write!(d, "{}{x:.1} {y:.1}", if d.is_empty() { 'M' } else { 'L' });
        }
        let _ = write!(self.body, r#"<path class="{class}" d="{d}"/>"#);
    }

    pub(super) fn rect(&mut self, class: &str, (x, y): (f64, f64), width: f64, height: f64) {
        if [x, y, width, height].iter().all(|n| n.is_finite()) {
            let (width, height) = (width.max(0.0), height.max(0.0));
            let _ = write!(
                self.body,
                r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#
            );
        }
    }

    pub(super) fn marker(&mut self, class: &str, marker: Marker, (x, y): (f64, f64)) {
        if !(x.is_finite() && y.is_finite()) {
            return;
        }
        let r = 4.0;
        let points: &[(f64, f64)] = match marker {
            Marker::Circle => {
                let _ = write!(self.body, r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{r}"/>"#);
                return;
            }
            Marker::Up => &[(0.0, -1.25), (1.2, 0.9), (-1.2, 0.9), (0.0, -1.25)],
            Marker::Down => &[(0.0, 1.25), (1.2, -0.9), (-1.2, -0.9), (0.0, 1.25)],
            Marker::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        };
        let points: Vec<(f64, f64)> = points.iter().map(|(dx, dy)| (x + dx * r, y + dy * r)).collect();
        self.path(class, &points);
    }

    pub(super) fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        let _ = write!(
            self.body,
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
        );
    }

    /// The drawing, with a name and what it shows for whoever cannot see it.
    pub(super) fn finish(self, title: &str, description: &str) -> String {
        let Svg { width, height, body } = self;
        let (title, description) = (escaped(title), escaped(description));
        format!(
            r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{description}"><title>{title}</title>{body}</svg>"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_nonsense_is_not_drawn() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.text("a", (1.0, 2.0), Anchor::End, "<&\"'>");
        svg.path("b", &[(0.0, 0.0), (f64::NAN, 1.0), (1.0, 1.0)]);
        svg.rect("c", (f64::INFINITY, 0.0), 1.0, 1.0);
        let text = svg.finish("t<", "d\"\u{7}");
        assert_eq!(
            text,
            "<svg viewBox=\"0 0 10 10\" role=\"img\" aria-label=\"d&quot; \"><title>t&lt;</title><text class=\"a\" x=\"1.0\" \
             y=\"2.0\" text-anchor=\"end\">&lt;&amp;&quot;&#39;&gt;</text><path class=\"b\" d=\"M0.0 0.0L1.0 1.0\"/></svg>"
        );
    }
}
