import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { FaultName } from '../../examples/sdk-retries/api.ts';
import { measure, table } from '../../examples/sdk-retries/measure.ts';
import { SDKS, type SdkName } from '../../examples/sdk-retries/sdks.ts';

const sdks = Object.keys(SDKS) as SdkName[];
const LASTING: readonly FaultName[] = [
  'answers 503, always',
  'answers 429, always',
  'asks to wait for an hour (429)',
  'resets the connection, always',
];

describe.each(sdks)('%s', (sdk) => {
  test.each(LASTING)('makes one request of one operation where the API %s', async (fault) => {
    const attempts = fault.startsWith('asks') ? 1 : 3;
    expect(await measure(sdk, fault, 'Breakwater')).toEqual({ attempts, requests: 1, failed: 1 });
  });

  test('without an owner, its retries multiply with ours', async () => {
    const multiplied = { attempts: 9, requests: 3, failed: 1 };
    expect(await measure(sdk, 'answers 503, always', 'a proxy that retries too')).toEqual(multiplied);
  });

  test('what fails now and then is rescued within one request of the SDK', async () => {
    const rescued = { attempts: 20, requests: 10, failed: 0 };
    expect(await measure(sdk, 'answers 503 every other time', 'Breakwater', 10)).toEqual(rescued);
  });
});

test('the table in docs/retries.md is the one that the example prints', async () => {
  const [shown] = /^\| the API \|.*?(?=\n\n)/ms.exec(readFileSync('docs/retries.md', 'utf8')) ?? [];
  expect(await table()).toBe(shown);
});
