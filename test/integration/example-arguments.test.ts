import { expect, test } from 'vitest';
import { run } from '../support/command.ts';

const example = (name: string, ...args: readonly string[]) =>
  run(process.execPath, [`examples/${name}.ts`, ...args]);

test.each([
  ['payments/run', ['--payments', 'x'], '--payments "x" is not a whole number from 1 to 1000000'],
  ['payments/run', ['--payments', '0'], '--payments "0" is not a whole number from 1 to 1000000'],
  ['payments/run', ['--seed', ''], '--seed "" is not a whole number from 1 to 1000000'],
  ['payments/run', ['--speed', '0'], '--speed "0" is not a number above 0'],
  ['payments/run', ['--speed', '1e999'], '--speed "1e999" is not a number above 0'],
  ['rates/run', ['--bogus'], "Unknown option '--bogus'"],
  ['rates/run', ['--runs', '1.5'], '--runs "1.5" is not a whole number from 1 to 1000000'],
  ['npm-through-faults/run', ['one', 'two'], 'unexpected argument "two"'],
  ['sdk-retries/run', ['more'], "Unexpected argument 'more'"],
  ['demo-api/main', ['--port', '65536'], '--port "65536" is not a whole number from 0 to 65535'],
])('%s %j is a wrong call', async (name, args, why) => {
  const program = example(name, ...args);
  expect([await program.ended(), program.out]).toEqual([2, '']);
  const [first = '', second, ...rest] = program.err.split('\n');
  expect([first.startsWith(why), rest]).toEqual([true, ['']]);
  expect(second).toContain(`Usage: npx node examples/${name}.ts`);
});

test('what is given counts, and what is not has its usual value', async () => {
  const api = example('demo-api/main', '--port', '0', '--habits=status=418');
  const [, url = ''] = await api.untilPrinted(/demo API on (http:\/\/127\.0\.0\.1:\d+);/);
  expect((await fetch(`${url}/any`)).status).toBe(418);
});
