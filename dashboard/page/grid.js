// One grid of classes (rows) and shards (columns): built once, then only repainted where a number changed.
//
// Invariant: a cell without a measurement is empty and looks so; 0 is a measurement and has the ramp's first colour.

import { attribute, hideNote, html, noteOwner, showNote, text } from "./dom.js";
import { bytes, counted, exact, NOT_COUNTED } from "./format.js";
import { level, MEASURES, RAMP } from "./measures.js";

/** Says on a node which verdicts are about it. */
export function flag(node, verdict) {
  if (verdict) attribute(node, "data-verdict", verdict);
  else node.removeAttribute("data-verdict");
}

export class Grid {
  #classes;
  #cells = [];
  #process = null;
  #key = "";
  #hottest = null;
  #rows = new Map();
  #marked = "";

  constructor(design, classes, shards) {
    this.#classes = classes.map((c) => bytes(Number(c)));
    const head = html("div", { role: "row" }, html("span", { role: "columnheader", class: "corner" }, "shard"),
      ...shards.map((s) => html("span", { role: "columnheader" }, s)));
    const rows = classes.map((c, row) => {
      const cells = shards.map((s, column) => {
        const cell = html("div", { role: "gridcell", "data-class": c, "data-shard": s, "data-value": "", class: "empty",
          tabindex: row + column === 0 ? "0" : "-1" });
        this.#cells.push({ node: cell, row, column, level: undefined, value: undefined });
        return cell;
      });
      const name = html("span", { role: "rowheader" }, this.#classes[row]);
      this.#rows.set(c, name);
      return html("div", { role: "row" }, name, ...cells);
    });
    this.columns = shards.length;
    this.shards = shards;
    this.sizes = classes;
    this.node = html("div", { role: "grid", class: "grid", "aria-label": `${design}: size classes by shards` }, head, ...rows);
    this.#listen();
  }

  #listen() {
    const find = (event) => this.#cells.find((cell) => cell.node === event.target);
    const show = (event) => {
      const cell = find(event);
      if (cell) this.#note(cell);
    };
    this.node.addEventListener("pointerover", show);
    this.node.addEventListener("focusin", (event) => {
      for (const cell of this.#cells) attribute(cell.node, "tabindex", cell.node === event.target ? 0 : -1);
      show(event);
    });
    this.node.addEventListener("click", show);
    this.node.addEventListener("pointerleave", () => hideNote(this.#noted()));
    this.node.addEventListener("focusout", () => hideNote(this.#noted()));
    this.node.addEventListener("keydown", (event) => {
      const at = this.#cells.indexOf(find(event));
      if (at < 0) return;
      if (event.key === "Escape") return hideNote(this.#noted());
      const { row, column } = this.#cells[at];
      const last = { row: this.#classes.length - 1, column: this.columns - 1 };
      const go = { ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1],
        ArrowRight: [row, column + 1], Home: [event.ctrlKey ? 0 : row, 0],
        End: [event.ctrlKey ? last.row : row, last.column] }[event.key];
      if (!go) return;
      event.preventDefault();
      const clamp = (v, max) => Math.min(Math.max(v, 0), max);
      this.#cells[clamp(go[0], last.row) * this.columns + clamp(go[1], last.column)].node.focus();
    });
  }

  /** The cell of this grid that the note speaks of. */
  #noted() {
    return this.#cells.find((cell) => cell === noteOwner());
  }

  #name(cell) {
    return `${this.#classes[cell.row]} shard ${cell.column}`;
  }

  #note(cell) {
    if (!this.#process) return;
    const rows = Object.entries(MEASURES).map(([key, measure]) => {
      const value = this.#process.grid[key]?.[cell.row]?.[cell.column];
      return [measure.name, exact(value) + (counted(value) ? measure.exact : ""), key === this.#key];
    });
    showNote(cell, `${this.#process.strategy}, ${this.#name(cell)}`, rows, cell.node.getBoundingClientRect());
  }

  /** Paints a process's numbers of one measure on a scale that ends at `top`. Returns the hottest cell, if any. */
  update(process, key, top) {
    const measure = MEASURES[key];
    const values = process.grid[key] ?? [];
    this.#process = process;
    let hottest = null;
    for (const cell of this.#cells) {
      const value = values[cell.row]?.[cell.column] ?? null;
      if (value !== null && value > measure.calm && (!hottest || value > hottest.value)) hottest = { cell, value };
      const shade = level(key, value, top);
      if (shade !== cell.level) {
        cell.level = shade;
        cell.node.className = shade === null ? "empty" : shade === 0 ? "zero" : "";
        cell.node.style.background = shade === null ? "" : RAMP[shade].fill;
        cell.node.style.color = shade === null ? "" : RAMP[shade].ink;
      }
      if (value !== cell.value || key !== this.#key || cell.relabel) {
        cell.value = value;
        cell.relabel = false;
        attribute(cell.node, "data-value", value ?? "");
        attribute(cell.node, "aria-label", `${this.#name(cell)}: ${value === null ? NOT_COUNTED : measure.say(value)}${cell.verdict ? `; ${cell.verdict}` : ""}`);
      }
    }
    this.#key = key;
    this.#crown(hottest, measure);
    const noted = this.#noted();
    if (noted) this.#note(noted);
    return hottest && { name: this.#name(hottest.cell), value: hottest.value };
  }

  /** Marks the cells that verdicts are about; one of a whole class marks the name of its row. */
  mark(verdicts) {
    const marked = verdicts.map((v) => `${v.title} ${v.class} ${v.shard}`).join("\n");
    if (marked === this.#marked) return;
    this.#marked = marked;
    const at = (c, shard) => verdicts.filter((v) => v.class === c && v.shard === shard).map((v) => v.title).join(", ");
    for (const [c, node] of this.#rows) flag(node, at(c, null));
    for (const cell of this.#cells) {
      const verdict = at(this.sizes[cell.row], this.shards[cell.column]);
      if (verdict === (cell.verdict ?? "")) continue;
      cell.verdict = verdict;
      cell.relabel = true;
      flag(cell.node, verdict);
    }
  }

  /** Rings the hottest cell and writes its number into it. */
  #crown(hottest, measure) {
    if (this.#hottest && this.#hottest !== hottest?.cell) {
      text(this.#hottest.node, "");
      delete this.#hottest.node.dataset.hottest;
    }
    this.#hottest = hottest?.cell ?? null;
    if (!hottest) return;
    text(hottest.cell.node, measure.brief(hottest.value));
    attribute(hottest.cell.node, "data-hottest", "");
  }
}
