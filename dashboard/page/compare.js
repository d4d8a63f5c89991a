// Two spans, or two processes, side by side: the same card twice, on one scale, and their numbers with what divides them.
//
// Invariant: both sides are asked for from what the reader moves about in, now's past, a capture or a recording, and a side says
// the very span that it is of.

import { Card } from "./card.js";
import { seriesOf } from "./designs.js";
import { attribute, html, text } from "./dom.js";
import { bytes, counted, digits, duration, percent, si } from "./format.js";
import { decades } from "./histogram.js";
import { MEASURES } from "./measures.js";
import { clock } from "./past.js";

const LENGTHS = [[1000, "1 s"], [5000, "5 s"], [10000, "10 s"], [30000, "30 s"], [60000, "1 min"], [300000, "5 min"]];
/** Rows of the table: words, how it is written, where it is. */
const ROWS = [
  ["allocations/s", si, (p) => p.rates.allocations_per_second],
  ["CAS failures/s", si, (p) => p.rates.cas_failures_per_second],
  ["CAS failures per batch", digits, (p) => p.rates.failures_per_batch],
  ["failures per attempt", percent, (p) => p.rates.failures_per_attempt],
  ["walked per block kept", digits, (p) => p.rates.walked_per_kept],
  ["lock wait each second", duration, (p) => p.rates.lock_wait_ratio],
  ["lock contended", percent, (p) => p.rates.lock_contended_ratio],
  ["ring hit rate", percent, (p) => p.rates.ring_hit_ratio],
  ["live at the end", bytes, (p) => p.live_bytes],
  ["mapped at the end", bytes, (p) => p.mapped_bytes],
  ["resident at the end", bytes, (p) => p.resident_bytes],
];

/** One side: which process, up to when, how long. */
class Side {
  frame = null;
  process = null;
  #card = null;
  #options = "";

  constructor(name, past, changed) {
    this.name = name;
    this.past = past;
    this.choice = { id: null, to: 0, length: 10000 };
    const label = (words, control) => html("label", {}, words, control);
    const on = (control, act) => {
      control.addEventListener("input", () => {
        act(control.value);
        changed(this);
      });
      return control;
    };
    this.who = on(html("select", { "aria-label": `${name}: process` }), (id) => (this.choice.id = id));
    this.length = on(html("select", { "aria-label": `${name}: length` }, ...LENGTHS.map(([value, words]) => html("option", { value }, words))),
      (length) => (this.choice.length = Number(length)));
    this.end = on(html("input", { type: "range", step: "1000", "aria-label": `${name}: its last moment` }), (to) => (this.choice.to = Number(to)));
    const here = html("button", { type: "button" }, "As shown");
    here.addEventListener("click", () => {
      this.choice.to = past.place();
      changed(this);
    });
    this.words = html("p", { class: "when", role: "status" });
    this.place = html("div", { class: "place" });
    this.node = html("section", { class: "side", "data-side": name, "aria-label": `Side ${name}` }, html("h3", {}, name),
      html("div", { class: "pick" }, label("process ", this.who), label("over ", this.length), label("up to ", this.end), here), this.words, this.place);
  }

  async load() {
    const { from, to } = this.past.reach;
    this.choice.to = Math.min(Math.max(this.choice.to, from), to);
    this.frame = await this.past.span(this.choice.to - this.choice.length, this.choice.to);
    const all = (this.frame?.processes ?? []).map((p) => ({ ...p, then: true }));
    this.process = all.find((p) => p.id === this.choice.id) ?? all[0] ?? null;
    this.choice.id = this.process?.id ?? this.choice.id;
    attribute(this.end, "min", Math.floor(from / 1000) * 1000);
    attribute(this.end, "max", Math.ceil(to / 1000) * 1000);
    this.end.value = String(this.choice.to);
    attribute(this.end, "aria-valuetext", clock(this.choice.to));
    this.length.value = String(this.choice.length);
    const names = all.map((p) => [p.id, `${seriesOf(p)}${p.workload ? `, ${p.workload}` : ""}, pid ${p.pid}`]);
    const options = JSON.stringify(names);
    if (options !== this.#options) {
      this.#options = options;
      this.who.replaceChildren(...names.map(([value, words]) => html("option", { value }, words)));
    }
    if (this.process) this.who.value = this.process.id;
    const { to: end, length } = this.choice;
    text(this.words, `${clock(end - length)} to ${clock(end)}${this.process && !this.process.live ? ": ended, the numbers of its whole life" : ""}`);
  }

  draw(key, top, tall) {
    if (!this.process) {
      this.place.replaceChildren(html("p", { class: "none" }, "No process was there."));
      this.#card = null;
      return;
    }
    const shape = `${this.process.id} ${JSON.stringify(this.process.classes)}`;
    if (this.#card?.shape !== shape) {
      this.#card = { card: new Card(this.process, `side-${this.name}`), shape };
      this.place.replaceChildren(this.#card.card.node);
    }
    this.#card.card.update(this.process, key, top, tall);
  }
}

export class Compare {
  #measure;
  #table = html("tbody");

  /** `measure()` is what the grids are coloured by. */
  constructor(node, past, measure) {
    this.node = node;
    this.past = past;
    this.#measure = measure;
    const changed = (side) => this.#load([side]);
    this.sides = ["A", "B"].map((name) => new Side(name, past, changed));
    const head = html("tr", {}, ...["", "A", "B", "B for each of A"].map((words) => html("th", { scope: "col" }, words)));
    node.append(html("h2", { id: "compare-title" }, "Compare"), html("div", { class: "sides" }, ...this.sides.map((side) => side.node)),
      html("table", { class: "versus" }, html("thead", {}, head), this.#table));
    past.compare.addEventListener("click", () => this.toggle());
  }

  /** Opens with the two that are worth comparing: two processes, or one in two spans. */
  async toggle() {
    const open = this.node.hidden;
    this.node.hidden = !open;
    attribute(this.past.compare, "aria-expanded", open);
    if (!open) return;
    const to = this.past.place();
    const [a, b] = this.sides;
    a.choice.to = b.choice.to = to;
    await a.load();
    const heat = (p) => p.rates.cas_failures_per_second ?? 0;
    const living = (a.frame?.processes ?? []).filter((p) => p.live).sort((x, y) => heat(y) - heat(x));
    a.choice.id = living[0]?.id ?? null;
    b.choice.id = living[1]?.id ?? living[0]?.id ?? null;
    if (living.length < 2) b.choice.to = to - b.choice.length;
    await this.#load(this.sides);
    this.node.scrollIntoView({ block: "nearest" });
  }

  /** Draws again, on another measure or after a choice. */
  draw() {
    if (this.node.hidden) return;
    const key = this.#measure();
    const measure = MEASURES[key];
    const processes = this.sides.map((side) => side.process).filter(Boolean);
    const values = processes.flatMap((p) => (p.grid[key] ?? []).flat()).filter(counted);
    const top = measure.top(Math.max(measure.least, ...values));
    const tall = decades(processes.map((p) => p.retries));
    for (const side of this.sides) side.draw(key, top, tall);
    this.#drawTable();
  }

  async #load(sides) {
    await Promise.all(sides.map((side) => side.load()));
    this.draw();
    attribute(this.node, "data-loaded", Number(this.node.dataset.loaded ?? 0) + 1);
  }

  #drawTable() {
    const [a, b] = this.sides.map((side) => side.process);
    this.#table.replaceChildren(...ROWS.flatMap(([words, write, of]) => {
      const [x, y] = [a && of(a), b && of(b)];
      if (!counted(x) && !counted(y)) return [];
      const cell = (value) => html("td", {}, counted(value) ? write(value) : "not counted");
      const ratio = counted(x) && counted(y) && x !== 0 ? digits(y / x) : "";
      return [html("tr", { "data-row": words }, html("th", { scope: "row" }, words), cell(x), cell(y), html("td", {}, ratio && `${ratio}\u00d7`))];
    }));
  }
}
