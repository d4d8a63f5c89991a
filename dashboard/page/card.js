// One design's card: who it is and whether it lives, its grid, its key numbers, its retries.
//
// Invariant: a card is built once for a design and then updated; a process that has ended leaves its lifetime's
// numbers on it, and the card says so.

import { nameOf } from "./about.js";
import { look, rank, swatch } from "./designs.js";
import { attribute, html, text } from "./dom.js";
import { ago, bytes, counted, digits, duration, injection, NOT_COUNTED, percent, si } from "./format.js";
import { Grid } from "./grid.js";
import { Histogram } from "./histogram.js";
import { MEASURES } from "./measures.js";

/** The key numbers: field of the measures, words, how it is written. */
const NUMBERS = [
  ["allocations_per_second", "allocations/s", si],
  ["failures_per_batch", "CAS failures per batch", digits],
  ["walked_per_kept", "walked per block kept", digits],
  ["failures_per_attempt", "failures per attempt", percent],
  ["lock_wait_ratio", "lock wait each second", duration],
  ["ring_hit_ratio", "ring hit rate", percent],
];

export class Card {
  #state = html("span", { class: "state" });
  #facts = html("p", { class: "facts" });
  #hottest = html("p", { class: "hottest" });
  #injected = html("p", { class: "injected", hidden: "" });
  #values = new Map();
  #drawn = "";

  constructor(design, frame) {
    this.design = design;
    this.grid = new Grid(design, frame.classes, frame.shards);
    this.histogram = new Histogram(design);
    const numbers = html("dl", { class: "numbers" });
    for (const [field, words] of NUMBERS) {
      const value = html("dd", { "data-measure": field });
      this.#values.set(field, value);
      numbers.append(html("div", {}, html("dt", {}, words), value));
    }
    const id = `card-${rank(design)}`;
    const fold = html("button", { type: "button", class: "fold", "aria-label": `${design}: the whole card`, "aria-expanded": "true" });
    this.node = html("section", { class: `card ${look(design).hue}`, "data-strategy": design, "aria-labelledby": id },
      html("header", {}, swatch(design), html("h3", { id }, nameOf(design)), this.#state, fold), this.#injected, this.#facts,
      this.grid.node, this.#hottest, numbers, this.histogram.node);
  }

  /** Shows a process: returns its hottest cell of the picked measure, if any. */
  update(process, key, top, decades) {
    attribute(this.node, "data-live", process.live);
    attribute(this.node, "data-workload", process.workload);
    text(this.#state, process.live ? "live" : `ended ${ago(process.age_seconds)}`);
    // A dead process does not change: what is on its card stays right until the scale or the measure does.
    const drawn = `${process.id} ${process.live} ${key} ${top} ${decades}`;
    if (drawn === this.#drawn && !process.live) return this.hottest;
    this.#drawn = drawn;
    this.#injected.hidden = !process.injected;
    if (process.injected) text(this.#injected, `delay injected: ${injection(process.injected)}`);
    text(this.#facts, this.#describe(process));
    this.hottest = this.grid.update(process, key, top);
    text(this.#hottest, this.hottest ? `hottest: ${this.hottest.name}, ${MEASURES[key].say(this.hottest.value)}` : this.#calm(process, key));
    attribute(this.#hottest, "data-value", this.hottest?.value ?? "");
    for (const [field, , write] of NUMBERS) {
      const node = this.#values.get(field);
      const value = process.rates[field];
      text(node, counted(value) ? write(value) : NOT_COUNTED);
      node.classList.toggle("none", !counted(value));
      attribute(node, "data-value", value ?? "");
    }
    this.histogram.update(process.retries, decades);
    return this.hottest;
  }

  #calm(process, key) {
    const measured = process.grid[key]?.some((row) => row.some(counted));
    return measured ? `calm: ${MEASURES[key].name} is ${MEASURES[key].calm} on every shard`
      : `${MEASURES[key].name}: ${NOT_COUNTED} here`;
  }

  #describe(process) {
    const facts = [process.workload, `pid ${process.pid}`, `${process.threads} thread${process.threads === 1 ? "" : "s"}`];
    if (!process.live) facts.splice(2, 1, "numbers of its whole life");
    if (counted(process.live_bytes)) facts.push(`${bytes(process.live_bytes)} live`);
    if (counted(process.mapped_bytes)) facts.push(`${bytes(process.mapped_bytes)} mapped`);
    if (process.threads_dropped > 0) facts.push(`${process.threads_dropped} threads not counted`);
    return facts.filter(Boolean).join(" · ");
  }
}
