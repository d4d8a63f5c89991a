// Panels of the current schema, each with all that ours must have: a unit, a description, thresholds, what it says
// when there is nothing to show. A panel that lacks one of them cannot be written with these functions.
local datasource = { type: 'prometheus', uid: '${datasource}' };

// steps(['green', 0.1, 'yellow', 1, 'red']): a colour, then pairs of a bound and the colour from it on.
local steps(list) = {
  mode: 'absolute',
  steps: [{ color: list[0], value: null }] + [
    { color: list[2 * i + 2], value: list[2 * i + 1] }
    for i in std.range(0, (std.length(list) - 1) / 2 - 1)
  ],
};

// queries([[legend, expression], …]) or with a third part that is merged into the query.
local queries(list) = std.mapWithIndex(function(i, query) {
  refId: std.char(std.codepoint('A') + i),
  datasource: datasource,
  expr: query[1],
  legendFormat: query[0],
  editorMode: 'code',
  range: true,
} + (if std.length(query) > 2 then query[2] else {}), list);

local instant = { range: false, instant: true };
local table = instant { format: 'table' };

local panel(type, title, description, unit, thresholds, none, targets, options, custom, width=12, height=8) = {
  type: type,
  title: title,
  description: description,
  datasource: datasource,
  gridPos: { h: height, w: width, x: 0, y: 0 },
  targets: queries(targets),
  options: options,
  fieldConfig: {
    defaults: {
      unit: unit,
      thresholds: steps(thresholds),
      color: { mode: 'thresholds' },
      noValue: none,
      custom: custom,
    },
    overrides: [],
  },
};

local tooltip = { mode: 'multi', sort: 'desc' };
local reduce = { calcs: ['lastNotNull'], fields: '', values: false };

{
  instant: instant,

  // Lines over time. Thresholds are drawn as dashed lines, where there is one to cross.
  timeseries(title, description, unit, targets, thresholds=['green'], none='No such events in this time', width=12, height=8)::
    panel('timeseries', title, description, unit, thresholds, none, targets, {
      legend: { calcs: ['mean', 'max', 'lastNotNull'], displayMode: 'table', placement: 'bottom', showLegend: true, sortBy: 'Max', sortDesc: true },
      tooltip: tooltip,
    }, {
      drawStyle: 'line',
      lineWidth: 1,
      fillOpacity: 10,
      showPoints: 'never',
      spanNulls: false,
      axisPlacement: 'auto',
      stacking: { group: 'A', mode: 'none' },
      thresholdsStyle: { mode: if std.length(thresholds) > 1 then 'dashed' else 'off' },
    }, width, height) + { fieldConfig+: { defaults+: { color: { mode: 'palette-classic' }, min: 0 } } },

  // One number.
  stat(title, description, unit, expression, thresholds, none, width=4, height=4, legend='', name=false)::
    panel('stat', title, description, unit, thresholds, none, [[legend, expression, instant]], {
      colorMode: 'value',
      graphMode: 'none',
      justifyMode: 'auto',
      orientation: 'auto',
      percentChangeColorMode: 'standard',
      reduceOptions: reduce,
      showPercentChange: false,
      textMode: if name then 'value_and_name' else 'auto',
      wideLayout: true,
    }, {}, width, height),

  // Buckets of a histogram over time, the count of events as the colour.
  depth(title, description, unit, expression, none, width=12, height=8)::
    panel('heatmap', title, description, unit, ['green'], none, [['{{le}}', expression, { format: 'heatmap' }]], {
      calculate: false,
      cellGap: 1,
      color: { exponent: 0.5, fill: 'dark-orange', mode: 'scheme', reverse: false, scale: 'exponential', scheme: 'Oranges', steps: 64 },
      exemplars: { color: 'rgba(255,0,255,0.7)' },
      filterValues: { le: 1e-9 },
      legend: { show: true },
      rowsFrame: { layout: 'auto' },
      showValue: 'never',
      tooltip: { mode: 'single', yHistogram: true, showColorScale: true },
      yAxis: { axisPlacement: 'left', reverse: false, unit: unit },
    }, { hideFrom: { legend: false, tooltip: false, viz: false }, scaleDistribution: { type: 'linear' } }, width, height),

  // A grid of classes and shards at one moment: the matrix of the paper. Rows by size, columns by number.
  grid(title, description, unit, expression, thresholds, none, width=12, height=10)::
    panel('table', title, description, unit, thresholds, none, [['', expression, table]], {
      cellHeight: 'sm',
      frameIndex: 0,
      showHeader: true,
    }, {
      align: 'center',
      cellOptions: { type: 'color-background', mode: 'basic' },
      inspect: false,
    }, width, height) + {
      transformations: [
        { id: 'convertFieldType', options: { fields: {}, conversions: [{ targetField: 'class', destinationType: 'number' }, { targetField: 'shard', destinationType: 'number' }] } },
        { id: 'sortBy', options: { fields: {}, sort: [{ field: 'class' }] } },
        { id: 'groupingToMatrix', options: { columnField: 'shard', rowField: 'class', valueField: 'Value', emptyValue: 'null' } },
        { id: 'organize', options: { excludeByName: {}, renameByName: {}, includeByName: {}, indexByName: { 'class\\shard': 0 } + { [std.toString(shard)]: shard + 1 for shard in std.range(0, 63) } } },
      ],
      fieldConfig+: { overrides: [{
        matcher: { id: 'byName', options: 'class\\shard' },
        properties: [{ id: 'unit', value: 'string' }, { id: 'custom.cellOptions', value: { type: 'auto' } }],
      }] },
    },

  // Rows of labels and one value a query. `columns` names the value of each query, in their order.
  table(title, description, unit, targets, columns, thresholds, none, hidden=[], units={}, width=24, height=8)::
    panel('table', title, description, unit, thresholds, none, [query + [table] for query in targets], {
      cellHeight: 'sm',
      frameIndex: 0,
      showHeader: true,
      sortBy: [{ displayName: columns[0], desc: true }],
    }, { align: 'auto', cellOptions: { type: 'auto' }, inspect: false }, width, height) + {
      local value(i) = if std.length(targets) > 1 then 'Value #' + std.char(std.codepoint('A') + i) else 'Value',
      transformations: (if std.length(targets) > 1 then [{ id: 'merge', options: {} }] else []) + [
        { id: 'organize', options: {
          excludeByName: { Time: true } + { [name]: true for name in hidden },
          indexByName: {},
          includeByName: {},
          renameByName: { [value(i)]: columns[i] for i in std.range(0, std.length(columns) - 1) },
        } },
      ],
      fieldConfig+: { overrides: [
        {
          matcher: { id: 'byName', options: columns[0] },
          properties: [{ id: 'custom.cellOptions', value: { type: 'color-text' } }],
        },
      ] + [
        { matcher: { id: 'byName', options: name }, properties: [{ id: 'unit', value: units[name] }] }
        for name in std.objectFields(units)
      ] },
    },

  // States over time, one line a series; 1 is on.
  states(title, description, targets, mappings, none, thresholds=['transparent', 1, 'red'], width=24, height=8)::
    panel('state-timeline', title, description, 'none', thresholds, none, targets, {
      alignValue: 'left',
      legend: { calcs: [], displayMode: 'list', placement: 'bottom', showLegend: false },
      mergeValues: true,
      rowHeight: 0.9,
      showValue: 'never',
      tooltip: { mode: 'single', sort: 'none' },
    }, { fillOpacity: 80, lineWidth: 0 }, width, height) + {
      fieldConfig+: { defaults+: { mappings: [{ type: 'value', options: mappings }] } },
    },

  // Bars, one a series, at one moment.
  bars(title, description, unit, legend, expression, thresholds, none, width=12, height=8)::
    panel('bargauge', title, description, unit, thresholds, none, [[legend, expression, instant]], {
      displayMode: 'basic',
      legend: { calcs: [], displayMode: 'list', placement: 'bottom', showLegend: false },
      maxVizHeight: 300,
      minVizHeight: 16,
      minVizWidth: 8,
      namePlacement: 'auto',
      orientation: 'horizontal',
      reduceOptions: reduce,
      showUnfilled: true,
      sizing: 'auto',
      valueMode: 'color',
    }, {}, width, height) + { fieldConfig+: { defaults+: { min: 0 } } },

  // Markdown. The one kind of panel that asks nothing, so it has no unit and no data source.
  text(title, content, width=24, height=8):: {
    type: 'text',
    title: title,
    gridPos: { h: height, w: width, x: 0, y: 0 },
    options: { mode: 'markdown', content: content, code: { language: 'plaintext', showLineNumbers: false, showMiniMap: false } },
  },
}
