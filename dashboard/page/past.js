// Time: the reader pauses, goes back, plays on at any speed, and zooms; opens a capture or moves about in a recording.
//
// Invariants: what is shown is either now or one moment of the past, and the bar says which. The newest wish wins: while an answer
// is on its way, only the last place that was asked for is remembered. Nothing that is done here changes anything at the sidecar.

import { attribute, html, text } from "./dom.js";
import { ago } from "./format.js";
import { Store } from "./store.js";

/** Milliseconds of past that a frame is about, as one of now is. */
const SPAN = 1000;
/** Milliseconds between two steps of playing. */
const STEP = 200;
/** Milliseconds between two looks at how far the past reaches. */
const LOOK = 3000;
/** Points of a line that are asked for at most. */
const POINTS = 600;
/** Milliseconds that the time lines can show; 0 is all there is. */
const ZOOMS = [[60e3, "1 min"], [120e3, "2 min"], [300e3, "5 min"], [900e3, "15 min"], [0, "all"]];
const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16, 60];

export const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");

/** Asks the sidecar; null if it has no answer. */
async function ask(address) {
  try {
    const answer = await fetch(address);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

const button = (words, label, act, more = {}) => {
  const node = html("button", { type: "button", "aria-label": label, title: label, ...more }, words);
  node.addEventListener("click", act);
  return node;
};

function select(label, options, picked, pick) {
  const node = html("select", { "aria-label": label, title: label }, ...options.map(([value, words]) => html("option", { value }, words)));
  node.value = String(picked);
  node.addEventListener("change", () => pick(Number(node.value)));
  return node;
}

export class Past {
  /** Milliseconds since 1970 of the moment that is shown; null is now. */
  at = null;
  playing = false;
  speed = 1;
  /** Milliseconds that the time lines show. */
  zoom = ZOOMS[0][0];
  /** What the page draws in place of now: the moment, and the lines that lead to it. */
  shown = null;
  /** The capture that is open: its number. */
  capture = null;
  recording = null;
  #reach = { from: null, to: null, captures: [], marks: [] };
  #now = 0;
  #wanted = null;
  #asking = false;
  #lines = null;
  #touched = false;

  /** `hooks`: `show()` when what is shown has changed, `zoomed(window)` when the lines of now are to reach further or less far,
      `freeze()` for what is on the page now. */
  constructor(node, hooks) {
    this.node = node;
    this.hooks = hooks;
    this.#build();
    setInterval(() => this.#step(), STEP);
    setInterval(() => document.hidden || this.look(), LOOK);
  }

  #build() {
    const go = (by) => () => this.seek(this.place() + by);
    this.play = button("Play", "Play on from here", () => this.toggle(), { class: "play" });
    this.live = button("Now", "Back to now", () => this.toLive(), { class: "live" });
    this.slider = html("input", { type: "range", min: "0", max: "1", step: "1000", value: "1", "aria-label": "Moment that is shown" });
    this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
    this.bands = html("div", { class: "bands", "aria-hidden": "true" });
    this.words = html("p", { class: "when" });
    this.first = html("span", { class: "edge" });
    this.speeds = select("Speed", SPEEDS.map((s) => [s, `${s}\u00d7`]), 1, (speed) => (this.speed = speed));
    this.zooms = select("The time lines show", ZOOMS, this.zoom, (zoom) => this.zoomTo(zoom));
    this.compare = html("button", { type: "button", "aria-expanded": "false", "aria-controls": "compare" }, "Compare");
    this.save = html("a", { class: "save", href: "/api/past/recording", download: "" }, "Save");
    this.list = html("ul");
    this.captures = html("details", { class: "captures", hidden: "" }, html("summary", {}, "Captures"), this.list);
    this.node.append(this.words,
      html("div", { class: "buttons" }, button("\u221210 s", "Ten seconds back", go(-10000)), this.play, button("+10 s", "Ten seconds on", go(10000)), this.speeds, this.live),
      html("div", { class: "track" }, this.bands, this.slider, this.first),
      html("div", { class: "buttons" }, html("label", { class: "zoom" }, "Lines ", this.zooms), this.compare, this.save, this.captures));
  }

  /** Where the reader is: the moment that is shown, or now. */
  place() {
    return this.#wanted ?? this.at ?? this.#now;
  }

  /** Whether the page shows a moment of the past. */
  get away() {
    return this.at !== null;
  }

  /** The first and the last moment there is. */
  get reach() {
    const from = this.#reach.from ?? this.#now;
    const to = this.#far() ? this.#reach.to ?? this.#now : Math.max(this.#now, this.#reach.to ?? 0);
    return { from: Math.min(from, to), to };
  }

  /** Whether what is moved about in has an end of its own. */
  #far() {
    return this.recording !== null || this.capture !== null;
  }

  /** A frame of now has come. */
  tick(time) {
    this.#now = time;
    if (this.node.hidden) this.look();
    this.#draw();
  }

  /** Asks how far the past reaches; a recording is opened at its beginning. */
  async look() {
    const reach = await ask("/api/past/reach");
    if (!reach) return;
    this.node.hidden = false;
    const open = this.capture !== null && reach.captures.find((c) => c.id === this.capture);
    this.#reach = open ? { ...reach, from: open.from, to: open.time } : reach;
    if (reach.recording && !this.recording) {
      this.recording = reach.recording;
      this.speed = reach.recording.speed;
      if (!SPEEDS.includes(this.speed)) this.speeds.append(html("option", { value: this.speed }, `${this.speed}\u00d7`));
      this.speeds.value = String(this.speed);
      this.live.hidden = this.save.hidden = true;
      if (!this.#touched) {
        this.playing = true;
        this.#wish(reach.from);
      }
    }
    this.#drawMarks();
    this.#drawCaptures();
    this.#draw();
  }

  /** Goes to a moment. */
  seek(ms) {
    this.#touched = true;
    const { from, to } = this.reach;
    // At the right edge of what still goes on, the reader is back.
    if (!this.#far() && ms >= to) return this.toLive();
    this.#wish(Math.min(Math.max(ms, from), to));
  }

  /** Stands still at the moment that is on the page now. */
  hold() {
    this.playing = false;
    if (!this.away) {
      // What the reader sees, to the digit: the sidecar's past has a moment a second.
      this.shown = this.hooks.freeze();
      this.at = this.shown.time;
    }
    this.#draw();
    this.hooks.show();
  }

  /** Plays on, or stands still. */
  toggle() {
    this.#touched = true;
    if (!this.away) return this.hold();
    const { from, to } = this.reach;
    this.playing = !this.playing;
    this.hooks.show();
    // From the end there is nothing to play but everything.
    if (this.playing && this.place() >= to) this.#wish(from);
    this.#draw();
  }

  /** Back to now; from a capture, too. */
  toLive() {
    if (this.recording) return;
    this.at = this.#wanted = this.shown = this.capture = this.#lines = null;
    this.playing = false;
    this.look();
    this.#draw();
    this.hooks.show();
  }

  /** Opens a capture at its end: what led to it is on the lines. */
  open(id) {
    const capture = this.#reach.captures.find((c) => c.id === id);
    if (!capture) return;
    this.capture = id;
    this.playing = false;
    this.#lines = null;
    this.#reach = { ...this.#reach, from: capture.from, to: capture.time };
    this.captures.open = false;
    this.#drawMarks();
    this.#wish(capture.time);
  }

  /** Milliseconds that the lines show; all there is where that was chosen. */
  window() {
    if (this.zoom > 0) return this.zoom;
    const { from, to } = this.reach;
    return Math.max(60e3, to - from);
  }

  zoomTo(zoom) {
    this.zoom = zoom;
    this.#lines = null;
    this.hooks.zoomed(this.window());
    if (this.away) this.#wish(this.place());
  }

  /** The address of a span, in what is moved about in. */
  span(from, to) {
    const of = this.capture === null ? "" : `&capture=${this.capture}`;
    return ask(`/api/past?from=${Math.round(from)}&to=${Math.round(to)}${of}`);
  }

  #step() {
    if (!this.playing || !this.away || this.#asking || document.hidden) return;
    const { to } = this.reach;
    const next = this.place() + STEP * this.speed;
    if (next < to) return this.#wish(next);
    if (!this.#far()) return this.toLive();
    this.playing = false;
    this.hooks.show();
    this.#wish(to);
  }

  #wish(ms) {
    this.#wanted = ms;
    this.#draw();
    this.#fetch();
  }

  async #fetch() {
    if (this.#asking) return;
    this.#asking = true;
    // Until the last wish is granted; a wish for now is none.
    while (this.#wanted !== null) {
      const ms = this.#wanted;
      const [frame, lines] = await Promise.all([this.span(ms - SPAN, ms), this.#linesTo(ms)]);
      if (this.#wanted === null) break;
      if (this.#wanted === ms) this.#wanted = null;
      if (!frame) continue;
      const store = new Store(Infinity);
      if (lines) store.history(lines);
      // Whoever lived then need not live now.
      for (const process of frame.processes) process.then = true;
      store.frame(frame);
      this.shown = store;
      this.at = ms;
      this.#draw();
      this.hooks.show();
    }
    this.#asking = false;
  }

  /** The lines that lead to a moment, and some of those behind it, so that playing on asks rarely. */
  async #linesTo(ms) {
    const window = this.window();
    const had = this.#lines;
    if (had && had.from <= ms - window && ms <= had.to) return had.lines;
    const [from, to] = [Math.max(0, Math.round(ms - window - 1000)), Math.round(ms + window / 2)];
    const of = this.capture === null ? "" : `&capture=${this.capture}`;
    const lines = await ask(`/api/history?from=${from}&to=${to}&step=${Math.round(window / POINTS)}${of}`);
    // Lines of what still goes on end now; what comes after is asked for again.
    const until = this.#far() ? to : Math.min(to, this.#now);
    if (lines) this.#lines = { from, to: until, lines };
    return lines;
  }

  #draw() {
    const { from, to } = this.reach;
    const place = Math.min(this.place(), to);
    const away = this.away || this.#wanted !== null;
    attribute(this.node, "data-away", away);
    attribute(this.node, "data-at", away ? Math.round(place) : "");
    attribute(this.node, "data-playing", this.playing);
    attribute(this.slider, "min", Math.floor(from / 1000) * 1000);
    attribute(this.slider, "max", Math.max(Math.ceil(to / 1000) * 1000, Math.floor(from / 1000) * 1000 + 1000));
    if (document.activeElement !== this.slider || this.playing || !away) this.slider.value = String(place);
    const behind = (to - place) / 1000;
    const where = this.recording ? `recording ${this.recording.name}` : this.capture !== null ? `capture ${this.capture}` : "";
    const when = this.#far() ? `${clock(place)}, ${((place - from) / 1000).toFixed(0)} of ${((to - from) / 1000).toFixed(0)} s` : `${clock(place)}, ${behind < 1 ? "paused" : ago(behind)}`;
    text(this.words, away ? [where, when].filter(Boolean).join(": ") : "now");
    attribute(this.slider, "aria-valuetext", away ? when : "now");
    text(this.play, this.playing ? "Hold" : away ? "Play" : "Hold");
    attribute(this.play, "aria-label", this.playing || !away ? "Stand still" : "Play on from here");
    attribute(this.live, "aria-disabled", !away);
    const reach = Math.round((to - from) / 1000);
    text(this.first, this.#far() ? clock(from) : `\u2212${reach < 60 ? "" : `${Math.floor(reach / 60)} min `}${reach % 60} s`);
    this.save.href = `/api/past/recording?from=${Math.round(place - this.window())}&to=${Math.round(place)}`;
    this.#noteDamage();
  }

  #noteDamage() {
    if (!this.recording) return;
    const { note, damage, whole } = this.recording;
    attribute(this.node, "data-whole", whole);
    const words = [note, damage ?? (whole ? "" : "it ends without a last word")].filter(Boolean).join(" \u00b7 ");
    attribute(this.words, "title", words);
    if (!this.noted && words) {
      this.noted = html("p", { class: "note" }, words);
      this.node.append(this.noted);
    }
  }

  /** A band for each time that a verdict was on. */
  #drawMarks() {
    const { from, to } = this.reach;
    const wide = Math.max(1, to - from);
    const bands = this.#reach.marks.filter((mark) => (mark.until ?? to) >= from && mark.since <= to).map((mark) => {
      const [a, b] = [Math.max(from, mark.since), Math.min(to, mark.until ?? to)];
      const band = html("i", { title: mark.title });
      band.style.left = `${((a - from) / wide) * 100}%`;
      band.style.width = `${Math.max(0.3, ((b - a) / wide) * 100)}%`;
      return band;
    });
    this.bands.replaceChildren(...bands);
  }

  #drawCaptures() {
    const { captures } = this.#reach;
    this.captures.hidden = captures.length === 0;
    const seen = captures.map((c) => c.id).join(" ");
    if (this.captures.dataset.seen === seen) return;
    this.captures.dataset.seen = seen;
    text(this.captures.firstElementChild, `Captures (${captures.length})`);
    this.list.replaceChildren(...[...captures].reverse().map((capture) => {
      const title = `${capture.verdict.replaceAll("_", " ")}, ${capture.place}`;
      const open = button(title, `Open the minute before: ${title}`, () => this.open(capture.id), { "data-capture": capture.id });
      const save = html("a", { href: `/api/past/captures/${capture.id}`, download: "", "aria-label": `Save capture ${capture.id} as a recording` }, "save");
      return html("li", {}, open, html("small", {}, `${capture.command}, pid ${capture.pid}, ${clock(capture.time)}: ${capture.note}`), save);
    }));
  }
}
