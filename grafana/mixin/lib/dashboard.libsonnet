// A dashboard from rows of panels: numbers them, lays them out from left to right, and gives it the variables, the
// annotations and the links that all of ours share.
local datasource = { type: 'prometheus', uid: '${datasource}' };

local variable(name, label, query, description) = {
  name: name,
  label: label,
  description: description,
  type: 'query',
  datasource: datasource,
  query: { query: query, refId: name },
  refresh: 2,
  sort: 7,
  includeAll: true,
  multi: true,
  allValue: '.*',
  current: { text: 'All', value: '$__all' },
};

local annotation(name, colour, expression, title, text) = {
  name: name,
  datasource: datasource,
  enable: true,
  hide: false,
  iconColor: colour,
  expr: expression,
  step: '15s',
  titleFormat: title,
  textFormat: text,
  useValueForTime: false,
};

// From left to right, a new line where a panel does not fit. Gives the panels with places, and the height of all.
local place(panels, top) = std.foldl(
  function(at, panel)
    local wraps = at.x + panel.gridPos.w > 24;
    local x = if wraps then 0 else at.x;
    local y = if wraps then at.bottom else at.y;
    {
      panels: at.panels + [panel { gridPos+: { x: x, y: y } }],
      x: x + panel.gridPos.w,
      y: y,
      bottom: std.max(at.bottom, y + panel.gridPos.h),
    },
  panels,
  { panels: [], x: 0, y: top, bottom: top },
);

{
  row(title, panels):: { title: title, panels: panels },

  variables: {
    instance: variable('instance', 'Instance', 'label_values(stormglass_up, instance)', 'The sidecar that was scraped.'),
    command: variable('command', 'Command', 'label_values(stormglass_up{instance=~"$instance"}, command)', 'The program, by the name of its command.'),
    strategy: variable('strategy', 'Design', 'label_values(stormglass_up{instance=~"$instance",command=~"$command"}, strategy)', 'The design of its mid pool.'),
    class: variable('class', 'Class', 'label_values(stormglass_ring_hits_total{instance=~"$instance",command=~"$command",strategy=~"$strategy"}, class)', 'Block size in bytes.'),
  },

  dashboard(config, uid, title, description, rows, variables=[]):: {
    local laid = std.foldl(
      function(at, row)
        local placed = place(row.panels, at.top + 1);
        {
          panels: at.panels + [{ type: 'row', title: row.title, collapsed: false, panels: [], gridPos: { h: 1, w: 24, x: 0, y: at.top } }] + placed.panels,
          top: placed.bottom,
        },
      rows,
      { panels: [], top: 0 },
    ),
    uid: uid,
    title: title,
    description: description,
    tags: config.dashboardTags,
    schemaVersion: 42,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: config.dashboardRefresh,
    time: { from: 'now-15m', to: 'now' },
    timepicker: {},
    timezone: 'browser',
    fiscalYearStartMonth: 0,
    preload: false,
    annotations: { list: if variables == [] then [] else [
      annotation(
        'A design starts',
        'blue',
        'max by (command, strategy, workload) (stormglass_up{instance=~"$instance",command=~"$command",strategy=~"$strategy"} == 1 unless stormglass_up{instance=~"$instance",command=~"$command",strategy=~"$strategy"} offset 15s == 1)',
        '{{strategy}} starts',
        '{{command}} {{workload}}'
      ),
      annotation(
        'A verdict turns on',
        'red',
        'max by (command, strategy, verdict) (stormglass_verdict_active{instance=~"$instance",command=~"$command",strategy=~"$strategy"} == 1 unless stormglass_verdict_active{instance=~"$instance",command=~"$command",strategy=~"$strategy"} offset 15s == 1)',
        '{{verdict}}',
        '{{command}} under {{strategy}}'
      ),
    ] },
    links: [{
      asDropdown: false,
      icon: 'external link',
      includeVars: true,
      keepTime: true,
      tags: config.dashboardTags,
      targetBlank: false,
      title: 'stormglass',
      tooltip: 'The other views, with the same choice and time',
      type: 'dashboards',
    }],
    templating: { list: if variables == [] then [] else [{
      name: 'datasource',
      label: 'Data source',
      description: 'The Prometheus that scrapes the sidecars.',
      type: 'datasource',
      query: 'prometheus',
      refresh: 1,
      includeAll: false,
      multi: false,
      // No current choice: Grafana takes its default Prometheus.
    }] + variables },
    panels: std.mapWithIndex(function(i, panel) { id: i + 1 } + panel, laid.panels),
  },

  // The id of a panel, for a link to it. An error where there is none: no link leads nowhere.
  idOf(dashboard, title)::
    local found = [panel.id for panel in dashboard.panels if panel.title == title];
    if std.length(found) == 1 then found[0] else error '%s has %d panels named "%s"' % [dashboard.title, std.length(found), title],
}
