// How often operations had to retry, by depth: the storm is in the tail, so the counts are drawn on a log scale.
//
// Invariant: all cards share the scale's top, and a bucket with one single operation is still visible.

import { attribute, html, text } from "./dom.js";
import { exact, percent, si } from "./format.js";

/** Share of operations whose depth the sentence beneath states. */
const TAIL = 0.99;

/** The decade in which the fullest bucket of these histograms ends. */
export function decades(all) {
  const most = Math.max(10, ...all.flatMap((retries) => retries?.buckets ?? []));
  return Math.ceil(Math.log10(most));
}

export class Histogram {
  #bars = [];
  #words = html("p", { class: "words" });
  #top = html("span", { class: "top" });
  #plot = html("div", { class: "bars", role: "img" });

  constructor(design) {
    this.node = html("figure", { class: "histogram" },
      html("figcaption", {}, "Retries of one operation", html("small", {}, "operations, log scale")),
      html("div", { class: "plot" }, this.#top, this.#plot), this.#words);
    this.design = design;
  }

  #build(bounds) {
    const names = [...bounds.map(String), `>${bounds.at(-1)}`];
    this.#bars = names.map((name) => {
      const bar = html("i");
      const short = name.replace("1024", "1k");
      this.#plot.append(html("div", { "data-bound": name, "data-value": "0" }, bar, html("span", {}, short)));
      return bar;
    });
  }

  /** Draws buckets on a scale of so many decades. */
  update(retries, decades) {
    const buckets = retries?.buckets ?? [];
    if (this.#bars.length === 0 && retries) this.#build(retries.bounds);
    const total = buckets.reduce((sum, n) => sum + n, 0);
    text(this.#top, si(10 ** decades, 1));
    this.#bars.forEach((bar, i) => {
      const count = buckets[i] ?? 0;
      // One operation has log 0: half a step keeps it above the floor.
      const height = count > 0 ? (Math.log10(count) + 0.5) / (decades + 0.5) : 0;
      const scale = `scaleY(${height.toFixed(3)})`;
      if (bar.style.transform !== scale) bar.style.transform = scale;
      attribute(bar.parentNode, "data-value", count);
      attribute(bar.parentNode, "title", `${exact(count)} operations with ${bar.parentNode.dataset.bound} retries`);
    });
    const words = total === 0 ? "no operation on a shared list was counted" : this.#describe(retries, total);
    text(this.#words, words);
    attribute(this.#plot, "aria-label", `${this.design}: ${words}`);
  }

  #describe({ bounds, buckets }, total) {
    const first = buckets[0] / total;
    let sum = 0;
    const at = buckets.findIndex((n) => (sum += n) >= total * TAIL);
    if (buckets[0] === total) return "every operation succeeded at once";
    const depth = at >= bounds.length ? `more than ${bounds.at(-1)}` : `at most ${bounds[at]}`;
    return `${percent(first)} succeeded at once; 99 in 100 needed ${depth} ${bounds[at] === 1 ? "retry" : "retries"}`;
  }
}
