// The classes of an allocator of every size: a labelled cell for each that was ever used, in order, as many in a row as
// there is room for. Colour says what it says in every grid; the number is what callers hold, and the bar compares it.
//
// Invariant: a cell's colour is that of the hottest of its class's shards; a class that was never used has no cell.

import { attribute, hideNote, html, noteOwner, showNote, text } from "./dom.js";
import { bytes, counted, exact, NOT_COUNTED } from "./format.js";
import { flag } from "./grid.js";
import { level, MEASURES, RAMP } from "./measures.js";

/** The largest of a class's shards; null where nothing was counted. */
const hottest = (row) => (row ?? []).reduce((most, v) => (counted(v) && (most === null || v > most) ? v : most), null);

export class Sizes {
  #cells;
  #process = null;
  #key = "";

  constructor(name, classes) {
    this.#cells = classes.map((size, row) => {
      const [label, held, bar] = [html("span", {}, bytes(Number(size))), html("b"), html("i")];
      const node = html("div", { role: "listitem", class: "empty", tabindex: "-1", "data-class": size, "data-value": "", hidden: "" }, label, held, bar);
      return { row, name: bytes(Number(size)), node, held, bar };
    });
    this.node = html("div", { role: "list", class: "sizes", "aria-label": `${name}: size classes in use` }, ...this.#cells.map((cell) => cell.node));
    this.#listen();
  }

  #listen() {
    const find = (event) => this.#cells.find((cell) => cell.node.contains(event.target));
    const show = (event) => {
      const cell = find(event);
      if (cell) this.#note(cell);
    };
    const leave = () => hideNote(this.#noted());
    for (const event of ["pointerover", "focusin", "click"]) this.node.addEventListener(event, show);
    for (const event of ["pointerleave", "focusout"]) this.node.addEventListener(event, leave);
    this.node.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return leave();
      const used = this.#cells.filter((cell) => !cell.node.hidden);
      const at = used.indexOf(find(event));
      const go = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: used.length - 1 }[event.key];
      if (at < 0 || go === undefined) return;
      event.preventDefault();
      const next = used[Math.min(Math.max(go, 0), used.length - 1)];
      for (const cell of used) attribute(cell.node, "tabindex", cell === next ? 0 : -1);
      next.node.focus();
    });
  }

  #noted() {
    return this.#cells.find((cell) => cell === noteOwner());
  }

  #note(cell) {
    if (!this.#process) return;
    const held = this.#process.general.live_bytes_by_class[cell.row];
    const rows = [["live", counted(held) ? bytes(held) : NOT_COUNTED, false], ...Object.entries(MEASURES).map(([key, measure]) => {
      const value = hottest(this.#process.grid[key]?.[cell.row]);
      return [measure.name, exact(value) + (counted(value) ? measure.exact : ""), key === this.#key];
    })];
    showNote(cell, `${this.#process.command}, blocks of ${cell.name}`, rows, cell.node.getBoundingClientRect());
  }

  /** Marks the classes that verdicts are about. */
  mark(verdicts) {
    for (const cell of this.#cells) {
      const verdict = verdicts.filter((v) => v.class === cell.node.dataset.class).map((v) => v.title).join(", ");
      if (verdict === (cell.verdict ?? "")) continue;
      cell.verdict = verdict;
      flag(cell.node, verdict);
    }
  }

  /** Paints a process's classes on a scale that ends at `top`. Returns the hottest, if any. */
  update(process, key, top) {
    const measure = MEASURES[key];
    const held = process.general.live_bytes_by_class;
    const most = Math.max(1, ...held.filter(counted));
    this.#process = process;
    this.#key = key;
    let crowned = null;
    for (const cell of this.#cells) {
      const live = held[cell.row];
      cell.node.hidden = !counted(live);
      if (cell.node.hidden) continue;
      const value = hottest(process.grid[key]?.[cell.row]);
      if (value !== null && value > measure.calm && (!crowned || value > crowned.value)) crowned = { cell, value };
      const shade = level(key, value, top);
      attribute(cell.node, "class", shade === null ? "empty" : shade === 0 ? "zero" : "");
      cell.node.style.background = shade === null ? "" : RAMP[shade].fill;
      cell.node.style.color = shade === null ? "" : RAMP[shade].ink;
      text(cell.held, live === 0 ? "0" : bytes(live, 2));
      cell.bar.style.width = `${((live / most) * 100).toFixed(1)}%`;
      attribute(cell.node, "data-value", value ?? "");
      attribute(cell.node, "data-live", live);
      attribute(cell.node, "aria-label", `${cell.name}: ${bytes(live)} live, ${value === null ? NOT_COUNTED : measure.say(value)}${cell.verdict ? `; ${cell.verdict}` : ""}`);
    }
    if (!this.#cells.some((cell) => cell.node.tabIndex === 0 && !cell.node.hidden)) {
      const first = this.#cells.find((cell) => !cell.node.hidden);
      if (first) attribute(first.node, "tabindex", 0);
    }
    for (const { node } of this.#cells) node.toggleAttribute("data-hottest", node === crowned?.cell.node);
    const noted = this.#noted();
    if (noted) this.#note(noted);
    return crowned && { name: `blocks of ${crowned.cell.name}`, value: crowned.value };
  }
}
