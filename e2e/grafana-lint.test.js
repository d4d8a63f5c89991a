// Damages a copy of what grafana-lint.js reads, once for each of its rules, and expects it to say so: no rule that cannot
// fail. Usage: node grafana-lint.test.js REPOSITORY
'use strict';
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Runs } = require('./grafana.js');

const root = process.argv[2];
const runs = new Runs();
const lint = path.join(__dirname, 'grafana-lint.js');

const board = (change) => (copy) => {
  const file = path.join(copy, 'grafana/dashboards/contention.json');
  const json = JSON.parse(fs.readFileSync(file, 'utf8'));
  change(json, json.panels.find((panel) => panel.type === 'timeseries'));
  fs.writeFileSync(file, JSON.stringify(json));
};
const text = (name, from, to) => (copy) => {
  const file = path.join(copy, name);
  const before = fs.readFileSync(file, 'utf8');
  const after = before.replace(from, to);
  if (after === before) throw new Error(`${name} has no ${from}`);
  fs.writeFileSync(file, after);
};

const damages = [
  ['given twice', board((b, p) => { p.id = 1; })],
  ['two panels of this title', board((b, p) => { p.title = 'Living processes'; })],
  ['outside of the grid', board((b, p) => { p.gridPos.x = 20; })],
  ['overlaps', board((b, p) => { p.gridPos.y -= 1; })],
  ['no unit', board((b, p) => { delete p.fieldConfig.defaults.unit; })],
  ['no thresholds', board((b, p) => { p.fieldConfig.defaults.thresholds.steps = []; })],
  ['what an empty panel means', board((b, p) => { p.fieldConfig.defaults.noValue = ''; })],
  ['what good looks like', board((b, p) => { p.description = 'Lines.'; })],
  ['not the variable', board((b, p) => { p.datasource.uid = 'prometheus'; })],
  ['a query names a data source', board((b, p) => { p.targets[0].datasource.uid = 'prometheus'; })],
  ['two queries A', board((b, p) => { p.targets.push(p.targets[0]); })],
  ['a fixed window', board((b, p) => { p.targets[0].expr = 'rate(stormglass_forks_total[5m])'; })],
  ['is no variable', board((b, p) => { p.targets[0].expr = 'stormglass_up{host=~"$host"}'; })],
  ['is not used', board((b) => { b.templating.list.push({ name: 'idle' }); })],
  ['leads nowhere', board((b, p) => { p.links = [{ url: '/d/stormglass-fleet?viewPanel=panel-999' }]; })],
  ['two dashboards have one uid', board((b) => { b.uid = 'stormglass-storm'; })],
  ['not in docs/METRICS.md', board((b, p) => { p.targets[0].expr = 'stormglass_storms_total'; })],
  ['which no rule records', board((b, p) => { p.targets[0].expr = 'process:stormglass_storms:rate'; })],
  ['is shown nowhere', text('docs/METRICS.md', '| `stormglass_up` |', '| `stormglass_new_total` | counter |  | events | New. |\n| `stormglass_up` |')],
  ['listed as not shown', text('grafana/tests/not-shown.txt', /$/, 'stormglass_up | because\n')],
  ['which is no metric', text('grafana/tests/not-shown.txt', /$/, 'stormglass_gone | because\n')],
  ['by now: take it from there', text('grafana/tests/awaited.txt', /$/, 'stormglass_up | soon\n')],
  ['has no section StormglassLockConvoy', text('docs/RUNBOOK.md', '## StormglassLockConvoy', '## Convoys')],
  ['which is no alert', text('docs/RUNBOOK.md', /$/, '\n## StormglassNothing\n')],
  ['no test in grafana/tests fires StormglassKernelRefuses', text('grafana/tests/operation.test.yml', /StormglassKernelRefuses/g, 'X')],
  ['docs/VERDICTS.md has no section lock_convoy', text('docs/VERDICTS.md', '## lock_convoy', '## convoy')],
];

for (const [words, damage] of damages) {
  const copy = fs.mkdtempSync(path.join(os.tmpdir(), 'stormglass-lint-'));
  for (const name of ['grafana', 'docs']) fs.cpSync(path.join(root, name), path.join(copy, name), { recursive: true });
  damage(copy);
  const { status, stdout } = spawnSync(process.execPath, [lint, copy], { encoding: 'utf8' });
  if (status === 1 && stdout.split('\n').some((line) => line.startsWith('FAILED') && line.includes(words))) runs.pass(words);
  else runs.fail(`the lint does not say "${words}":\n${stdout}`);
  fs.rmSync(copy, { recursive: true });
}
runs.end('grafana-lint.test');
