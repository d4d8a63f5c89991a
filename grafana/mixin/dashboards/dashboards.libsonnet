// All dashboards by the name of their file, and the links from a verdict to its evidence and to its runbook.
local board = import '../lib/dashboard.libsonnet';
local verdicts = import '../lib/verdicts.libsonnet';

{
  local config = $._config,
  local made(maker) = maker(config, verdicts),
  local runbook = made(import 'runbook.libsonnet'),
  local fleet = made(import 'fleet.libsonnet'),
  local contention = made(import 'contention.libsonnet'),

  // A verdict's series is named after it; each gets two links of its own.
  local linked(verdict) = {
    local at(where) = '/d/%s?viewPanel=panel-%d&${__url_time_range}' % [where.uid, board.idOf(where, verdict.panel)],
    local evidence = if verdict.id == 'watching_cost' then at(fleet) else at(contention) + '&${instance:queryparam}&${command:queryparam}&${strategy:queryparam}',
    matcher: { id: 'byRegexp', options: '/^%s /' % verdict.id },
    properties: [{ id: 'links', value: [
      { title: 'The evidence: ' + verdict.panel, url: evidence, targetBlank: false },
      { title: 'What it means and what to do', url: '/d/%s?viewPanel=panel-%d' % [runbook.uid, board.idOf(runbook, verdict.alert)], targetBlank: false },
    ] }],
  },
  local withLinks(panel) = if panel.title == 'Verdicts over time'
  then panel { fieldConfig+: { overrides+: [linked(verdict) for verdict in verdicts] } }
  else panel,

  grafanaDashboards+:: {
    'contention.json': contention { panels: std.map(withLinks, contention.panels) },
    'storm.json': made(import 'storm.libsonnet'),
    'allocator.json': made(import 'allocator.libsonnet'),
    'fleet.json': fleet,
    'runbook.json': runbook,
  },
}
