// The four things by which the grid can be coloured: their words, their scale and their colour.
//
// Invariant: all cards share one scale, so equal colours are equal numbers. Lightness rises (dark) or falls (light)
// steadily with the value, so the ramp also reads without colour.

import { brief, counted, digits, duration, percent, si } from "./format.js";

const STEPS = [1, 2, 5, 10];
const LEVELS = 48;
const SHRINK_AFTER = 5000;

function roundUp(value, steps = STEPS) {
  const size = 10 ** Math.floor(Math.log10(value));
  return steps.find((step) => step * size >= value * 0.999) * size;
}

/** Decades that the ramp of a rate spans: what lies further below the hottest shard is background. */
const DECADES = 4;
const fromTop = (top) => top / 10 ** DECADES;

/** By key of a frame's grid. `calm` is the value of nothing wrong, `low(top)` where the ramp starts, `least` the
    smallest top that it ends at. */
export const MEASURES = {
  cas_failures_per_second: {
    name: "CAS failures a second", unit: "failures/s", exact: "/s", calm: 0, low: fromTop, least: 1e4, top: roundUp,
    say: (v) => `${si(v)} failures/s`, brief, tick: (v) => si(v, 1), log: true,
  },
  failures_per_attempt: {
    name: "failures an attempt", unit: "of CAS attempts", exact: "", calm: 0, low: () => 0, least: 1, top: () => 1,
    say: (v) => `${percent(v)} of CAS attempts failed`, brief: (v) => percent(v, 2).replace(/\s/g, ""), tick: (v) => percent(v, 2),
  },
  lock_wait_ratio: {
    name: "lock wait", unit: "waited each second", exact: " s/s", calm: 0, low: fromTop, least: 0.01, top: roundUp,
    say: (v) => `${duration(v)} waited/s`, brief: (v) => duration(v, 2).replace(/\s/g, ""), tick: (v) => duration(v, 1), log: true,
  },
  walked_per_kept: {
    name: "wasted walk", unit: "walked per block kept", exact: " blocks", calm: 1, low: () => 1, least: 3,
    top: (v) => roundUp(v, [1, 1.5, 2, 3, 4, 5, 7, 10]),
    say: (v) => `${digits(v)} blocks walked per block kept`, brief: (v) => digits(v, 2), tick: (v) => digits(v, 2), log: true,
  },
};

/** The upper end of each measure's scale: grows at once, shrinks only when it has been far too high for a while. */
const tops = new Map();

/** Makes the scale of a measure fit these grids, and returns its upper end. */
export function fitScale(key, grids, now) {
  const measure = MEASURES[key];
  let largest = measure.least;
  for (const grid of grids) for (const row of grid) for (const value of row) if (value > largest) largest = value;
  const wanted = measure.top(largest);
  const held = tops.get(key);
  if (!held || wanted > held.top) tops.set(key, { top: wanted, since: now });
  else if (wanted > held.top / 4) held.since = now;
  else if (now - held.since > SHRINK_AFTER) tops.set(key, { top: wanted, since: now });
  return tops.get(key).top;
}

/** Where on the ramp a value lies: 0 to LEVELS, or null where nothing was counted. */
export function level(key, value, top) {
  if (!counted(value)) return null;
  const { calm, low, log } = MEASURES[key];
  if (value <= calm) return 0;
  const from = low(top);
  const place = log ? Math.log(value / from) / Math.log(top / from) : (value - from) / (top - from);
  // However little it is, it does not look like nothing.
  return Math.round(Math.min(1, Math.max(0.03, place)) * LEVELS);
}

/** Marks of the legend: [place from 0 to 1, words]. */
export function ticks(key, top) {
  const { low, log, tick } = MEASURES[key];
  const from = low(top);
  const at = (f) => (log ? from * (top / from) ** f : from + (top - from) * f);
  return [0, 0.25, 0.5, 0.75, 1].map((f) => [f, tick(at(f))]);
}

// Control points in OKLCH: lightness, chroma, hue. Hot is what stands out most from the page.
const DARK = [[0.285, 0.028, 280], [0.4, 0.125, 295], [0.52, 0.195, 340], [0.66, 0.195, 30], [0.81, 0.16, 68], [0.95, 0.115, 102]];
const LIGHT = [[0.945, 0.022, 95], [0.87, 0.105, 88], [0.765, 0.155, 60], [0.61, 0.2, 30], [0.44, 0.17, 355], [0.27, 0.12, 310]];

function colour(points, t) {
  const at = Math.min(points.length - 2, Math.floor(t * (points.length - 1)));
  const f = t * (points.length - 1) - at;
  const lab = ([l, c, h]) => [l, c * Math.cos((h * Math.PI) / 180), c * Math.sin((h * Math.PI) / 180)];
  const [from, to] = [lab(points[at]), lab(points[at + 1])];
  const [l, a, b] = from.map((v, i) => v + (to[i] - v) * f);
  // Relative luminance; black and white are equally readable (4.6 to 1) at 0.179.
  const luminance = -0.0408 * (l + 0.3963 * a + 0.2158 * b) ** 3 + 1.1125 * (l - 0.1056 * a - 0.0639 * b) ** 3
    - 0.0717 * (l - 0.0895 * a - 1.2915 * b) ** 3;
  return { css: `oklab(${l.toFixed(3)} ${a.toFixed(3)} ${b.toFixed(3)})`, ink: luminance > 0.179 ? "#000" : "#fff" };
}

/** Fill and ink of every level, valid in both themes: a change of theme repaints nothing by hand. */
export const RAMP = Array.from({ length: LEVELS + 1 }, (_, i) => {
  const [light, dark] = [colour(LIGHT, i / LEVELS), colour(DARK, i / LEVELS)];
  return { fill: `light-dark(${light.css}, ${dark.css})`, ink: `light-dark(${light.ink}, ${dark.ink})` };
});
