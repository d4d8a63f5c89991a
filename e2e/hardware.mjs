// The words of the panel of processor and kernel counters, without a browser. Usage: node hardware.mjs
import assert from 'node:assert';

// What dom.js makes at its start; nothing here looks at it.
globalThis.document = { createElement: () => ({ setAttribute() {}, append() {} }) };
const { hardwareLines } = await import('../dashboard/page/hardware.js');

const absent = (event, state, message) => ({ event, state, message, total: null, per_second: null, running: null });
const counted = (event, rate, more = {}) => ({ event, state: 'counting', message: '', total: 9, per_second: rate, running: 1, ...more });
const rates = { cas_failures_per_second: 1.2e6, wasted_walk_per_second: 3e6, slow_path_nanoseconds_per_batch: 850 };
const words = (process) => hardwareLines({ rates, perf: null, inside: null, ...process }).map(([, line]) => line.replace(/\s/g, ' '));
const perf = (events) => ({ perf: { events, missed_threads: 0 } });

assert.deepStrictEqual(words({}), [], 'nobody asked');

const none = 'this machine has no PMU';
const lines = words(perf([absent('cycles', 'unsupported', none), absent('cache_misses', 'unsupported', none), counted('page_faults', 0)]));
assert.deepStrictEqual(lines.slice(0, 2), ['page faults 0/s', `Cycles and cache misses: not available here: ${none}`]);
assert(lines[2].startsWith('Standing in for cache misses: 1.20 M CAS failures/s, '), lines[2]);
assert(!lines.some((line) => /cycles \d/.test(line)), 'no number for what is not counted');

const setting = 'kernel.perf_event_paranoid is 2';
assert.deepStrictEqual(words(perf([absent('context_switches', 'forbidden', setting)]))[0], `Context switches: forbidden here: ${setting}`);

const all = words(perf([
  counted('cycles', 4e9), counted('instructions', 2e9), counted('cache_misses', 1e6, { state: 'scaled', running: 0.45 }),
]));
assert(all.includes('cache misses 1.00 M/s, counted 45 % of the time and scaled'), all.join('\n'));
assert(all.includes('0.500 instructions a cycle and 0.500 cache misses per 1000 instructions'), all.join('\n'));
assert(!all.some((line) => line.startsWith('Standing in')), 'what is counted needs nothing in its place');

const cost = { samples: 5, cycles: 900, cache_misses: 31, instructions: null };
const inside = words({ inside: { ...cost, shards: [{ class: 0, shard: 1, ...cost }] }, classes: ['8192'], shards: ['0', '1'] });
assert.deepStrictEqual(inside, [
  'a slow path costs 31.0 cache misses and 900 cycles (mean of 5 samples)', 'class 8 KiB, shard 1: 31.0 cache misses and 900 cycles',
]);

assert.strictEqual(words(perf([counted('task_clock', null, { total: 1.5e9 })]))[0], 'time on processors 1.50 s in all', 'one that has ended');
console.log('the counters in words: passed');
