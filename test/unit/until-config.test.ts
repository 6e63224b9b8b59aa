import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';

const SUCCESS = 'success: [{ json: /status, in: [settled] }]';

const load = (written: string, before = '') =>
  loadConfig(
    'config.yaml',
    {},
    () => `${before}upstreams:\n  api:\n    url: https://api.example.com\n${written}`,
  );

const problems = (written: string) => {
  const loaded = load(`    durable: ${written}`);
  return (loaded.ok ? loaded.warnings : loaded.problems)
    .map(formatProblem)
    .map((line) => line.replace('config.yaml:', ''));
};

function optionsOf(written: string, before = '') {
  const loaded = load(written, before);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  const [upstream] = loaded.config.upstreams;
  return upstream?.routes.map(({ settings }) => settings.durable?.options);
}

describe('until', () => {
  test('makes a route durable, with its own waits and deadline', () => {
    const [options] =
      optionsOf(`    durable: { until: { ${SUCCESS}, delay: { max: 1m }, deadline: 3d } }`) ?? [];
    expect(options?.deadlineMs).toBe(3 * 86_400_000);
    expect(options?.poll).toMatchObject({ delay: { minMs: 2_000, maxMs: 60_000 }, target: undefined });
    expect(options?.poll?.conditions.success).toEqual([
      {
        statuses: undefined,
        subject: { kind: 'json', pointer: ['status'], test: { in: ['settled'] }, items: 'any' },
        message: undefined,
      },
    ]);
  });

  test('keeps the deadline of the route if it has none', () => {
    expect(optionsOf(`    durable: { deadline: 2h, until: { ${SUCCESS} } }`)?.[0]?.deadlineMs).toBe(
      7_200_000,
    );
  });

  test('a built-in wait is adjusted to a written one', () => {
    const delay = (text: string) =>
      optionsOf(`    durable: { until: { ${SUCCESS}, delay: ${text} } }`)?.[0]?.poll?.delay;
    expect(delay('{ min: 5m }')).toEqual({ minMs: 300_000, maxMs: 300_000 });
    expect(delay('{ max: 500ms }')).toEqual({ minMs: 500, maxMs: 500 });
  });

  test('the poll of a route replaces the until of the upstream', () => {
    const route = `    routes: [{ match: { path: /a }, durable: { poll: { target: "header:Location", until: { ${SUCCESS} } } } }]`;
    const found = optionsOf(`    durable: { until: { ${SUCCESS} } }\n${route}`);
    expect(found?.map((options) => options?.poll?.target)).toEqual([
      { from: 'header', name: 'location' },
      undefined,
    ]);
  });

  test('poll.target can be a path with values of the reply', () => {
    const polled = `{ poll: { target: "/v1/payments/{json:/data/id}/status?full=1", until: { ${SUCCESS} } } }`;
    expect(optionsOf(`    durable: ${polled}`)?.[0]?.poll?.target).toEqual({
      from: 'path',
      parts: ['/v1/payments/', ['data', 'id'], '/status?full=1'],
    });
  });

  test.each([
    ['{ until: { failure: [{ status: 404 }] } }', '4:16  upstreams.api.durable.until: has no success'],
    [
      '{ until: { success: [{ json: status, equals: a }] } }',
      '.success[0].json: "status" is not a JSON pointer',
    ],
    ['{ until: { success: [{ json: /status }] } }', 'until.success[0].json: has no comparison'],
    ['{ until: { success: [{ equals: paid }] } }', 'success[0].equals: has no value to compare'],
    [
      '{ until: { success: [{ json: /a, header: b, equals: c }] } }',
      'success[0].json: cannot be combined with header',
    ],
    ['{ until: { success: [{}] } }', 'success[0]: has no condition'],
    ['{ until: { success: [{ status: 99 }] } }', 'success[0].status: "99" is not a status from 200 to 599'],
    [
      '{ until: { success: [{ json: /a, matches: "(?=a)" }] } }',
      'success[0].matches: is not a valid RE2 expression',
    ],
    ['{ until: { success: [{ json: /a, in: paid }] } }', 'success[0].in: "paid" is not a list of values'],
    ['{ until: { success: [{ json: /a, gte: "1" }] } }', 'success[0].gte: "1" is not a number'],
    [
      `{ until: { ${SUCCESS}, delay: { min: 2m, max: 1m } } }`,
      'until.delay.max: 1m is below min, which is 2m',
    ],
    [`{ until: { ${SUCCESS}, delay: { min: 1ms } } }`, 'until.delay.min: "1ms" is too short'],
    [
      `{ until: { ${SUCCESS} }, poll: { target: header:a, until: { ${SUCCESS} } } }`,
      'until: cannot be combined with poll',
    ],
    [`{ poll: { until: { ${SUCCESS} } } }`, 'durable.poll: has no target'],
    ['{ poll: { target: header:location } }', 'durable.poll: has no success'],
    [
      `{ poll: { target: location, until: { ${SUCCESS} } } }`,
      'poll.target: "location" is not header:location or a path',
    ],
    [
      `{ poll: { target: "/a/{id}", until: { ${SUCCESS} } } }`,
      'poll.target: "/a/{id}" is not header:location or a path',
    ],
    [`{ poll: { target: "/a/{json:/*/id}", until: { ${SUCCESS} } } }`, 'poll.target: '],
    [`{ mode: off, until: { ${SUCCESS} } }`, 'durable.until: has no effect, because durable is off here'],
  ])('%s: %s', (written, problem) => {
    const found = problems(written);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^4:\d+ {2}/);
    expect(found[0]).toContain(problem);
  });
});
