import { expect, test } from 'vitest';
import { idempotencyKey } from '../../src/proxy/idempotency-key.ts';

const keyed = (mode: 'none' | 'pass' | 'inject' | 'require', key: string, method = 'POST') =>
  idempotencyKey(
    { mode, header: 'idempotency-key' },
    { method, headers: ['Idempotency-Key', key], newId: () => 'made' },
  );

test.each(['pass', 'inject', 'require'] as const)('%s takes a key of up to 255 bytes', (mode) => {
  expect(keyed(mode, 'k'.repeat(255))).toBe('k'.repeat(255));
  const refused = expect.objectContaining({
    code: 'bad_request',
    message: 'the header idempotency-key has 256 bytes; the limit is 255',
  }) as Error;
  expect(() => keyed(mode, 'k'.repeat(256))).toThrow(refused);
});

test('a key that means nothing to us is passed on as it is', () => {
  expect(keyed('none', 'k'.repeat(3_000))).toBeUndefined();
  expect(keyed('pass', 'k'.repeat(3_000), 'PUT')).toBeUndefined();
});
