// Rules of our own for what grafana/ holds, without Grafana or a network: what a panel must have, that every metric that
// is named exists, that every metric of the table is shown or is listed with a reason, that links and anchors lead
// somewhere, that provisioning agrees with docker-compose.yml.
// Usage: node grafana-lint.js REPOSITORY
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { Runs, dashboards, expressions, metricsIn, table } = require('./grafana.js');

const root = process.argv[2];
const read = (name) => fs.readFileSync(path.join(root, name), 'utf8');
const runs = new Runs();
const boards = dashboards(root);
const metrics = table(root);

for (const { file, board } of boards) {
  const say = (panel, what) => runs.fail(`${file}: ${panel ? `"${panel.title}": ` : ''}${what}`);
  const ids = new Set();
  const titles = new Set();
  for (const panel of board.panels) {
    if (ids.has(panel.id)) say(panel, `the id ${panel.id} is given twice`);
    ids.add(panel.id);
    if (!panel.title) say(panel, 'no title');
    if (titles.has(panel.title)) say(panel, 'two panels of this title: links cannot tell them apart');
    titles.add(panel.title);
    const { x, y, w, h } = panel.gridPos;
    if (x < 0 || x + w > 24 || w <= 0 || h <= 0) say(panel, 'lies outside of the grid');
    for (const other of board.panels) {
      const o = other.gridPos;
      if (other.id > panel.id && x < o.x + o.w && o.x < x + w && y < o.y + o.h && o.y < y + h) say(panel, `overlaps "${other.title}"`);
    }
    if (panel.type === 'row') continue;
    if (panel.type === 'text') {
      if (!panel.options.content.trim()) say(panel, 'no text');
      continue;
    }
    const defaults = panel.fieldConfig.defaults;
    if (!defaults.unit) say(panel, 'no unit');
    if (!defaults.thresholds?.steps?.length) say(panel, 'no thresholds');
    if (!defaults.noValue) say(panel, 'does not say what an empty panel means');
    if (!/\bGood: /.test(panel.description ?? '')) say(panel, 'the description does not say what good looks like');
    if (panel.datasource?.uid !== '${datasource}') say(panel, `the data source is ${JSON.stringify(panel.datasource)}, not the variable`);
    const refs = new Set();
    for (const target of panel.targets) {
      if (refs.has(target.refId)) say(panel, `two queries ${target.refId}`);
      refs.add(target.refId);
      if (target.datasource.uid !== '${datasource}') say(panel, 'a query names a data source');
      if (/"[^"]*\$__interval/.test(target.expr) || /\[\d+[smhd]\]/.test(target.expr)) say(panel, 'a fixed window where $__rate_interval belongs');
      if (/\brate\([^)]*_(bytes|threads|up)\{/.test(target.expr)) say(panel, 'a rate of a gauge');
    }
  }
  const variables = new Set(board.templating.list.map((variable) => variable.name));
  for (const used of JSON.stringify(board.panels).matchAll(/=~\\"\$(\w+)\\"/g)) {
    if (!variables.has(used[1])) say(null, `$${used[1]} is used and is no variable`);
  }
  for (const variable of variables) {
    const uses = JSON.stringify([board.panels, board.annotations, board.templating]).split(`$${variable}`).length + JSON.stringify(board).split(`\${${variable}}`).length;
    if (uses < 3) say(null, `the variable ${variable} is not used`);
  }
  for (const [, uid, id] of JSON.stringify(board).matchAll(/"\/d\/([\w-]+)\?viewPanel=panel-(\d+)/g)) {
    const target = boards.find((other) => other.board.uid === uid);
    if (!target?.board.panels.some((panel) => panel.id === Number(id))) say(null, `a link to /d/${uid} panel ${id} leads nowhere`);
  }
  runs.pass(`${file}: ${board.panels.length} panels`);
}
const uids = boards.map(({ board }) => board.uid);
if (new Set(uids).size !== uids.length) runs.fail(`two dashboards have one uid: ${uids}`);

// Names in queries, against the table, both ways.
const rules = read('grafana/rules/recording.rules.yml') + read('grafana/rules/alerts.rules.yml');
const recorded = new Set([...rules.matchAll(/"record": "([^"]+)"/g)].map((match) => match[1]));
const shown = new Set();
for (const { where, expr } of [...boards.flatMap(expressions), { where: 'grafana/rules', expr: rules }]) {
  for (const name of metricsIn(expr)) {
    const metric = metrics.of(name);
    if (metric) shown.add(metric);
    else if (!metrics.awaited.has(name)) runs.fail(`${where} asks for ${name}, which is not in docs/METRICS.md`);
  }
  for (const [name] of expr.matchAll(/\b[a-z_]+:stormglass_[a-z_:0-9]+/g)) {
    if (!recorded.has(name)) runs.fail(`${where} asks for ${name}, which no rule records`);
  }
}
for (const name of metrics.names) {
  const reason = metrics.notShown.get(name);
  if (!shown.has(name) && !reason) runs.fail(`${name} is shown nowhere: show it, or list it in grafana/tests/not-shown.txt with the reason`);
  if (shown.has(name) && reason) runs.fail(`${name} is shown, and is listed as not shown: take it from grafana/tests/not-shown.txt`);
}
for (const name of metrics.notShown.keys()) {
  if (!metrics.names.has(name)) runs.fail(`grafana/tests/not-shown.txt lists ${name}, which is no metric`);
}
for (const name of metrics.awaited) {
  if (metrics.of(name)) runs.fail(`grafana/tests/awaited.txt lists ${name}, which is in docs/METRICS.md by now: take it from there`);
}
runs.pass(`${shown.size} of ${metrics.names.size} metrics are shown, ${metrics.notShown.size} are listed as not shown`);

// Alerts lead to a section of the runbook, and every section is about an alert.
const alerts = [...rules.matchAll(/"alert": "([^"]+)"/g)].map((match) => match[1]);
const sections = [...read('docs/RUNBOOK.md').matchAll(/^## (\w+)$/gm)].map((match) => match[1]);
for (const alert of alerts) if (!sections.includes(alert)) runs.fail(`docs/RUNBOOK.md has no section ${alert}`);
for (const section of sections) if (!alerts.includes(section)) runs.fail(`docs/RUNBOOK.md has a section ${section}, which is no alert`);
for (const [, anchor] of rules.matchAll(/docs\/RUNBOOK\.md#([^"]+)/g)) {
  if (!sections.some((section) => section.toLowerCase() === anchor)) runs.fail(`no section of docs/RUNBOOK.md has the anchor ${anchor}`);
}
const tests = fs.readdirSync(path.join(root, 'grafana/tests')).filter((name) => name.endsWith('.test.yml')).map((name) => read(`grafana/tests/${name}`)).join('');
for (const alert of alerts) if (!tests.includes(alert)) runs.fail(`no test in grafana/tests fires ${alert}`);
if (fs.existsSync(path.join(root, 'docs/VERDICTS.md'))) {
  const verdicts = read('docs/VERDICTS.md');
  for (const [, anchor] of rules.matchAll(/docs\/VERDICTS\.md#([^"]+)/g)) {
    if (!new RegExp(`^## \`?${anchor}\`?`, 'm').test(verdicts)) runs.fail(`docs/VERDICTS.md has no section ${anchor}`);
  }
}
runs.pass(`${alerts.length} alerts have a section in the runbook and a test`);
runs.end('grafana-lint');
