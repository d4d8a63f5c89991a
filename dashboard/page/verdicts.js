// What is wrong, in words: a line a verdict, the first thing on the page while there is one. It opens to what it means and what
// to try, and leads to the cell that it is about.
//
// Invariants: a line is of one design (or program), workload and verdict, however many processes and places have it, so that a
// benchmark whose runs are processes of their own does not fill the page. What is over stays where it is for a moment, then for
// LINGER in a list that is folded, and for as long as somebody reads it where they read it.

import { nameOf } from "./about.js";
import { look, seriesOf, swatch } from "./designs.js";
import { attribute, html, text } from "./dom.js";
import { ago, bytes } from "./format.js";

/** Milliseconds for which a verdict that is over is still told, and for which it stays among those that are on. */
const LINGER = 60000;
const RECENT = 5000;
/** Lines in sight at most; of more, the number. */
const LINES = 8;
const SEVERITIES = ["storm", "waste", "note"];
const SIDECAR = { command: "the sidecar", strategy: "the sidecar", workload: "", live: true, general: null };

/** Text with names in backticks: a design's leads to what is said of it. */
const words = (said) => said.split("`").map((part, i) => (i % 2 ? html("code", {}, nameOf(part)) : part));

/** Where, as the grid has it: "8 KiB shard 3". */
const placeOf = ({ class: c, shard }) => [c && bytes(Number(c)), shard && `shard ${shard}`].filter(Boolean).join(" ") || "the process";

const lasting = (ms) => (ms < 100000 ? `${Math.max(1, Math.round(ms / 1000))} s` : `${Math.round(ms / 60000)} min`);

/** Puts what a frame says of single processes together: by design or program, workload and verdict. */
export function gather(frame) {
  const lines = new Map();
  const add = (process, verdict) => {
    if (verdict.until !== null && frame.time - verdict.until > LINGER) return;
    const key = `${seriesOf(process)}\n${process.workload}\n${verdict.verdict}`;
    const line = lines.get(key) ?? { key, on: [], over: [] };
    lines.set(key, line);
    (verdict.until === null ? line.on : line.over).push({ ...verdict, process });
  };
  for (const process of frame.processes) {
    for (const verdict of [...(process.verdicts ?? []), ...(process.past_verdicts ?? [])]) add(process, verdict);
  }
  for (const verdict of frame.sidecar_verdicts ?? []) add(SIDECAR, verdict);
  for (const { on, over } of lines.values()) {
    on.sort((a, b) => b.weight - a.weight);
    over.sort((a, b) => b.until - a.until || b.weight - a.weight);
  }
  return [...lines.values()];
}

class Line {
  #state = html("span", { class: "when" });
  #where = html("span", { class: "where" });
  #evidence = html("span", { class: "evidence" });
  #injected = html("span", { class: "injected", hidden: "" }, "delay injected");
  #places = html("p", { class: "places" });
  #go = html("button", { type: "button" }, "Show it in the grid");

  constructor(key, first, show) {
    const { process, title, severity, verdict } = first;
    this.key = key;
    this.severity = severity;
    this.title = title;
    this.who = seriesOf(process);
    this.#go.addEventListener("click", () => show(this.shown));
    const body = html("div", { class: "body" }, html("p", {}, ...words(first.says)),
      html("p", {}, html("b", {}, "What it means. "), ...words(first.means)),
      html("p", {}, html("b", {}, "What to try. "), ...words(first.advice)), this.#places, this.#go);
    this.details = html("details", {}, html("summary", {}, html("span", { class: "severity" }, severity),
      html("b", {}, title), html("span", { class: `who ${look(this.who).hue}` }, swatch(this.who), this.who), this.#where, this.#state, this.#injected, this.#evidence), body);
    this.node = html("li", { "data-verdict": verdict, "data-severity": severity, "data-series": this.who }, this.details);
  }

  update({ on, over }, time) {
    const first = on[0] ?? over[0];
    this.shown = first;
    this.on = on.length > 0;
    attribute(this.node, "data-on", this.on);
    attribute(this.node, "data-class", first.class ?? "");
    attribute(this.node, "data-shard", first.shard ?? "");
    const places = [...new Set((this.on ? on : over).map(placeOf))];
    text(this.#where, places.length > 1 ? `${placeOf(first)} and ${places.length - 1} more` : placeOf(first));
    text(this.#state, this.on ? `for ${lasting(time - first.since)}` : `over, ${ago((time - first.until) / 1000)}`);
    text(this.#evidence, first.evidence);
    text(this.#places, places.length > 1 ? `Places: ${places.slice(0, 24).join(", ")}${places.length > 24 ? ", …" : ""}.` : "");
    this.#places.hidden = places.length < 2;
    this.#go.hidden = !first.class;
    this.#injected.hidden = !first.injected;
  }

  /** Whether somebody reads it. */
  get read() {
    return this.details.open || this.node.matches(":hover") || this.node.contains(document.activeElement);
  }
}

export class Verdicts {
  #lines = new Map();
  #list = html("ul");
  #past = html("ul");
  #pastTitle = html("summary");
  #folded = html("details", { class: "past" }, this.#pastTitle, this.#past);
  #title = html("h2", { id: "verdicts-title" });
  #more = html("p", { class: "none", hidden: "" });
  #said = html("p", { class: "unseen", role: "status" });
  #then = false;

  /** `show` leads to the grid's cell of a verdict. */
  constructor(node, show) {
    this.node = node;
    this.show = show;
    node.append(this.#title, this.#list, this.#more, this.#folded);
    // Outside the section: it must be there before there is something to say.
    node.after(this.#said);
  }

  /** Shows what `gather` made of the last frame, or of one of the past: `then`. To go to another moment is not to see anything
      end. */
  update(gathered, time, then = false) {
    const moved = then || this.#then;
    this.#then = then;
    const found = new Map(gathered.map((line) => [line.key, line]));
    const news = [];
    for (const [key, line] of this.#lines) {
      const now = found.get(key);
      const was = line.on;
      if (now) line.update(now, time);
      else if (moved) {
        line.node.remove();
        this.#lines.delete(key);
        continue;
      }
      // Its process is no longer in the frames: as it last was, and over.
      else if (line.on) line.update({ on: [], over: [{ ...line.shown, until: time }] }, time);
      else if (time - line.shown.until > LINGER && !line.read) {
        line.node.remove();
        this.#lines.delete(key);
      } else line.update({ on: [], over: [line.shown] }, time);
      if (line.on !== was) news.push(line);
    }
    for (const [key, now] of found) {
      if (this.#lines.has(key)) continue;
      const line = new Line(key, now.on[0] ?? now.over[0], this.show);
      line.update(now, time);
      this.#lines.set(key, line);
      if (line.on) news.push(line);
    }
    for (const line of this.#lines.values()) this.#place(line, time);
    this.#head(news);
  }

  /** Puts a line into the list that it belongs to, behind those that are as bad. */
  #place(line, time) {
    const recent = line.on || time - line.shown.until < RECENT;
    const list = recent ? this.#list : this.#past;
    if (line.node.parentNode === list || (line.node.isConnected && line.read)) return;
    const rank = (severity) => SEVERITIES.indexOf(severity);
    const next = [...list.children].find((node) => rank(node.dataset.severity) > rank(line.severity));
    list.insertBefore(line.node, next ?? null);
  }

  #head(news) {
    const lines = [...this.#lines.values()];
    const on = lines.filter((line) => line.on).length;
    const past = this.#past.childElementCount;
    this.node.hidden = lines.length === 0;
    attribute(this.node, "data-on", on);
    const counted = (n) => (n === 1 ? "1 verdict" : `${n} verdicts`);
    const when = this.#then ? "then" : "now";
    text(this.#title, on > 0 ? `${counted(on)} ${when}` : `No verdict ${when}`);
    // What is on goes before what is just over, where there is no room for all.
    let [first, second] = [LINES, Math.max(0, LINES - on)];
    let left = 0;
    for (const node of this.#list.children) {
      const shown = node.dataset.on === "true" ? first-- > 0 : second-- > 0;
      if (node.hidden === shown) node.hidden = !shown;
      if (!shown) left += 1;
    }
    for (const node of this.#past.children) if (node.hidden) node.hidden = false;
    this.#more.hidden = left === 0;
    text(this.#more, `and ${left} more`);
    this.#folded.hidden = past === 0;
    text(this.#pastTitle, `${past} in the last minute ${past === 1 ? "is" : "are"} over`);
    if (news.length === 0) return;
    // One sentence, whatever happened at once: a reader's voice is slower than a storm.
    const line = news.find((l) => l.on) ?? news[0];
    const others = news.length > 1 ? `, and ${news.length - 1} more changed` : "";
    text(this.#said, line.on ? `${line.title}: ${line.who}, ${placeOf(line.shown)}${others}` : `${line.title} of ${line.who} is over${others}`);
  }
}
