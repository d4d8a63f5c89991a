// The last minute, or another length of time, of every design and program: small charts that share one time axis and one crosshair. The one of memory
// is there once a program is.
//
// Invariants: a line is drawn solid only where one process was measured; between processes of a design it is a thin
// dashed connection, so that nobody reads a gap as a measurement. What was not counted is a gap.

import { look, markerPath, rank, swatch } from "./designs.js";
import { attribute, hideNote, html, showNote, svg, text } from "./dom.js";
import { bytes, counted, duration, percent, si } from "./format.js";
import { WINDOW } from "./store.js";

const PAD = { left: 50, right: 14, top: 18, bottom: 22 };
const HEIGHT = 176;
const MARKER_EVERY = 11;

/** By name of the series: heading, places in a point (one a line), how it is written, which axis it has. */
const SERIES = {
  throughput: { title: "Throughput", unit: "allocations a second, log", at: [1], write: si, axis: "log" },
  retries: { title: "Retry rate", unit: "CAS failures a second, log", at: [2], write: si, axis: "log" },
  ring: { title: "Ring hit rate", unit: "of allocations", at: [3], write: percent, axis: "share" },
  lock: { title: "Lock wait", unit: "waited each second, all threads", at: [4], write: (v, figures) => duration(v, figures), axis: "linear" },
};

/** Its three lines have the names that its unit gives them. */
const MEMORY = { title: "Memory", unit: "live solid, mapped dashed, resident dotted", at: [5, 6, 7], names: ["live", "mapped", "resident"], write: bytes, axis: "bytes" };

/** Milliseconds as a mark of the axis: "40 s", "2:30 min". */
function short(ms) {
  const seconds = Math.round(ms / 1000);
  if (seconds <= 60) return `${seconds} s`;
  const rest = seconds % 60;
  return `${Math.floor(seconds / 60)}${rest ? `:${String(rest).padStart(2, "0")}` : ""} min`;
}

/** Milliseconds in words. */
export const lengthOf = (ms) => (ms <= 60000 ? `${Math.round(ms / 1000)} seconds` : `${+(ms / 60000).toFixed(1)} minutes`);

function logAxis(values) {
  const positive = values.filter((v) => v > 0);
  const low = Math.floor(Math.log10(Math.min(1e6, ...positive)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(10, ...positive)) - 1e-9));
  // The lowest tenth is for 0, which has no place on a log scale.
  const zero = values.some((v) => v <= 0);
  const floor = zero ? 0.12 : 0;
  const every = Math.ceil((high - low + 1) / 5);
  const ticks = zero ? [[0, "0"]] : [];
  const place = (v) => (v <= 0 ? 0 : floor + (1 - floor) * Math.max(0, (Math.log10(v) - low) / (high - low)));
  for (let d = high; d >= low; d -= every) ticks.push([place(10 ** d), si(10 ** d, 1, "")]);
  return { place, ticks };
}

function linearAxis(values, write) {
  const most = Math.max(0.01, ...values);
  const size = 10 ** Math.floor(Math.log10(most));
  const top = [1, 2, 3, 5, 10].find((s) => s * size >= most * 0.999) * size;
  return { place: (v) => v / top, ticks: [0, 0.5, 1].map((f) => [f, f === 0 ? "0" : write(top * f, 2).replace(/\s/g, "")]) };
}

function shareAxis(values) {
  const least = Math.min(1, ...values);
  const low = [0.99, 0.95, 0.9, 0.8, 0.5, 0].find((v) => v <= least - (1 - least) * 0.05 || v === 0);
  return { place: (v) => (v - low) / (1 - low), ticks: [0, 0.5, 1].map((f) => [f, `${+((low + (1 - low) * f) * 100).toFixed(1)}%`]) };
}

/** Ends at a power of two of the unit that suits it. */
function bytesAxis(values, write) {
  const top = 2 ** Math.ceil(Math.log2(Math.max(4096, ...values)) - 1e-9);
  return { place: (v) => v / top, ticks: [0, 0.25, 0.5, 0.75, 1].map((f) => [f, f === 0 ? "0" : write(top * f).replace(/\s/g, "")]) };
}

const AXES = { log: logAxis, linear: linearAxis, share: shareAxis, bytes: bytesAxis };

class Chart {
  #axis = svg("g", { class: "axis" });
  #lines = svg("g");
  #cross = svg("path", { class: "cross" });
  #paths = new Map();
  #axisSeen = "";

  constructor(name, series) {
    this.series = series;
    this.svg = svg("svg", { "data-series": name, "data-points": "0", height: HEIGHT, role: "img", tabindex: "0",
      "aria-label": this.series.title }, this.#axis, this.#lines, this.#cross);
    this.node = html("figure", {}, html("figcaption", {}, this.series.title, html("small", {}, this.series.unit)), this.svg);
  }

  draw(designs, spans, start, end, width) {
    const { at, axis, write } = this.series;
    const values = [...designs.values()].flat(2).flatMap((p) => at.map((place) => p[place])).filter(counted);
    const scale = AXES[axis](values, write);
    const [wide, tall] = [width - PAD.left - PAD.right, HEIGHT - PAD.top - PAD.bottom];
    const x = (time) => PAD.left + ((time - start) / (end - start)) * wide;
    const y = (value) => PAD.top + (1 - Math.min(1, Math.max(0, scale.place(value)))) * tall;
    this.#drawAxis(scale, spans, x, width, tall, end - start);
    for (const name of this.#paths.keys()) if (!designs.has(name)) this.#drop(name);
    let said = "";
    for (const [name, runs] of designs) {
      const paths = this.#path(name);
      at.forEach((place, i) => {
        const drawn = this.#trace(runs, place, x, y, look(name).marker);
        attribute(paths[i].bridge, "d", drawn.bridge);
        attribute(paths[i].line, "d", drawn.line);
        // Markers tell series apart; on a series' further lines they would hide what tells those apart.
        if (i === 0) attribute(paths[i].marks, "d", drawn.marks);
        if (drawn.last !== null) said += `; ${this.nameOf(name, i)} ${write(drawn.last)}`;
      });
    }
    attribute(this.svg, "data-points", values.length);
    attribute(this.svg, "aria-label", `${this.series.title}, ${this.series.unit}, ${lengthOf(end - start)}${said || "; nothing counted"}`);
  }

  /** A series' name, and which of its lines is meant where it has several. */
  nameOf(name, i) {
    return this.series.names ? `${name} ${this.series.names[i]}` : name;
  }

  #path(name) {
    if (!this.#paths.has(name)) {
      const { hue, dash } = look(name);
      const lines = this.series.at.map((_, i) => ({ bridge: svg("path", { class: "bridge", "stroke-dasharray": dash }),
        line: svg("path", { class: `line nth-${i}` }), marks: svg("path", { class: "marker" }) }));
      const group = svg("g", { class: hue, "data-design": name }, ...lines.flatMap(Object.values));
      this.#paths.set(name, { lines, group });
      this.#lines.append(group);
    }
    return this.#paths.get(name).lines;
  }

  #drop(name) {
    this.#paths.get(name).group.remove();
    this.#paths.delete(name);
  }

  #trace(runs, at, x, y, marker) {
    let [line, bridge, marks, last, before, beforeX, marked] = ["", "", "", null, null, 0, -Infinity];
    for (const points of runs) {
      let fresh = true;
      let [px, py] = [0, 0];
      for (const point of points) {
        if (!counted(point[at])) {
          fresh = true;
          continue;
        }
        [px, py] = [x(point[0]).toFixed(1), y(point[at]).toFixed(1)];
        // Of processes that live side by side, none goes on from another.
        if (fresh && before && Number(px) >= beforeX) bridge += `M${before}L${px} ${py}`;
        line += `${fresh ? "M" : "L"}${px} ${py}`;
        [before, beforeX] = [`${px} ${py}`, Number(px)];
        last = point[at];
        if (px - marked >= MARKER_EVERY) {
          marks += markerPath(marker, Number(px), Number(py), 2.8);
          marked = Number(px);
        }
        fresh = false;
      }
    }
    return { line, bridge, marks, last };
  }

  #drawAxis(scale, spans, x, width, tall, window) {
    const foot = PAD.top + tall;
    const marks = spans.map(({ workload, from }) => [Math.max(PAD.left, x(from)), workload]);
    const seen = JSON.stringify([scale.ticks, marks.map(([at, w]) => [Math.round(at), w]), width, window]);
    if (seen === this.#axisSeen) return;
    this.#axisSeen = seen;
    const parts = scale.ticks.flatMap(([f, words]) => {
      const at = (PAD.top + (1 - f) * tall).toFixed(1);
      return [svg("path", { d: `M${PAD.left} ${at}H${width - PAD.right}` }), svg("text", { x: PAD.left - 7, y: Number(at) + 4, "text-anchor": "end" }, words)];
    });
    const shares = width < 420 ? [3, 2, 1].map((n) => n / 3) : [6, 5, 4, 3, 2, 1].map((n) => n / 6);
    for (const share of shares) {
      const at = PAD.left + (1 - share) * (width - PAD.left - PAD.right);
      parts.push(svg("text", { x: at, y: foot + 16, "text-anchor": "middle" }, `\u2212${short(share * window)}`));
    }
    parts.push(svg("text", { x: width - PAD.right, y: foot + 16, "text-anchor": "end" }, "0 s"));
    marks.forEach(([at, workload], i) => {
      const room = (marks[i + 1]?.[0] ?? width - PAD.right) - at;
      parts.push(svg("path", { class: "span", d: `M${at.toFixed(1)} 4V${foot}` }));
      if (room > workload.length * 6 + 6) parts.push(svg("text", { class: "span", x: at + 4, y: 12 }, workload));
    });
    this.#axis.replaceChildren(...parts);
  }

  cross(at) {
    attribute(this.#cross, "d", at === null ? "" : `M${at.toFixed(1)} ${PAD.top}V${HEIGHT - PAD.bottom}`);
  }
}

export class Timelines {
  #charts = Object.entries(SERIES).map(([name, series]) => new Chart(name, series));
  #memory = null;
  #legend = html("ul", { class: "legend" });
  #names = "";
  #hidden = new Set();
  #width = 0;
  #visible = true;
  #drawnAt = -Infinity;
  #pick = null;

  /** `go(time)` is called when the reader asks for a moment, by a click or by Enter at the crosshair. */
  constructor(node, note, go) {
    this.note = note;
    this.go = go;
    const grid = html("div", { class: "charts" }, ...this.#charts.map((chart) => chart.node));
    this.grid = grid;
    node.append(this.#legend, grid);
    new ResizeObserver(() => this.#draw()).observe(grid);
    new IntersectionObserver((entries) => {
      this.#visible = entries.at(-1).isIntersecting;
      if (this.#visible) this.#draw();
    }, { rootMargin: "200px" }).observe(grid);
    for (const chart of this.#charts) this.#listen(chart);
  }

  #listen(chart) {
    const leave = () => this.#point(chart, null);
    const move = (event) => this.#point(chart, (event.clientX - chart.svg.getBoundingClientRect().left - PAD.left) / this.#inner());
    chart.svg.addEventListener("pointermove", move);
    chart.svg.addEventListener("pointerdown", move);
    chart.svg.addEventListener("pointerleave", leave);
    chart.svg.addEventListener("blur", leave);
    const go = () => this.last && this.#pick !== null && this.go(this.last.start + this.#pick * (this.last.end - this.last.start));
    chart.svg.addEventListener("click", go);
    chart.svg.addEventListener("keydown", (event) => {
      if (event.key === "Enter") return go();
      const step = { ArrowLeft: -1 / 60, ArrowRight: 1 / 60 }[event.key];
      if (!step) return event.key === "Escape" ? leave() : undefined;
      event.preventDefault();
      this.#point(chart, (this.#pick ?? 1) + step);
    });
  }

  #inner() {
    return this.#width - PAD.left - PAD.right;
  }

  /** Moves the crosshair of all charts to a place from 0 to 1 and says what one chart's lines were there. */
  #point(chart, place) {
    this.#pick = place === null ? null : Math.min(1, Math.max(0, place));
    const at = this.#pick === null ? null : PAD.left + this.#pick * this.#inner();
    for (const each of this.#charts) each.cross(at);
    if (at === null || !this.last) return hideNote(chart);
    const window = this.last.end - this.last.start;
    const time = this.last.start + this.#pick * window;
    const rows = [...this.last.designs].flatMap(([name, runs]) => chart.series.at.map((place, i) => {
      const near = runs.flat().filter((p) => counted(p[place]))
        .reduce((best, p) => (!best || Math.abs(p[0] - time) < Math.abs(best[0] - time) ? p : best), null);
      return near && [chart.nameOf(name, i), `${chart.series.write(near[place])} (\u2212${((this.last.end - near[0]) / 1000).toFixed(1)} s)`];
    }));
    const box = chart.svg.getBoundingClientRect();
    showNote(chart, `${chart.series.title}, nearest to \u2212${((1 - this.#pick) * window / 1000).toFixed(0)} s`, rows.filter(Boolean),
      { left: box.left + at, width: 0, top: box.top + PAD.top, bottom: box.bottom });
  }

  /** Adds the chart of memory, in front. */
  #addMemory() {
    this.#memory = new Chart("memory", MEMORY);
    this.#charts.unshift(this.#memory);
    this.grid.prepend(this.#memory.node);
    this.#listen(this.#memory);
  }

  /** Draws runs ([{ series, program, workload, injected, points }], oldest first) up to the right edge. */
  update(runs, { end, frozen }, window = WINDOW) {
    const still = runs.length > 0 ? "No process lives: the lines stand still at the last numbers." : "No process has lived since the sidecar's history begins.";
    text(this.note, frozen ? still : "");
    const start = end - window;
    const [designs, spans] = [new Map(), []];
    if (!this.#memory && runs.some((run) => run.program)) this.#addMemory();
    for (const { series, program, workload: name, injected, points } of runs) {
      const workload = injected ? `${name}, delay injected` : name;
      const shown = points.filter((p) => p[0] >= start && p[0] <= end);
      if (shown.length === 0) continue;
      if (!designs.has(series)) designs.set(series, []);
      designs.get(series).push(shown);
      if (!program && spans.at(-1)?.workload !== workload) spans.push({ workload, from: shown[0][0] });
    }
    const sorted = new Map([...designs].sort((a, b) => rank(a[0]) - rank(b[0])));
    this.last = { designs: sorted, spans, start, end };
    this.#name([...sorted.keys()]);
    // Out of sight once a second is enough: a reader who scrolls there gets a fresh drawing at once.
    if (this.#visible || performance.now() - this.#drawnAt > 1000) this.#draw();
  }

  #draw() {
    this.#drawnAt = performance.now();
    this.#width = Math.floor(this.#charts[0].svg.getBoundingClientRect().width);
    if (!this.last || this.#width < 100) return;
    const { designs, spans, start, end } = this.last;
    const shown = new Map([...designs].filter(([name]) => !this.#hidden.has(name)));
    for (const chart of this.#charts) chart.draw(shown, spans, start, end, this.#width);
  }

  #name(names) {
    const seen = names.join("\n");
    if (seen === this.#names) return;
    this.#names = seen;
    this.#legend.replaceChildren(...names.map((name) => {
      const button = html("button", { type: "button", "aria-pressed": String(!this.#hidden.has(name)), title: "show or hide its lines" }, swatch(name), name);
      button.addEventListener("click", () => {
        if (!this.#hidden.delete(name)) this.#hidden.add(name);
        attribute(button, "aria-pressed", !this.#hidden.has(name));
        this.#draw();
      });
      return html("li", {}, button);
    }));
  }
}
