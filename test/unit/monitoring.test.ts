import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { dashboard } from '../../monitoring/dashboard.ts';
import { METRICS } from '../../src/telemetry/metrics/families.ts';

interface Examples {
  readonly tests: readonly {
    readonly alert_rule_test?: readonly {
      readonly alertname: string;
      readonly exp_alerts: readonly object[];
    }[];
  }[];
}

const RULES = readFileSync('monitoring/prometheus-rules.yaml', 'utf8');
const ALERTS = [...RULES.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name);

test.each(['monitoring/prometheus-rules.yaml', 'monitoring/grafana-dashboard.json'])(
  '%s speaks only of metrics that exist',
  (file) => {
    const known = new Set<string>(METRICS.map(({ name }) => name));
    const used = readFileSync(file, 'utf8').match(/(?<!:)\bbreakwater_[a-z_]+\b/g) ?? [];
    expect(used.length).toBeGreaterThan(5);
    expect(used.filter((name) => !known.has(name.replace(/_(bucket|sum|count)$/, '')))).toEqual([]);
  },
);

test('the dashboard is fresh (npm run docs)', () => {
  const written: unknown = JSON.parse(readFileSync('monitoring/grafana-dashboard.json', 'utf8'));
  expect(written).toEqual(JSON.parse(JSON.stringify(dashboard())));
});

test('each alert names its runbook', () => {
  const operations = readFileSync('docs/operations.md', 'utf8');
  const runbooks = [...operations.matchAll(/^### (Breakwater\w+)$/gm)].map(([, name]) => name);
  expect(runbooks).toEqual(ALERTS);
  const named = [...RULES.matchAll(/runbook: "docs\/operations\.md#(\w+)"/g)].map(([, anchor]) => anchor);
  expect(named).toEqual(ALERTS.map((name) => name.toLowerCase()));
});

test('each alert has an example in which it fires, and one in which it does not', () => {
  const examples = globSync('monitoring/*.test.yaml')
    .map((file) => parse(readFileSync(file, 'utf8')) as Examples)
    .flatMap(({ tests }) => tests)
    .flatMap(({ alert_rule_test = [] }) => alert_rule_test);
  const withAlerts = (count: (alerts: readonly object[]) => boolean) =>
    new Set(examples.filter(({ exp_alerts }) => count(exp_alerts)).map(({ alertname }) => alertname));
  const fires = withAlerts(({ length }) => length > 0);
  const silent = withAlerts(({ length }) => length === 0);
  expect(ALERTS.filter((name) => !fires.has(name) || !silent.has(name))).toEqual([]);
});
