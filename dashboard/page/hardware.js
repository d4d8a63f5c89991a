// What processor and kernel count of a process: what there is, in numbers; what there is not, with its reason; and then
// what stands in for it, named as such.
//
// Invariant: an event that is not counted is never written as a number.

import { html, text } from "./dom.js";
import { bytes, counted, digits, duration, percent, si } from "./format.js";

const HARDWARE = ["cycles", "instructions", "cache_references", "cache_misses", "l1d_read_misses", "llc_read_misses", "remote_cache_fills"];
const WORDS = {
  cycles: "cycles", instructions: "instructions", cache_references: "cache references", cache_misses: "cache misses",
  l1d_read_misses: "L1d read misses", llc_read_misses: "last-level read misses", remote_cache_fills: "lines from another core's cache",
  page_faults: "page faults", context_switches: "context switches", migrations: "migrations", task_clock: "time on processors",
};
/** How a state that has no number begins. */
const STATES = { unsupported: "not available here", forbidden: "forbidden here", failed: "failed", counting: "not counted yet", scaled: "not counted so far" };

const list = (words) => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`);
const capital = (words) => words[0].toUpperCase() + words.slice(1);

/** One event that is counted, in words. */
function amount({ event, per_second: rate, total, running, state }) {
  const time = event === "task_clock";
  // Of one that has ended, and in the first second, there is no rate.
  const value = counted(rate) ? (time ? `${duration(rate / 1e9)} each second` : `${si(rate)}/s`)
    : `${time ? duration(total / 1e9) : total < 1000 ? total : si(total)} in all`;
  const share = state === "scaled" && counted(running) ? `, counted ${percent(running, 2)} of the time and scaled` : "";
  return `${WORDS[event]} ${value}${share}`;
}

/** The events, a line for each thing that is to be said: [class, words]. */
function eventLines({ events, missed_threads: missed }) {
  const of = (event) => events.find((e) => e.event === event);
  const per = (a, b) => (of(a)?.per_second > 0 && counted(of(b)?.per_second) ? of(b).per_second / of(a).per_second : null);
  const lines = events.filter((e) => counted(e.total)).map((event) => ["", amount(event)]);
  const ratios = [
    [per("cycles", "instructions"), (v) => `${digits(v)} instructions a cycle`],
    [per("instructions", "cache_misses"), (v) => `${digits(v * 1000)} cache misses per 1000 instructions`],
  ].filter(([value]) => value !== null);
  if (ratios.length > 0) lines.push(["", list(ratios.map(([value, say]) => say(value)))]);
  // Those that share a reason share a line.
  const reasons = new Map();
  for (const { event, state, message } of events.filter((e) => !counted(e.total))) {
    const reason = message ? `${STATES[state]}: ${message}` : STATES[state];
    reasons.set(reason, [...(reasons.get(reason) ?? []), WORDS[event]]);
  }
  for (const [reason, names] of reasons) lines.push([`absent`, `${capital(list(names))}: ${reason}`]);
  if (missed > 0) lines.push(["bad", `${missed} threads came while it was attached to; some of them may not be counted`]);
  return lines;
}

/** What a slow path costs, on average and on the dearest shards. */
function insideLines({ inside, classes, shards }) {
  const cost = ({ cycles, instructions, cache_misses: misses }) => list([
    counted(misses) && `${digits(misses)} cache misses`, counted(cycles) && `${si(cycles)} cycles`,
    counted(instructions) && `${si(instructions)} instructions`,
  ].filter(Boolean));
  const lines = [["", `a slow path costs ${cost(inside)} (mean of ${inside.samples < 1000 ? inside.samples : si(inside.samples)} samples)`]];
  for (const dear of inside.shards) {
    const shard = shards.length > 1 ? `, shard ${shards[dear.shard]}` : "";
    lines.push(["", `class ${bytes(Number(classes[dear.class]))}${shard}: ${cost(dear)}`]);
  }
  return lines;
}

/** Measures that move with bouncing cache lines, where these cannot be counted. */
function standIns({ rates, perf }) {
  const event = (name) => perf?.events.find((e) => e.event === name)?.per_second;
  return [
    counted(rates.cas_failures_per_second) && `${si(rates.cas_failures_per_second)} CAS failures/s`,
    counted(rates.wasted_walk_per_second) && `${si(rates.wasted_walk_per_second)} blocks walked in vain/s`,
    counted(rates.slow_path_nanoseconds_per_batch) && `${duration(rates.slow_path_nanoseconds_per_batch / 1e9)} of slow path a batch, by the time-stamp counter`,
    counted(event("migrations")) && `${si(event("migrations"))} migrations/s`,
    counted(event("page_faults")) && `${si(event("page_faults"))} page faults/s`,
  ].filter(Boolean);
}

/** Everything that is to be said: [class, words] each; nothing where nobody asked. */
export function hardwareLines(process) {
  const { perf, inside } = process;
  if (!perf && !inside) return [];
  const lines = [...(inside ? insideLines(process) : []), ...(perf ? eventLines(perf) : [])];
  const misses = inside?.cache_misses ?? perf?.events.find((e) => HARDWARE.includes(e.event) && counted(e.total));
  const instead = standIns(process);
  if (misses === undefined && instead.length > 0) lines.push(["", `Standing in for cache misses: ${list(instead)}`]);
  return lines;
}

/** The panel of a card. */
export class Hardware {
  #lines = html("ul", {});

  constructor() {
    this.node = html("div", { class: "large hardware", hidden: "" }, html("b", {}, "Processor and kernel counters"), this.#lines);
  }

  update(process) {
    const lines = hardwareLines(process);
    this.node.hidden = lines.length === 0;
    while (this.#lines.children.length < lines.length) this.#lines.append(html("li"));
    [...this.#lines.children].forEach((node, i) => {
      node.hidden = !lines[i];
      node.className = lines[i]?.[0] ?? "";
      text(node, lines[i]?.[1] ?? "");
    });
  }
}
