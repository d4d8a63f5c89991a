// What it costs to be watched, as `stormglass bench --cost` last measured it on this machine: a table, a row an allocator and workload.
//
// Invariant: without a measurement there is no section, and what a number does not prove is not coloured.

import { nameOf } from "./about.js";
import { html } from "./dom.js";
import { digits, signed } from "./format.js";

/** Coverage of an interval from which a difference is called one, as in the report. */
const EVIDENCE = 0.9;
const HEADS = ["allocator", "workload", "counted", "counted and scraped at 10 Hz"];

const change = (ratio) => (ratio - 1) * 100;

function ratioCell(watched, ratio) {
  if (!ratio) return html("td", { "data-watched": watched }, html("span", { class: "none" }, "not measured"));
  const proven = ratio.coverage >= EVIDENCE;
  const direction = proven && ratio.high < 1 ? "worse" : proven && ratio.low > 1 ? "better" : "level";
  const words = `${signed(change(ratio.low))} to ${signed(change(ratio.high))}\u202f%, ${ratio.pairs} ${ratio.pairs === 1 ? "pair" : "pairs"}`;
  return html("td", { "data-watched": watched, "data-value": ratio.median },
    html("b", { class: direction }, `${signed(change(ratio.median))}\u202f%`), html("small", {}, words));
}

function build({ subjects, measured, command, machine, version }) {
  const row = (subject) => html("tr", {},
    html("th", { scope: "row" }, subject.allocator === "general" ? "every size" : `mid pool, ${nameOf(subject.strategy)}`),
    html("td", {}, subject.workload), ratioCell("counted", subject.counted), ratioCell("scraped", subject.scraped));
  const when = new Date(measured * 1000).toLocaleString();
  const about = [when, machine, `stormglass ${version}`, command].join(" \u00b7 ");
  return html("table", { "data-subjects": digits(subjects.length) },
    html("caption", {}, "Speed against a build without counters, median of paired runs. ", html("small", {}, about)),
    html("thead", {}, html("tr", {}, ...HEADS.map((head) => html("th", { scope: "col" }, head)))),
    html("tbody", {}, ...subjects.map(row)));
}

export class Watching {
  #seen = "";

  /** `section` is shown once there is something in its `node`. */
  constructor(section, node) {
    this.section = section;
    this.node = node;
  }

  /** Shows the last measurement; null is none. */
  update(cost) {
    const seen = JSON.stringify(cost ?? null);
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.section.hidden = !cost;
    this.node.replaceChildren(...(cost ? [build(cost)] : []));
  }
}
