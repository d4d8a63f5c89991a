// What the page knows: the latest process of each design and workload, one of each program, and the points of the time lines.
//
// Invariants: a design that was seen stays, also after its process and its segment are gone; points are kept for as long as the
// time lines show and a little more, whatever the number of processes.

import { rank, seriesOf } from "./designs.js";
import { gather } from "./verdicts.js";

/** Milliseconds that the time lines show. */
export const WINDOW = 60000;
/** How far past the last point the time lines scroll before they stop. */
const LINGER = 1500;
/** Milliseconds of points that are kept beyond what is shown. */
const SPARE = 15000;
/** Points of a line that are enough, however long it is. */
const ENOUGH = 600;

const newer = (a, b) => (a.live !== b.live ? a.live : a.age_seconds !== b.age_seconds ? a.age_seconds < b.age_seconds : a.created > b.created);

/** Of the processes of one program, the one to show: the one that was shown, as long as it lives, else the largest that lives. */
function spokesman(processes, shown) {
  const living = processes.filter((p) => p.live);
  const size = (p) => p.mapped_bytes ?? 0;
  const stays = living.find((p) => p.id === shown?.id);
  const one = stays ?? (living.length > 0 ? living : processes).reduce((a, b) => (living.length > 0 ? size(b) > size(a) : newer(b, a)) ? b : a);
  return { ...one, others: Math.max(0, living.length - 1) };
}

export class Store {
  #keep;
  /** Least distance of two points; 0 takes every frame. */
  #spacing = 0;
  /** By strategy and workload, or by program: { process, seen } where seen is the time of the last frame that held it. */
  #latest = new Map();
  /** By process id: { series, program, workload, injected, points: [[time, ...], ...] }. */
  #runs = new Map();
  /** Time of the last frame, shown or not. */
  #clock = 0;
  time = 0;
  lastPoint = 0;
  anyLive = false;
  /** Whether a design is on trial now. */
  racing = false;
  leftOut = 0;
  seriesLeftOut = 0;
  /** What is wrong, and what was in the last minute. */
  verdicts = [];
  report = null;

  /** Keeps points for so many milliseconds and a little more. */
  constructor(window = WINDOW) {
    this.#keep = window + SPARE;
  }

  /** As it is now, for ever. */
  copy() {
    const copy = new Store(Infinity);
    copy.#latest = new Map(this.#latest);
    copy.#runs = new Map([...this.#runs].map(([id, run]) => [id, { ...run, points: [...run.points] }]));
    const { time, lastPoint, anyLive, racing, leftOut, report, verdicts } = this;
    return Object.assign(copy, { time, lastPoint, anyLive, racing, leftOut, report, verdicts });
  }

  /** Keeps points for another length of time from now on; a long one has fewer a second. What lies further back has to be asked
      for. */
  zoom(window) {
    this.#keep = window + SPARE;
    this.#spacing = window > WINDOW ? window / ENOUGH : 0;
    for (const run of this.#runs.values()) run.points = [];
  }

  /** Takes the points of a frame in. */
  points(frame) {
    // A sidecar's time never runs back. Another one, started after the clock was set back, begins before this page's past ends.
    if (frame.time < this.#clock) this.#setBack(frame.time);
    this.#clock = frame.time;
    for (const process of frame.processes) if (process.live) this.#point(process, frame.time);
    this.#forget();
  }

  /** Takes a frame in. */
  frame(frame) {
    this.time = frame.time;
    this.report = frame.results ?? this.report;
    this.leftOut = frame.left_out ?? 0;
    this.seriesLeftOut = frame.series_left_out ?? 0;
    this.verdicts = gather(frame);
    this.anyLive = frame.processes.some((process) => process.live);
    this.racing = frame.processes.some((process) => process.live && !process.general);
    this.points(frame);
    const [best, programs] = [new Map(), new Map()];
    for (const process of frame.processes) {
      if (process.general) {
        programs.set(process.command, [...(programs.get(process.command) ?? []), process]);
        continue;
      }
      const key = `${process.strategy}\n${process.workload}`;
      const known = best.get(key);
      if (!known || newer(process, known)) best.set(key, process);
    }
    for (const [command, processes] of programs) {
      const key = `program\n${command}`;
      best.set(key, spokesman(processes, this.#latest.get(key)?.process));
    }
    for (const [key, process] of best) this.#latest.set(key, { process, seen: frame.time });
  }

  /** Forgets what lies after this moment: it was measured by a clock that nobody goes by any more. */
  #setBack(time) {
    this.lastPoint = 0;
    for (const run of this.#runs.values()) {
      run.points = run.points.filter((p) => p[0] < time);
      this.lastPoint = Math.max(this.lastPoint, run.points.at(-1)?.[0] ?? 0);
    }
    for (const known of this.#latest.values()) known.seen = Math.min(known.seen, time);
  }

  #point(process, time) {
    const run = this.#run(process.id, process);
    const r = process.rates;
    const last = run.points.at(-1);
    if (last && time <= last[0] + this.#spacing) return;
    const memory = process.general ? [process.live_bytes, process.mapped_bytes, process.resident_bytes] : [null, null, null];
    run.points.push([time, r.allocations_per_second, r.cas_failures_per_second, r.ring_hit_ratio, r.lock_wait_ratio, ...memory]);
    this.lastPoint = Math.max(this.lastPoint, time);
  }

  #run(id, process) {
    let run = this.#runs.get(id);
    const { workload, injected } = process;
    if (!run) this.#runs.set(id, (run = { series: seriesOf(process), program: Boolean(process.general), workload, injected, points: [] }));
    return run;
  }

  /** Takes the sidecar's history in; what frames have brought since stays behind it. */
  history(history) {
    for (const [id, points] of Object.entries(history.points ?? {})) {
      const process = history.processes?.[id];
      if (!process || points.length === 0) continue;
      const run = this.#run(id, process);
      const until = points.at(-1)[0];
      run.points = [...points, ...run.points.filter((p) => p[0] > until)];
      this.lastPoint = Math.max(this.lastPoint, run.points.at(-1)[0]);
    }
    this.#forget();
  }

  #forget() {
    const before = this.lastPoint - this.#keep;
    for (const [id, run] of this.#runs) {
      let old = 0;
      while (old < run.points.length && run.points[old][0] < before) old += 1;
      if (old > 0) run.points.splice(0, old);
      if (run.points.length === 0) this.#runs.delete(id);
    }
  }

  /** Workloads seen, oldest process first. */
  workloads() {
    const first = new Map();
    for (const { process } of this.#latest.values()) {
      if (!process.general) first.set(process.workload, Math.min(process.created, first.get(process.workload) ?? Infinity));
    }
    return [...first].sort((a, b) => a[1] - b[1]).map(([workload]) => workload);
  }

  /** The workload that stormed most: that of the highest rate of CAS failures or, failing that, of lock wait. */
  stormiest() {
    const storm = (p) => [p.rates.cas_failures_per_second ?? 0, p.rates.lock_wait_ratio ?? 0];
    let top = null;
    for (const { process } of this.#latest.values()) {
      if (process.general) continue;
      const [a, b] = [storm(process), top ? storm(top) : [-1, -1]];
      if (a[0] > b[0] || (a[0] === b[0] && a[1] > b[1])) top = process;
    }
    return top?.workload ?? null;
  }

  /** One process a design, of one workload or of whichever ran last (null), and one a program; in the page's order. */
  cards(workload) {
    const best = new Map();
    for (const { process, seen } of this.#latest.values()) {
      if (!process.general && workload !== null && process.workload !== workload) continue;
      // One that is gone from the frames is dead, and as old as its last sign of life.
      const gone = seen < this.time;
      const now = gone ? { ...process, live: false, age_seconds: process.age_seconds + (this.time - seen) / 1000 } : process;
      const known = best.get(seriesOf(now));
      if (!known || newer(now, known)) best.set(seriesOf(now), now);
    }
    return [...best.values()].sort((a, b) => rank(seriesOf(a)) - rank(seriesOf(b)));
  }

  /** The runs with points, oldest first. */
  runs() {
    return [...this.#runs.values()].sort((a, b) => a.points[0][0] - b.points[0][0]);
  }

  /** Right edge of the time lines; it stops a little behind the last point, so that they never scroll to emptiness. */
  edge() {
    const end = Math.min(this.time || this.lastPoint, this.lastPoint + LINGER);
    return { end, frozen: !this.anyLive && this.time > end };
  }
}
