// One card: who it is and whether it lives, its grid, its key numbers, and what is below them: a design's retries, or what
// a program holds above its classes.
//
// Invariant: a card is built once for a design (or a program, whose parts are in program.js) and then updated; a process
// that has ended leaves its lifetime's numbers on it, and the card says so.

import { nameOf } from "./about.js";
import { look, rank, seriesOf, swatch } from "./designs.js";
import { attribute, html, text } from "./dom.js";
import { ago, bytes, counted, digits, duration, injection, NOT_COUNTED, percent, si } from "./format.js";
import { Grid } from "./grid.js";
import { Hardware } from "./hardware.js";
import { Histogram } from "./histogram.js";
import { MEASURES } from "./measures.js";
import { programParts } from "./program.js";

/** The key numbers: field, words, how it is written, where it is. */
const NUMBERS = [
  ["allocations_per_second", "allocations/s", si],
  ["failures_per_batch", "CAS failures per batch", digits],
  ["walked_per_kept", "walked per block kept", digits],
  ["failures_per_attempt", "failures per attempt", percent],
  ["lock_wait_ratio", "lock wait each second", duration],
  ["ring_hit_ratio", "ring hit rate", percent],
].map((number) => [...number, (process) => process.rates]);

/** What makes a card the card of a design. */
function designParts(name, process) {
  const histogram = new Histogram(name);
  return {
    title: [nameOf(name)],
    grid: new Grid(name, process.classes, process.shards),
    numbers: NUMBERS,
    foot: histogram.node,
    drawFoot: (shown, decades) => histogram.update(shown.retries, decades),
  };
}

/** What a card is built for: with other classes it would need another grid. */
export const shapeOf = ({ general, classes, shards }) => JSON.stringify([Boolean(general), classes, shards]);

export class Card {
  #state = html("span", { class: "state" });
  #facts = html("p", { class: "facts" });
  #hottest = html("p", { class: "hottest" });
  #injected = html("p", { class: "injected", hidden: "" });
  #hardware = new Hardware();
  #values = new Map();
  #drawn = "";

  /** `prefix` tells its name's id from that of another card of the same series. */
  constructor(process, prefix = "card") {
    const name = seriesOf(process);
    this.shape = shapeOf(process);
    this.parts = process.general ? programParts(name, process) : designParts(name, process);
    const { title, grid, numbers: listed, foot } = this.parts;
    const numbers = html("dl", { class: "numbers" });
    for (const [field, words] of listed) {
      const value = html("dd", { "data-measure": field });
      this.#values.set(words, value);
      numbers.append(html("div", {}, html("dt", {}, words), value));
    }
    const id = `${prefix}-${rank(name)}`;
    const fold = html("button", { type: "button", class: "fold", "aria-label": `${name}: the whole card`, "aria-expanded": "true" });
    this.node = html("section", { class: `card ${look(name).hue}`, "data-strategy": process.strategy, "data-series": name, "aria-labelledby": id },
      html("header", {}, swatch(name), html("h3", { id }, ...title), this.#state, fold), this.#injected, this.#facts,
      grid.node, this.#hottest, numbers, foot, this.#hardware.node);
  }

  /** Shows a process: returns its hottest cell of the picked measure, if any. */
  update(process, key, top, decades) {
    attribute(this.node, "data-live", process.live);
    attribute(this.node, "data-workload", process.workload);
    text(this.#state, process.live ? (process.then ? "alive then" : "live") : `ended ${ago(process.age_seconds)}`);
    // A dead process does not change: what is on its card stays right until the scale or the measure does.
    const drawn = `${process.id} ${process.live} ${key} ${top} ${decades}`;
    if (drawn === this.#drawn && !process.live) return this.hottest;
    this.#drawn = drawn;
    this.#injected.hidden = !process.injected;
    if (process.injected) text(this.#injected, `delay injected: ${injection(process.injected)}`);
    text(this.#facts, this.#describe(process));
    this.parts.grid.mark(process.verdicts ?? []);
    this.hottest = this.parts.grid.update(process, key, top);
    text(this.#hottest, this.hottest ? `hottest: ${this.hottest.name}, ${MEASURES[key].say(this.hottest.value)}` : this.#calm(process, key));
    attribute(this.#hottest, "data-value", this.hottest?.value ?? "");
    for (const [field, words, write, where] of this.parts.numbers) {
      const node = this.#values.get(words);
      const value = where(process)[field];
      text(node, counted(value) ? write(value) : NOT_COUNTED);
      node.classList.toggle("none", !counted(value));
      attribute(node, "data-value", value ?? "");
    }
    this.parts.drawFoot(process, decades);
    this.#hardware.update(process);
    return this.hottest;
  }

  #calm(process, key) {
    const measured = process.grid[key]?.some((row) => row.some(counted));
    return measured ? `calm: ${MEASURES[key].name} is ${MEASURES[key].calm} ${process.general ? "in every class" : "on every shard"}`
      : `${MEASURES[key].name}: ${NOT_COUNTED} here`;
  }

  #describe(process) {
    const facts = [process.workload, `pid ${process.pid}`, `${process.threads} thread${process.threads === 1 ? "" : "s"}`];
    if (!process.live) facts.splice(2, 1, "numbers of its whole life");
    if (process.general && process.others > 0) facts.push(`the largest of ${process.others + 1} that live`);
    if (!process.general && counted(process.live_bytes)) facts.push(`${bytes(process.live_bytes)} live`);
    if (!process.general && counted(process.mapped_bytes)) facts.push(`${bytes(process.mapped_bytes)} mapped`);
    if (process.threads_dropped > 0) facts.push(`${process.threads_dropped} threads not counted`);
    return facts.filter(Boolean).join(" · ");
  }
}
