import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';

const load = (schedule: string) =>
  loadConfig(
    'config.yaml',
    {},
    () => `upstreams:
  fx:
    url: https://api.example.com/base
    routes:
      - match: { method: GET, path: /rates/** }
        durable: true
schedules:
  rates:
    ${schedule}
`,
  );

function problems(schedule: string): readonly string[] {
  const loaded = load(schedule);
  return loaded.ok ? [] : loaded.problems.map(formatProblem);
}

test('a schedule has its route and its target at the upstream', () => {
  const loaded = load('{ cron: "*/2 * * * *", request: { path: "/fx/rates/latest?base=EUR" } }');
  expect(loaded).toMatchObject({
    ok: true,
    config: {
      schedules: [
        {
          name: 'rates',
          cron: '*/2 * * * *',
          timezone: 'UTC',
          overlap: 'skip',
          catchup: 'latest',
          route: 'fx/get-rates-all',
          method: 'GET',
          target: '/base/rates/latest?base=EUR',
          headers: [],
          body: '',
          keyHeader: undefined,
        },
      ],
    },
  });
});

describe('a problem is reported at its line', () => {
  const request = 'request: { path: /fx/rates/latest }';
  test.each([
    [
      `{ cron: "61 * * * *", ${request} }`,
      'config.yaml:9:13  schedules.rates.cron: "61 * * * *" is not a cron',
    ],
    [
      `{ cron: "0 0 30 2 *", ${request} }`,
      'config.yaml:9:13  schedules.rates.cron: "0 0 30 2 *" matches no date; write for example "*/2 * * * *"',
    ],
    [
      `{ cron: "0 8 * *", ${request} }`,
      'cron: "0 8 * *" has 4 fields; write minute hour day month weekday, with an optional second in front',
    ],
    [`{ cron: "0 0 8 * * * 2027", ${request} }`, 'has 7 fields; write minute hour'],
    [`{ cron: "", ${request} }`, 'has 0 fields; write minute hour'],
    [`{ ${request} }`, 'cron: is missing'],
    [`{ cron: "* * * * *", timezone: Mars/Olympus, ${request} }`, '"Mars/Olympus" is not a time zone'],
    ['{ cron: "* * * * *" }', 'request.path: is missing'],
    ['{ cron: "* * * * *", request: { path: /elsewhere } }', 'no upstream is mounted at /elsewhere'],
    ['{ cron: "* * * * *", request: { path: /fx/other } }', 'is not durable'],
    ['{ cron: "* * * * *", request: { method: POST, path: /fx/rates/a } }', 'is not durable'],
    [
      '{ cron: "* * * * *", request: { path: /fx/rates/a, headers: { authorization: Bearer 3cr3t } } }',
      'would be stored in plain text',
    ],
    [
      '{ cron: "* * * * *", request: { path: /fx/rates/a, headers: { host: a } } }',
      'the proxy writes it itself',
    ],
  ])('%s', (schedule, message) => {
    const found = problems(schedule);
    expect(found).toEqual([expect.stringContaining(message)]);
    expect(found.join('')).not.toContain('3cr3t');
  });
});
