import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DEMO_CONFIG } from '../../src/cli/demo-config.ts';
import { loadConfig } from '../../src/config/load.ts';

test('start --demo without a file has the settings of the shipped file, so that the examples of README work; nothing is durable', () => {
  const [demo, shipped] = [DEMO_CONFIG, readFileSync('config.yaml', 'utf8')].map((text) => {
    const loaded = loadConfig('config.yaml', {}, () => text);
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const { admin, listen, upstreams } = loaded.config;
    const withoutDurable = upstreams.map(({ routes, ...upstream }) => ({
      ...upstream,
      routes: routes.map((route) => ({ ...route, settings: { ...route.settings, durable: undefined } })),
    }));
    return { admin, listen, upstreams: withoutDurable };
  });
  expect(demo).toEqual(shipped);
});
