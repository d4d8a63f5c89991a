//! The page's files, embedded in the binary: nothing has to be installed next to it, and nothing is read from disk.
//!
//! Invariant: a file is served under exactly one address, and the address of a module is its file name, so that
//! `import "./grid.js"` in one file finds the other. A new file is one more row of [`ASSETS`].

/// One embedded file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asset {
    /// Address on the sidecar.
    pub(crate) path: &'static str,
    /// Value of the header `content-type`.
    pub(crate) content_type: &'static str,
    /// The file.
    pub(crate) text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const JSON: &str = "application/json";

macro_rules! assets {
    ($($path:literal $content_type:ident $file:literal;)*) => {
        &[$(Asset {
            path: $path,
            content_type: $content_type,
            text: include_str!(concat!("../page/", $file)),
        },)*]
    };
}

/// Every file of the page.
pub(crate) const ASSETS: &[Asset] = assets! {
    "/"            HTML "index.html";
    "/app.css"     CSS  "app.css";
    "/past.css"    CSS  "past.css";
    "/app.js"      JS   "app.js";
    "/favicon.svg" SVG  "favicon.svg";
    "/designs.json" JSON "designs.json";
    "/about.js" JS "about.js";
    "/card.js" JS "card.js";
    "/compare.js" JS "compare.js";
    "/deck.js" JS "deck.js";
    "/designs.js" JS "designs.js";
    "/dom.js" JS "dom.js";
    "/format.js" JS "format.js";
    "/grid.js" JS "grid.js";
    "/hardware.js" JS "hardware.js";
    "/histogram.js" JS "histogram.js";
    "/measures.js" JS "measures.js";
    "/past.js" JS "past.js";
    "/program.js" JS "program.js";
    "/results.js" JS "results.js";
    "/sizes.js" JS "sizes.js";
    "/store.js" JS "store.js";
    "/stream.js" JS "stream.js";
    "/timeline.js" JS "timeline.js";
    "/verdicts.js" JS "verdicts.js";
};
