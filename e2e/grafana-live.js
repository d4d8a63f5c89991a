// Asks a real Prometheus every expression of every panel, variable, annotation and rule, over the time of a benchmark. Each
// must have a result, or be listed with the reason in grafana/tests/no-result.txt; one that is listed and has a result is an
// error too, unless the list says "sometimes". Usage: node grafana-live.js REPOSITORY PROMETHEUS SECONDS
'use strict';
const path = require('node:path');
const fs = require('node:fs');
const { Runs, dashboards, expressions, metricsIn, table } = require('./grafana.js');

const [root, prometheus, seconds] = process.argv.slice(2);
const runs = new Runs();
const metrics = table(root);
const end = Date.now() / 1000;
const start = end - Number(seconds);
// What Grafana makes of a scrape interval of 5 s.
const interval = '20s';

async function ask(api, parameters) {
  const answer = await fetch(`${prometheus}/api/v1/${api}?${new URLSearchParams(parameters)}`);
  const body = await answer.json();
  if (body.status !== 'success') throw new Error(`${body.errorType}: ${body.error}`);
  return body.data;
}

/** As Grafana fills in its own variables, with everything chosen. */
const filled = (expr) => expr
  .replaceAll('$__rate_interval', interval).replaceAll('$__range', `${seconds}s`).replaceAll('$__interval', '5s')
  .replace(/\$(instance|command|strategy|class)\b/g, '.*');

/** Whether there is a number at any time of the test. Panels that show one moment are asked over all of it, too. */
async function hasResult(expr) {
  const { result } = await ask('query_range', { query: filled(expr), start, end, step: 5 });
  return result.some((series) => series.values.some(([, value]) => value !== 'NaN'));
}

async function countersHere() {
  return hasResult('stormglass_perf_state{event="cycles",state=~"counting|scaled"} == 1');
}

function listed() {
  const lines = fs.readFileSync(path.join(root, 'grafana/tests/no-result.txt'), 'utf8').split('\n');
  return new Map(lines.filter((line) => line && !line.startsWith('#')).map((line) => {
    const [where, when, reason] = line.split(' | ');
    if (!reason || !['always', 'sometimes', 'without counters'].includes(when)) throw new Error(`no-result.txt: "${line}" is not WHERE | WHEN | REASON`);
    return [where, { when, reason }];
  }));
}

async function check(where, expr, expected) {
  let found;
  try {
    found = await hasResult(expr);
  } catch (error) {
    runs.fail(`${where}: ${error.message}\n    ${filled(expr)}`);
    return;
  }
  const waits = waitsFor(expr);
  const excuse = expected.get(where);
  if (excuse) excuse.used = true;
  if (found && (excuse?.when === 'always' || (excuse?.when === 'without counters' && !counters))) {
    runs.fail(`${where} has a result, and grafana/tests/no-result.txt lists it as having none`);
  } else if (!found && !excuse && !waits) {
    runs.fail(`${where} has no result:\n    ${filled(expr)}`);
  } else if (!found && excuse?.when === 'without counters' && counters) {
    runs.fail(`${where} has no result, though this machine counts hardware events`);
  } else {
    runs.pass(found ? where : `${where}: nothing, because of ${excuse?.reason ?? waits}`);
  }
}

/** The metric that an expression waits for, by itself or through a recorded series. */
function waitsFor(expr) {
  const names = [...metricsIn(expr), ...[...expr.matchAll(/\b[a-z_]+:stormglass_[\w:]+/g)].flatMap(([name]) => [...(sources.get(name) ?? [])])];
  return names.find((name) => metrics.awaited.has(name));
}

let counters;
/** What each recorded series is made from. */
const sources = new Map();
async function all() {
  const rules = (await ask('rules', {})).groups.flatMap((group) => group.rules);
  for (const rule of rules) if (rule.type === 'recording') sources.set(rule.name, metricsIn(rule.query));
  counters = await countersHere();
  console.log(counters ? 'this machine counts hardware events' : 'this machine counts no hardware events, or nobody asks it');
  const expected = listed();
  for (const item of dashboards(root)) {
    for (const { where, expr } of expressions(item)) await check(where, expr, expected);
    for (const variable of item.board.templating.list.filter((v) => v.type === 'query')) {
      const where = `${item.file} / variable ${variable.name}`;
      const [, match, label] = /^label_values\((.*), (\w+)\)$/.exec(variable.query.query) ?? [];
      if (!match) runs.fail(`${where}: not of the form label_values(SERIES, LABEL)`);
      else if ((await ask(`label/${label}/values`, { 'match[]': filled(match), start, end })).length === 0) runs.fail(`${where}: no values`);
      else runs.pass(where);
    }
  }
  for (const rule of rules) {
    if (rule.health !== 'ok') runs.fail(`rule ${rule.name}: ${rule.health}: ${rule.lastError}`);
    // A recorded series is asked for as the dashboards do; of an alert, the value before its bound.
    if (rule.type === 'recording') {
      await check(`rule ${rule.name}`, rule.name, expected);
      continue;
    }
    const bound = / (==|>|<) [\d.]+$/.exec(rule.query);
    if (!bound) runs.fail(`alert ${rule.name} does not end in a bound: ${rule.query}`);
    else await check(`alert ${rule.name}`, rule.query.slice(0, bound.index), expected);
  }
  for (const [where, { used }] of expected) if (!used) runs.fail(`grafana/tests/no-result.txt lists "${where}", which is nowhere`);
}

all().then(() => runs.end('grafana-live'), (error) => {
  console.error(error);
  process.exitCode = 1;
});
