// What tells designs apart: a colour that the colour-blind can tell from its neighbours, a marker and a dash.
// Invariant: a design keeps its look for as long as the page is open, and no two share colour and marker.

import { svg } from "./dom.js";

/** Order, and so look, of the designs known today; others take the next places as they appear. */
const order = [
  "mutex", "lockfree-walk", "lockfree-single", "walk-once", "small-batch", "relaxed", "hybrid", "targeted",
  "class-lock", "global-lock", "page", "depot",
];
const COLOURS = 12;
const MARKERS = ["circle", "triangle", "square", "diamond", "cross", "plus", "bar", "down", "ring", "frame", "post", "kite"];
const DASHES = ["none", "7 3", "2 2.500", "9 3 2 3", "4 4", "1 4", "12 4"];

/** What a process is one of, which names its card and its lines: a design on trial, or a program on an allocator of every size. */
export const seriesOf = (process) => (process.general ? process.command : process.strategy);

/** Place of a design in every list of the page. */
export function rank(name) {
  const at = order.indexOf(name);
  return at >= 0 ? at : order.push(name) - 1;
}

/** Colour class (a CSS class `hue-N`), marker and dash of a design. */
export function look(name) {
  const at = rank(name);
  // From the thirteenth on the markers move on by one, so that a colour that comes again has another marker.
  const marker = MARKERS[(at + Math.floor(at / COLOURS)) % MARKERS.length];
  return { hue: `hue-${at % COLOURS}`, marker, dash: DASHES[at % DASHES.length] };
}

/** Path of a marker around a point. */
export function markerPath(marker, x, y, r) {
  const p = (dx, dy) => `${(x + dx * r).toFixed(1)} ${(y + dy * r).toFixed(1)}`;
  switch (marker) {
    case "circle": return `M${p(-1, 0)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
    case "triangle": return `M${p(0, -1.2)}L${p(1.15, 0.9)}L${p(-1.15, 0.9)}z`;
    case "square": return `M${p(-0.9, -0.9)}L${p(0.9, -0.9)}L${p(0.9, 0.9)}L${p(-0.9, 0.9)}z`;
    case "diamond": return `M${p(0, -1.3)}L${p(1.3, 0)}L${p(0, 1.3)}L${p(-1.3, 0)}z`;
    case "cross": return `M${p(-1, -0.5)}L${p(-0.5, -1)}L${p(1, 0.5)}L${p(0.5, 1)}zM${p(0.5, -1)}L${p(1, -0.5)}L${p(-0.5, 1)}L${p(-1, 0.5)}z`;
    case "plus": return `M${p(-0.35, -1.2)}L${p(0.35, -1.2)}L${p(0.35, 1.2)}L${p(-0.35, 1.2)}zM${p(-1.2, -0.35)}L${p(1.2, -0.35)}L${p(1.2, 0.35)}L${p(-1.2, 0.35)}z`;
    case "down": return `M${p(0, 1.2)}L${p(-1.15, -0.9)}L${p(1.15, -0.9)}z`;
    // Hollow ones run their inner outline the other way round, so that any fill rule leaves the hole.
    case "ring": {
      const inner = r * 0.5;
      return `M${p(-1.1, 0)}a${r * 1.1} ${r * 1.1} 0 1 0 ${2.2 * r} 0a${r * 1.1} ${r * 1.1} 0 1 0 ${-2.2 * r} 0z`
        + `M${p(-0.5, 0)}a${inner} ${inner} 0 1 1 ${2 * inner} 0a${inner} ${inner} 0 1 1 ${-2 * inner} 0z`;
    }
    case "frame": return `M${p(-1, -1)}L${p(1, -1)}L${p(1, 1)}L${p(-1, 1)}zM${p(-0.45, -0.45)}L${p(-0.45, 0.45)}L${p(0.45, 0.45)}L${p(0.45, -0.45)}z`;
    case "post": return `M${p(-0.5, -1.3)}L${p(0.5, -1.3)}L${p(0.5, 1.3)}L${p(-0.5, 1.3)}z`;
    case "kite": return `M${p(0, -1.4)}L${p(1.4, 0)}L${p(0, 1.4)}L${p(-1.4, 0)}zM${p(0, -0.65)}L${p(-0.65, 0)}L${p(0, 0.65)}L${p(0.65, 0)}z`;
    default: return `M${p(-1.3, -0.5)}L${p(1.3, -0.5)}L${p(1.3, 0.5)}L${p(-1.3, 0.5)}z`;
  }
}

/** The small picture of a design that stands in front of its name everywhere. */
export function swatch(name) {
  const { hue, marker, dash } = look(name);
  return svg("svg", { class: `swatch ${hue}`, viewBox: "0 0 26 14", width: "26", height: "14", "aria-hidden": "true" },
    svg("path", { d: "M1 7H25", class: "line", "stroke-dasharray": dash }),
    svg("path", { d: markerPath(marker, 13, 7, 4), class: "marker" }));
}
