import { globSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { everythingHappens, metricsOf, scraped } from '../support/metrics.ts';
import { promtool } from '../support/prometheus.ts';

const present = !promtool(['--version']).missing;
if (!present) {
  console.warn('promtool is not on PATH: names of metrics and the rules in monitoring/ are NOT checked');
}

describe.skipIf(!present)('promtool', () => {
  test('finds nothing wrong with names, types, help and labels', async () => {
    const metrics = metricsOf();
    await everythingHappens(metrics);
    const { status, said } = promtool(['check', 'metrics'], await scraped(metrics));
    expect(said).toBe('');
    expect(status).toBe(0);
  });

  test('finds nothing wrong with the rules', () => {
    const { status, said } = promtool(['check', 'rules', 'monitoring/prometheus-rules.yaml']);
    expect(said).toContain('SUCCESS');
    expect(status).toBe(0);
  });

  test('sees the rules record and alert as their examples say', { timeout: 60_000 }, () => {
    const { status, said } = promtool(['test', 'rules', ...globSync('monitoring/*.test.yaml')]);
    expect(said).toContain('SUCCESS');
    expect(status).toBe(0);
  });
});
