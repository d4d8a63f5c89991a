// What the checks of grafana/ share: its dashboards, their expressions, the metric table.
'use strict';
const fs = require('node:fs');
const path = require('node:path');

/** Counts what passed, tells what failed, ends with the sum. */
class Runs {
  passed = 0;
  failed = 0;

  pass(what) {
    this.passed += 1;
    console.log(`ok: ${what}`);
  }

  fail(what) {
    this.failed += 1;
    console.log(`FAILED: ${what}`);
  }

  end(name) {
    console.log(`${name}: ${this.passed} passed, ${this.failed} failed`);
    process.exitCode = this.failed ? 1 : 0;
  }
}

/** Every dashboard that is committed. */
function dashboards(root) {
  const folder = path.join(root, 'grafana/dashboards');
  return fs.readdirSync(folder).sort().map((file) => ({ file, board: JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8')) }));
}

/** Every expression of a dashboard: of its panels and its annotations. `where` names it in lists and messages. */
function expressions({ file, board }) {
  const name = file.replace(/\.json$/, '');
  const panels = board.panels.flatMap((panel) => (panel.targets ?? []).map((target) => (
    { where: `${name} / ${panel.title} / ${target.refId}`, expr: target.expr, range: target.range })));
  const annotations = board.annotations.list.map((note) => ({ where: `${name} / annotation ${note.name}`, expr: note.expr, range: true }));
  return [...panels, ...annotations];
}

/** Names of our metrics in an expression; recorded ones are another thing. */
function metricsIn(expr) {
  return new Set([...expr.matchAll(/(?<![:\w-])stormglass_[a-z0-9_]+(?![:\w])/g)].map((match) => match[0]));
}

/** A list of `NAME | REASON` lines; # starts a comment. */
function reasons(file) {
  const lines = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n') : [];
  return new Map(lines.filter((line) => line && !line.startsWith('#')).map((line) => {
    const at = line.indexOf(' | ');
    if (at < 0) throw new Error(`${file}: no reason in "${line}"`);
    return [line.slice(0, at).trim(), line.slice(at + 3).trim()];
  }));
}

/** The metric table, by docs/METRICS.md; what is not shown; what is asked for and does not exist yet. */
function table(root) {
  const text = fs.readFileSync(path.join(root, 'docs/METRICS.md'), 'utf8');
  const kinds = new Map([...text.matchAll(/^\| `(stormglass_\w+)` \| (\w+) \|/gm)].map((match) => [match[1], match[2]]));
  return {
    names: new Set(kinds.keys()),
    notShown: reasons(path.join(root, 'grafana/tests/not-shown.txt')),
    awaited: new Set(reasons(path.join(root, 'grafana/tests/awaited.txt')).keys()),
    /** The metric that a series belongs to. */
    of(series) {
      if (kinds.has(series)) return series;
      const family = series.replace(/_(bucket|sum|count)$/, '');
      return kinds.get(family) === 'histogram' ? family : undefined;
    },
  };
}

module.exports = { Runs, dashboards, expressions, metricsIn, reasons, table };
