// What the card of a program shows that runs on an allocator of every size: its memory in numbers, its classes, and what
// lies above them.
//
// Invariant: a number that stands for its whole life says so; one that its writer does not count is said to be not counted.

import { nameOf } from "./about.js";
import { html, text } from "./dom.js";
import { bytes, counted, duration, percent, si } from "./format.js";
import { Sizes } from "./sizes.js";

/** The key numbers: field, words, how it is written, where it is. */
const NUMBERS = [
  ["live_bytes", "live", bytes, (process) => process],
  ["mapped_bytes", "mapped", bytes, (process) => process],
  ["resident_bytes", "resident, whole process", bytes, (process) => process],
  ["cached_bytes", "cached in rings", bytes, (process) => process],
  ["purged_bytes", "purged", bytes, (process) => process],
  ["live_bytes", "of the live, in large blocks", bytes, (process) => process.general.large],
  ["allocations_per_second", "allocations/s in classes", si, (process) => process.rates],
  ["ring_hit_ratio", "ring hit rate", percent, (process) => process.rates],
  ["lock_wait_ratio", "lock wait each second", duration, (process) => process.rates],
];

/** A number of things: whole while it is small. */
const count = (n) => (n < 1000 ? String(n) : si(n));
const times = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;

/** What lies above the classes: a line of words for each thing that happened. */
class Large {
  #lines = html("ul", {});
  #title = html("b");

  constructor() {
    this.node = html("div", { class: "large" }, this.#title, this.#lines);
  }

  update({ classes, general }) {
    const { large, purges, limit_refusals: limit, kernel_refusals: kernel, forks } = general;
    text(this.#title, `Above ${bytes(Number(classes.at(-1)))}`);
    const grown = [large.grown_in_place && `${count(large.grown_in_place)} in place`, large.moved && `${count(large.moved)} moved by the kernel`,
      large.copied && `${count(large.copied)} copied`].filter(Boolean);
    const lines = [
      ["", `${times(large.live, "block", "blocks")} live, ${bytes(large.live_bytes)}`],
      ["", large.allocations > 0 && `${si(large.allocations_per_second ?? 0)} allocations/s, ${count(large.allocations)} in all${large.reuses > 0
        ? `, ${percent(large.reuses / large.allocations, 2)} from kept spans` : ""}`],
      ["", large.direct_mappings > 0 && times(large.direct_mappings, "mapping of its own", "mappings of their own")],
      ["", grown.length > 0 && `grown: ${grown.join(", ")}`],
      ["", purges > 0 && `memory given back ${times(purges, "time", "times")}`],
      ["", forks > 0 && `forked ${times(forks, "time", "times")}`],
      ["bad", limit > 0 && `refused by the limit ${times(limit, "time", "times")}`],
      ["bad", kernel > 0 && `refused by the kernel ${times(kernel, "time", "times")}`],
    ].filter(([, words]) => words);
    while (this.#lines.children.length < lines.length) this.#lines.append(html("li"));
    [...this.#lines.children].forEach((node, i) => {
      node.hidden = !lines[i];
      node.className = lines[i]?.[0] ?? "";
      text(node, lines[i]?.[1] ?? "");
    });
  }
}

/** What makes a card the card of a program. */
export function programParts(name, process) {
  const large = new Large();
  return {
    title: [name, html("small", {}, "design ", nameOf(process.strategy))],
    grid: new Sizes(name, process.classes),
    numbers: NUMBERS,
    foot: large.node,
    drawFoot: (shown) => large.update(shown),
  };
}

/** A program in words: what it holds, and what else is worth knowing. */
export function programWords({ live_bytes: live, mapped_bytes: mapped, resident_bytes: resident, cached_bytes: cached, purged_bytes: purged, rates, general }) {
  const held = counted(live) ? `${bytes(live)} live` : "live bytes are not counted";
  return [counted(mapped) ? `${held} in ${bytes(mapped)} mapped` : held, [
    counted(resident) && `${bytes(resident)} resident`,
    cached > 0 && `${bytes(cached)} cached in rings`,
    purged > 0 && `${bytes(purged)} given back`,
    general.large.live_bytes > 0 && `${bytes(general.large.live_bytes)} in ${times(general.large.live, "large block", "large blocks")}`,
    counted(rates.allocations_per_second) && `${si(rates.allocations_per_second)} allocations/s`,
    counted(rates.ring_hit_ratio) && `${percent(rates.ring_hit_ratio)} of them from a ring`,
  ]];
}
