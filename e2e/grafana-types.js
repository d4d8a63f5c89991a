// Writes each dashboard as a TypeScript value of the types that Grafana publishes: the dashboard's from @grafana/schema, each
// panel's options and custom field configuration from the schema of its own kind, queries and annotations from those of the
// Prometheus data source. tsc then judges names, kinds and the words of enumerations, and refuses properties that no
// schema knows. With --broken it writes a wrong one, which tsc must refuse.
// Usage: node grafana-types.js REPOSITORY OUT [--broken]
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { dashboards } = require('./grafana.js');

const [root, out, broken] = process.argv.slice(2);
const kinds = { timeseries: 'TimeSeries', stat: 'Stat', heatmap: 'Heatmap', table: 'Table', 'state-timeline': 'StateTimeline', bargauge: 'BarGauge', text: 'Text' };
const folder = (kind) => kind.replace('-', '');
const schema = 'node_modules/@grafana/schema/dist/types/raw';
const custom = new Set(['timeseries', 'heatmap', 'table', 'state-timeline']);

fs.writeFileSync(path.join(out, 'grafana.mts'), `
import type * as d from './${schema}/dashboard/x/types.gen.js';
import type { Dataquery } from './node_modules/@grafana/grafana-foundation-sdk/dist/prometheus/types.gen.js';
${Object.entries(kinds).map(([kind, name]) => `import type * as ${name} from './${schema}/composable/${folder(kind)}/panelcfg/x/types.gen.js';`).join('\n')}

/** A type as JSON has it: the words of an enumeration rather than its members. */
export type Plain<T> = T extends string ? \`\${T}\` : T extends number | boolean | null | undefined ? T
  : T extends Array<infer E> ? Array<Plain<E>> : unknown extends T ? unknown : { [K in keyof T]: Plain<T[K]> };

type Query = Omit<Dataquery, '_implementsDataqueryVariant'>;
type Fields<C> = { defaults: Plain<Omit<d.FieldConfig, 'custom'>> & { custom?: Plain<C> }, overrides: Plain<d.FieldConfigSource['overrides']> };
// What a panel may leave out, Grafana fills in from the defaults of the schema.
type Deep<T> = T extends Array<infer E> ? Array<Deep<E>> : T extends object ? { [K in keyof T]?: Deep<T[K]> } : T;
type PanelOf<Kind, Options, Custom> = Plain<Omit<d.Panel, 'type' | 'options' | 'fieldConfig' | 'targets'>>
  & { type: Kind, options: Deep<Plain<Options>>, fieldConfig?: Fields<Deep<Custom>>, targets?: Array<Plain<Query>> };
export type Panel =
${Object.entries(kinds).map(([kind, name]) => `  | PanelOf<'${kind}', ${name}.Options, ${custom.has(kind) ? `${name}.FieldConfig` : 'Record<string, never>'}>`).join('\n')};
export type Row = Plain<d.RowPanel>;
// An annotation carries the fields of its data source beside its own.
type Annotation = Plain<d.AnnotationQuery> & { expr: string, step: string, titleFormat: string, textFormat: string, useValueForTime: boolean };
export type Board = Plain<Omit<d.Dashboard, 'panels' | 'annotations'>> & { annotations: { list: Array<Annotation> } };
`);

function write(name, board) {
  const { panels, ...rest } = board;
  const values = panels.map((panel, i) => `export const p${i}: ${panel.type === 'row' ? 'Row' : `Extract<Panel, { type: ${JSON.stringify(panel.type)} }>`} = ${JSON.stringify(panel, null, 2)};`);
  fs.writeFileSync(path.join(out, `${name}.mts`), `import type { Board, Panel, Row } from './grafana.mjs';
export const board: Board = ${JSON.stringify(rest, null, 2)};
${values.join('\n')}
`);
}

for (const { file, board } of dashboards(root)) {
  for (const panel of board.panels) if (panel.type !== 'row' && !kinds[panel.type]) throw new Error(`${file}: panels of type ${panel.type} are not known here`);
  if (broken) {
    const panel = board.panels.find((one) => one.type === 'heatmap');
    if (!panel) continue;
    panel.options.color.mode = 'schema';
  }
  write(path.basename(file, '.json'), board);
}
