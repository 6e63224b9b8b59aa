import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';

const load = (...stream: readonly string[]) =>
  loadConfig(
    'config.yaml',
    {},
    () => `upstreams:\n  api:\n    url: https://api.example.com\n${stream.join('')}`,
  );

function optionsOf(...stream: readonly string[]) {
  const loaded = load(...stream);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded.config.upstreams[0]?.routes.map(({ settings }) => settings.stream);
}

test('without a limit and without rules, nothing is watched', () => {
  expect(optionsOf()).toEqual([undefined]);
  expect(optionsOf('    stream: { ignore: [ping], hold: 1KiB }\n')).toEqual([undefined]);
});

test('times, names, rules and the end become options', () => {
  const written = [
    '    stream:\n',
    '      first_event: 30s\n',
    '      event_gap: 60s\n',
    '      ignore: [ping, { body: { /filter: "*" } }]\n',
    '      error:\n',
    '        - { name: overloaded, event: error, body: { /error/type: [a, b] }, status: 529, means: not_processed }\n',
    '        - { body: { /error: "*" }, wait: /error/wait, throttled: true }\n',
    '      done: [{ event: message_stop }, { data: "[DONE]" }]\n',
    '      hold: 8KiB\n',
  ];
  expect(optionsOf(...written)).toEqual([
    {
      firstEventMs: 30_000,
      eventGapMs: 60_000,
      ignore: [
        { events: ['ping'], data: [], body: [], text: [] },
        { events: [], data: [], body: [[['filter'], ['*']]], text: [] },
      ],
      errors: [
        {
          name: 'overloaded',
          events: ['error'],
          data: [],
          body: [
            [
              ['error', 'type'],
              ['a', 'b'],
            ],
          ],
          text: [],
          status: 529,
          means: 'not_processed',
          throttled: false,
          wait: undefined,
        },
        {
          name: undefined,
          events: [],
          data: [],
          body: [[['error'], ['*']]],
          text: [],
          status: 502,
          means: undefined,
          throttled: true,
          wait: { from: 'body', pointer: ['error', 'wait'] },
        },
      ],
      done: [
        { events: ['message_stop'], data: [], body: [], text: [] },
        { events: [], data: ['[DONE]'], body: [], text: [] },
      ],
      holdBytes: 8_192,
    },
  ]);
});

test('stream: off on a route removes what its upstream sets', () => {
  const [route, rest] =
    optionsOf(
      '    stream: { first_event: 1s, error: [{ event: error }], done: [{ event: end }] }\n',
      '    routes: [{ match: { path: /a }, stream: off }]\n',
    ) ?? [];
  expect(route).toBeUndefined();
  expect(rest?.firstEventMs).toBe(1_000);
});

test.each([
  [
    '{ error: [{ status: 529 }] }',
    'upstreams.api.stream.error[0]: matches every event; write event, data, body or text',
  ],
  [
    '{ done: [{ event: a }, {}] }',
    'upstreams.api.stream.done[1]: matches every event; write event, data, body or text',
  ],
  [
    '{ ignore: [ping, {}] }',
    'upstreams.api.stream.ignore[1]: matches every event; write event, data, body or text',
  ],
  ['{ ignore: [1] }', 'the name of an event, or a map of conditions'],
  ['{ error: [{ event: e, status: 200 }] }', '"200" is not a whole number from 400 to 599'],
  ['{ first_event: 0s }', '"0ms" is too short; write at least 1ms'],
  ['{ done: [{ body: { error: x } }] }', 'is not a JSON pointer; write for example /error/code'],
])('%s is refused', (stream, message) => {
  const loaded = load(`    stream: ${stream}\n    routes: [{ match: { path: /a } }]\n`);
  const problems = loaded.ok ? [] : loaded.problems.map(formatProblem);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(message);
});
