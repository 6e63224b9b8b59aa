#!/usr/bin/env node
// `npm run docs`: writes the generated parts of the documentation, the JSON Schema for editors, and the Grafana dashboard.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dashboard } from '../monitoring/dashboard.ts';
import { renderMetricsTable, renderSeriesRule } from '../src/telemetry/metrics/table.ts';
import { ownersTable, roomsTable } from '../test/support/import-table.ts';

const printed = (...args) => execFileSync(process.execPath, ['src/main.ts', ...args], { encoding: 'utf8' });

/** `text` with `table` between the marks of `name`. */
function withTable(text, name, table) {
  const [before, rest] = text.split(`<!-- ${name} -->\n`);
  const [, after] = rest.split(`<!-- /${name} -->\n`);
  return `${before}<!-- ${name} -->\n\n${table.trim()}\n\n<!-- /${name} -->\n${after}`;
}

writeFileSync('config.schema.json', printed('schema'));
writeFileSync('monitoring/grafana-dashboard.json', JSON.stringify(dashboard()));
const write = (file, name, table) => writeFileSync(file, withTable(readFileSync(file, 'utf8'), name, table));
write('docs/keys.md', 'keys', printed('schema', '--markdown'));
write('docs/configuration.md', 'presets', printed('presets'));
write('docs/architecture.md', 'rooms', roomsTable());
write('docs/architecture.md', 'owners', ownersTable());
write('docs/metrics.md', 'metrics', renderMetricsTable());
write('docs/metrics.md', 'series', renderSeriesRule());
