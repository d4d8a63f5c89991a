// The page: takes frames from the stream, keeps them in the store, and has each part draw what it shows.
//
// Invariant: drawing depends on the store and the reader's choices only, so that a pause, a look back, a hidden tab or a change
// of choice is nothing but a draw that happens later, from another store, or once more.

import { about } from "./about.js";
import { Card, shapeOf } from "./card.js";
import { Compare } from "./compare.js";
import { Deck } from "./deck.js";
import { look, seriesOf } from "./designs.js";
import { attribute, html, text } from "./dom.js";
import { counted, digits, duration, injection, percent, si } from "./format.js";
import { decades } from "./histogram.js";
import { fitScale, MEASURES, RAMP, ticks } from "./measures.js";
import { clock, Past } from "./past.js";
import { programWords } from "./program.js";
import { Results } from "./results.js";
import { Store } from "./store.js";
import { connect } from "./stream.js";
import { lengthOf, Timelines } from "./timeline.js";
import { Verdicts } from "./verdicts.js";

const at = (id) => document.getElementById(id);
const FOLLOW = "";
const THEME = "stormglass-theme";

/** What frames of now have brought, and what is drawn: that, or a moment of the past. */
const live = new Store();
let store = live;
const cards = new Map();
const deck = new Deck(at("grids"));
const past = new Past(at("past"), { show, zoomed, freeze: () => live.copy() });
const timelines = new Timelines(at("timelines"), at("frozen"), (time) => past.seek(time));
const verdicts = new Verdicts(at("verdicts"), showCell);
const results = new Results(at("results"), at("machine"));
const choice = { measure: "cas_failures_per_second", workload: FOLLOW };
const compare = new Compare(at("compare"), past, () => choice.measure);
let again = () => {};
let frames = 0;
let drawnScale = "";
let connection = "reconnecting";

/** The workload whose processes the cards show; null is whichever ran last. */
function shownWorkload() {
  if (choice.workload !== FOLLOW) return choice.workload;
  if (past.away) return null;
  // While something runs, follow it. Afterwards nobody wants the last run but the one that stormed.
  const over = !store.racing && !store.report?.progress && store.time - store.lastPoint > 3000;
  return over ? store.stormiest() : null;
}

function draw() {
  if (document.hidden || store.time === 0) return;
  verdicts.update(store.verdicts, store.time, past.away);
  drawCards();
  drawProgress();
  drawWorkloads();
  at("left-out").hidden = store.leftOut === 0;
  text(at("left-out"), `${store.leftOut} more ${store.leftOut === 1 ? "process is" : "processes are"} not on this page; /metrics has them all.`);
  at("series-left-out").hidden = live.seriesLeftOut === 0;
  text(at("series-left-out"), `/metrics leaves out ${live.seriesLeftOut} series: there are more than --max-series allows.`);
  results.update(live.report);
  const edge = past.away ? { end: past.at, frozen: false } : live.edge();
  timelines.update(store.runs(), edge, past.window());
  const length = lengthOf(past.window());
  text(at("timelines-words"), past.away ? `${length[0].toUpperCase()}${length.slice(1)} up to ${clock(past.at)}` : `The last ${length}`);
  compare.draw();
}

/** The reader has gone to another moment, or is back. */
function show() {
  store = past.shown ?? live;
  const away = past.away;
  const plays = past.recording ? past.playing : !away;
  attribute(at("pause"), "aria-pressed", !plays);
  text(at("pause").firstElementChild, plays ? "Pause" : "Resume");
  document.body.classList.toggle("paused", away && !past.recording);
  state(connection);
  draw();
}

/** The lines of now are to reach further back, or less far. */
function zoomed(window) {
  live.zoom(window);
  again();
}

/** Stands still, or goes back to now; a recording has no now, and plays on. */
function pause() {
  if (past.recording) return past.toggle();
  if (past.away) past.toLive();
  else past.hold();
}

function drawCards() {
  const processes = store.cards(shownWorkload());
  const key = choice.measure;
  const top = fitScale(key, processes.map((p) => p.grid[key] ?? []), store.time);
  const designs = processes.filter((p) => !p.general);
  const tall = decades(designs.map((p) => p.retries));
  drawScale(key, top);
  // A card that still shows another workload than what runs now says so by its colour.
  const latest = designs.reduce((a, b) => (b.age_seconds < a.age_seconds ? b : a), designs[0]);
  let worst = null;
  for (const process of processes) {
    const shown = card(process);
    const hottest = shown.update(process, key, top, tall);
    attribute(shown.node, "data-behind", !process.general && process.workload !== latest.workload);
    if (hottest && (!worst || hottest.value > worst.hottest.value)) worst = { process, hottest };
  }
  const shown = new Set(processes.map(seriesOf));
  for (const [series, { node }] of cards) if (node.hidden === shown.has(series)) node.hidden = !shown.has(series);
  const placed = processes.map((p) => ({ series: seriesOf(p), node: card(p).node, heat: card(p).hottest?.value ?? 0 }));
  deck.arrange(placed, `${key} ${latest?.workload}`, store.time);
  if (designs.length > 0) headline(worst, key);
  else if (processes.length > 0) inWords(processes.reduce((a, b) => ((b.live_bytes ?? 0) > (a.live_bytes ?? 0) ? b : a)), worst, key);
}

/** The card of a process's series; a new one if the series has come to have other classes. */
function card(process) {
  const series = seriesOf(process);
  if (cards.get(series)?.shape !== shapeOf(process)) {
    const fresh = new Card(process);
    cards.get(series)?.node.replaceWith(fresh.node);
    cards.set(series, fresh);
  }
  return cards.get(series);
}

/** Goes to the cell that a verdict is about; to its card, if it is about a whole class or the cell is not shown. */
function showCell({ process, class: c, shard }) {
  if (!process.general && choice.workload !== FOLLOW && choice.workload !== process.workload) {
    document.querySelector(`#workloads input[value="${CSS.escape(process.workload)}"]`)?.click();
  }
  const shown = cards.get(seriesOf(process))?.node;
  if (!shown || shown.hidden) return;
  if (shown.dataset.folded === "true") shown.querySelector(".fold").click();
  const cell = shown.querySelector(`[data-class="${CSS.escape(c)}"]${shard ? `[data-shard="${CSS.escape(shard)}"]` : ""}`);
  (cell ?? shown).scrollIntoView({ block: "center" });
  cell?.focus({ preventScroll: true });
}

/** A headline of three parts, the first in its series' colour. */
function say(series, second, third) {
  if (at("headline").childElementCount === 0) at("headline").replaceChildren(html("span"), html("b"), html("span"));
  const [who, where, what] = at("headline").children;
  attribute(who, "class", look(series).hue);
  text(who, series);
  text(where, second);
  text(what, third);
}

/** Where only programs run, what the largest of them holds. */
function inWords(process, worst, key) {
  const [held, facts] = programWords(process);
  at("injected").hidden = true;
  text(at("eyebrow"), process.then ? `Memory at ${clock(past.at)}` : process.live ? "Memory now" : "Memory, at its last");
  say(process.command, ": ", held);
  if (worst) facts.push(`${worst.process.command}, ${worst.hottest.name}: ${MEASURES[key].say(worst.hottest.value)}`);
  text(at("subline"), facts.filter(Boolean).join(" · "));
}

/** The storm in words: which design, where, how bad. */
function headline(worst, key) {
  const measure = MEASURES[key];
  const injected = worst?.process.injected;
  at("injected").hidden = !injected;
  if (injected) text(at("injected"), `delay injected: ${injection(injected)}`);
  if (!worst) {
    text(at("eyebrow"), "Hottest shard");
    text(at("headline"), "Calm: no shard shows any " + (key === "cas_failures_per_second" ? "CAS failure" : measure.name));
    text(at("subline"), "Pick another measure, or wait for threads to meet on a shard.");
    return;
  }
  const { process, hottest } = worst;
  text(at("eyebrow"), `Hottest shard${process.then ? ` at ${clock(past.at)}` : process.live ? " now" : ""}${process.workload ? `, ${process.workload}` : ""}`);
  say(seriesOf(process), ` at ${hottest.name}: `, measure.say(hottest.value));
  const r = process.rates;
  const parts = [
    r.failures_per_batch > 0 && `${digits(r.failures_per_batch)} failed CASes for each batch that it fetches`,
    r.walked_per_kept > 1 && `${digits(r.walked_per_kept)} blocks walked for each that it keeps`,
    r.lock_wait_ratio > 0 && `${duration(r.lock_wait_ratio)} waited for locks each second`,
    counted(r.ring_hit_ratio) && `${percent(r.ring_hit_ratio)} of allocations never get there`,
    counted(r.allocations_per_second) && `${si(r.allocations_per_second)} allocations/s in all`,
  ];
  text(at("subline"), parts.filter(Boolean).join(" · "));
}

function drawScale(key, top) {
  const drawn = `${key} ${top}`;
  if (drawn === drawnScale) return;
  drawnScale = drawn;
  const marks = ticks(key, top);
  at("ticks").replaceChildren(...marks.map(([place, words], i) => {
    const mark = html("span", { class: i % 2 ? "minor" : "" }, words);
    mark.style.left = `${place * 100}%`;
    return mark;
  }));
  text(at("unit"), MEASURES[key].unit + (MEASURES[key].log ? ", log scale" : ""));
  attribute(at("scale"), "aria-label", `Colour scale from ${marks[0][1]} to ${marks.at(-1)[1]} ${MEASURES[key].unit}, the same for all designs`);
}

function drawProgress() {
  const progress = live.report?.progress;
  const done = live.report && !progress;
  at("progress").hidden = !live.report;
  if (!live.report) return;
  attribute(at("progress-bar"), "max", progress ? progress.of : 1);
  at("progress-bar").value = progress ? progress.done : 1;
  at("progress").classList.toggle("done", done);
  text(at("progress-words"), done ? "benchmark finished" : `${progress.done} of ${progress.of}: ${progress.current}`);
}

function drawWorkloads() {
  const known = store.workloads();
  const box = at("workloads");
  box.hidden = known.length < 2;
  const seen = known.join("\n");
  if (box.dataset.seen !== seen) {
    box.dataset.seen = seen;
    segments(box, "workload", [[FOLLOW, "follow"], ...known.map((w) => [w, w])], choice.workload, (value) => (choice.workload = value));
  }
  // What "follow" has chosen is underlined, so that the cards never change workload in secret.
  const now = shownWorkload();
  for (const label of box.querySelectorAll("label")) {
    label.classList.toggle("followed", choice.workload === FOLLOW && now !== null && label.firstChild.value === now);
  }
}

/** Fills a fieldset with radio buttons that look like one segmented control. */
function segments(box, name, options, picked, pick) {
  for (const old of box.querySelectorAll("label")) old.remove();
  for (const [value, words] of options) {
    const input = html("input", { type: "radio", name, value });
    input.checked = value === picked;
    input.addEventListener("change", () => {
      pick(value);
      draw();
    });
    box.append(html("label", {}, input, html("span", {}, words)));
  }
}

function paintRamp() {
  // Steps rather than a gradient: the legend shows exactly the colours that cells can have.
  at("ramp").replaceChildren(...RAMP.map(({ fill }) => {
    const step = html("i");
    step.style.background = fill;
    return step;
  }));
}

function remember(theme) {
  try {
    if (theme === undefined) return localStorage.getItem(THEME);
    localStorage.setItem(THEME, theme);
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
  }
  return theme ?? null;
}

function listen() {
  segments(at("measures"), "measure", Object.entries(MEASURES).map(([key, m]) => [key, m.name]), choice.measure, (key) => (choice.measure = key));
  at("pause").addEventListener("click", pause);
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest("button, input, a, select, summary")) return;
    event.preventDefault();
    pause();
  });
  const root = document.documentElement;
  const chosen = remember();
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  at("theme").addEventListener("click", () => {
    const dark = (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
    root.dataset.theme = dark ? "light" : "dark";
    remember(root.dataset.theme);
  });
  document.addEventListener("visibilitychange", draw);
}

/** Whether frames come, and of what. */
function state(next) {
  connection = next;
  attribute(at("connection"), "data-state", next);
  text(at("connection"), next === "live" && past.recording ? "recording" : STATES[next]);
}

const STATES = { live: "live", reconnecting: "reconnecting", ended: "ended: the sidecar is gone" };

paintRamp();
listen();
// Before the first card is made: a name is a link only where there is something to lead to.
await about(at("about"));
again = connect({
  window: () => past.window() + 15000,
  onFrame(frame) {
    live.frame(frame);
    frames += 1;
    document.body.dataset.frames = frames;
    past.tick(frame.time);
    if (!past.away) draw();
  },
  onHistory(history) {
    live.history(history);
    if (!past.away) draw();
  },
  onState: state,
});
