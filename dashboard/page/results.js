// The designs side by side as the benchmark measured them: a table a workload, with what its numbers mean in words.
//
// Invariant: a table is rebuilt only when the report changed, so that a reader's selection and place survive frames.

import { nameOf } from "./about.js";
import { look, swatch } from "./designs.js";
import { attribute, html, svg, text } from "./dom.js";
import { bytes, counted, digits, duration, injection, NOT_COUNTED, signed, si } from "./format.js";

/** Coverage of an interval from which a difference is called one, as in the report. */
const EVIDENCE = 0.9;
const COLUMNS = [
  ["median", "operations/s", "median of the runs"],
  ["change", "against the baseline", "paired ratios: median, interval"],
  ["failures_per_batch", "CAS failures per batch", ""],
  ["walked_per_kept", "walked per block kept", ""],
  ["lock_wait", "lock wait each second", ""],
  ["sentence", "what the counters show", ""],
];

const written = (value, write) => (counted(value) ? write(value) : html("span", { class: "none" }, NOT_COUNTED));
const cell = (column, value, ...content) => html("td", { role: "cell", "data-column": column, "data-value": value ?? "" },
  html("span", { class: "label", "aria-hidden": "true" }, COLUMNS.find(([id]) => id === column)[1]), ...content);
const change = (ratio) => (ratio - 1) * 100;

/** A row's interval as a whisker, on the axis that all rows of its table share. */
function whisker({ low, median, high }, span) {
  const x = (ratio) => (60 + (change(ratio) / span) * 56).toFixed(1);
  return svg("svg", { class: "whisker", viewBox: "0 0 120 12", width: "120", height: "12", "aria-hidden": "true" },
    svg("path", { class: "axis", d: "M60 0V12" }), svg("path", { class: "stretch", d: `M${x(low)} 6H${x(high)}M${x(low)} 3V9M${x(high)} 3V9` }),
    svg("circle", { cx: x(median), cy: "6", r: "3" }));
}

function changeCell(row, table, span) {
  if (!row.ratio) {
    const baseline = row.design === table.baseline;
    return cell("change", baseline ? 0 : null, html("span", { class: "none" }, baseline ? "the baseline" : "not measured yet"));
  }
  const { median, low, high, coverage, pairs } = row.ratio;
  const direction = coverage < EVIDENCE ? "level" : low > 1 ? "better" : high < 1 ? "worse" : "level";
  const words = `${signed(change(low))} to ${signed(change(high))} %, ${Math.round(coverage * 100)} % coverage, ${pairs} ${pairs === 1 ? "pair" : "pairs"}`;
  return cell("change", change(median), html("b", { class: direction }, `${signed(change(median))}\u202f%`), whisker(row.ratio, span), html("small", {}, words));
}

function row(row, table, most, span, injected) {
  const m = row.measures ?? {};
  const bar = html("i", { class: "bar" });
  bar.style.width = `${Math.max(0.5, (row.median_ops_per_second / most) * 100)}%`;
  const runs = row.runs?.length ?? 0;
  return html("tr", { role: "row", class: look(row.design).hue, "data-design": row.design },
    html("th", { role: "rowheader", scope: "row" }, swatch(row.design), nameOf(row.design), html("small", {}, row.paper ?? ""),
      ...(injected ? [html("small", { class: "injected" }, "delay injected")] : [])),
    cell("median", row.median_ops_per_second, html("b", {}, written(row.median_ops_per_second, si)), bar, html("small", {}, `${runs} run${runs === 1 ? "" : "s"}`)),
    changeCell(row, table, span),
    cell("failures_per_batch", m.failures_per_batch, written(m.failures_per_batch, digits)),
    cell("walked_per_kept", m.walked_per_kept, written(m.walked_per_kept, digits)),
    cell("lock_wait", m.lock_wait_ratio, written(m.lock_wait_ratio, duration)),
    cell("sentence", row.sentence, row.sentence ?? ""));
}

function build(table, injected) {
  const most = Math.max(...table.rows.map((r) => r.median_ops_per_second ?? 0), 1);
  const span = Math.max(1, ...table.rows.flatMap((r) => (r.ratio ? [Math.abs(change(r.ratio.low)), Math.abs(change(r.ratio.high))] : [])));
  const threads = `${table.threads} thread${table.threads === 1 ? "" : "s"}`;
  const head = COLUMNS.map(([id, words, more]) => html("th", { role: "columnheader", scope: "col", "data-column": id }, words, more ? html("small", {}, more) : ""));
  return html("table", { role: "table", "data-workload": table.workload },
    html("caption", {}, html("b", {}, table.workload), ` ${threads}, ${digits(table.seconds, 2)} s a run, against ${table.baseline}`,
      ...(injected ? [" ", html("strong", { class: "injected" }, `delay injected: ${injection(injected)}`)] : [])),
    html("thead", { role: "rowgroup" }, html("tr", { role: "row" }, html("th", { role: "columnheader", scope: "col" }, "design"), ...head)),
    html("tbody", { role: "rowgroup" }, ...table.rows.map((r) => row(r, table, most, span, injected))));
}

export class Results {
  #tables = [];

  constructor(node, machine) {
    this.node = node;
    this.machine = machine;
  }

  /** Shows a report; null says that no benchmark feeds this page. */
  update(report) {
    const tables = report?.tables?.filter((table) => table.rows.length > 0) ?? [];
    if (tables.length > 0 && this.#tables.length === 0) this.node.replaceChildren();
    tables.forEach((table, i) => {
      const seen = JSON.stringify([table, report.injected]);
      if (this.#tables[i]?.seen === seen) return;
      const node = build(table, report.injected);
      if (this.#tables[i]) this.#tables[i].node.replaceWith(node);
      else this.node.append(node);
      this.#tables[i] = { seen, node };
    });
    for (const { node } of this.#tables.splice(tables.length)) node.remove();
    attribute(this.node, "data-tables", tables.length);
    if (report?.machine) text(this.machine, this.#describe(report));
  }

  #describe({ machine, command, version }) {
    const cores = `${machine.cores} core${machine.cores === 1 ? "" : "s"}`;
    return [machine.cpu, cores, counted(machine.memory_bytes) ? bytes(machine.memory_bytes) : "", machine.kernel, command, version && `stormglass ${version}`]
      .filter(Boolean).join(" · ");
  }
}
