import { expect, test } from 'vitest';
import { proxyStatus } from '../../src/http/proxy-status.ts';

test('parameters in order, without unknown ones', () => {
  expect(proxyStatus({})).toBe('breakwater');
  expect(proxyStatus({ error: 'dns_error', receivedStatus: 503, details: 'attempts=3' })).toBe(
    'breakwater; error=dns_error; received-status=503; details="attempts=3"',
  );
});

test('details are a structured-field string: quotes and backslashes escaped, only printable ASCII', () => {
  expect(proxyStatus({ details: 'say "hi" \\ é\r\nx: y\t€\x7f' })).toBe(
    'breakwater; details="say \\"hi\\" \\\\ ???x: y???"',
  );
});
