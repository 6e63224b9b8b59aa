import { expect, test } from 'vitest';
import { withoutSubmissionFields } from '../../src/durable/submission-options.ts';
import { isSecret } from '../../src/http/credentials.ts';
import { Expression } from '../../src/http/expression.ts';
import { preferencesOf } from '../../src/http/preferences.ts';
import { rateLimitItems } from '../../src/http/rate-limit-field.ts';
import { resetAfterMs } from '../../src/http/reset-value.ts';
import { retryAfterMs } from '../../src/http/retry-after.ts';
import { matchesAny } from '../../src/http/wildcard.ts';
import { allowList } from '../../src/routing/allow-list.ts';
import { pathPattern } from '../../src/routing/path-pattern.ts';
import { Router } from '../../src/routing/router.ts';
import { redact } from '../../src/telemetry/redact.ts';
import { expressionsInSource, provedExpressions } from '../support/linear-expressions.ts';

/**
 * The rule: what meets outside text takes time in proportion to its length. A text that takes the square of it stops the
 * process for everybody.
 */
test('every regular expression that meets outside text is proved to be linear', () => {
  const proved = provedExpressions();
  // `npm run linear` tries to prove what is missing here. What it cannot prove is written in another way.
  expect(proved).toEqual(expressionsInSource());
});

const LENGTH = 4_096;
const TIMES = 8;

const times = { nowWallMs: 0, sentWallMs: undefined };
const dashes = pathPattern('/v1/*-*-*');
const deep = pathPattern('/**/*a*b*c/**/d');
const strict = allowList([{ methods: ['GET'], path: '/v1/*-*-*' }]);
const router = new Router([
  {
    mount: { path: '/api' },
    basePath: '/base',
    allow: { mode: 'enforce', rules: [{ methods: undefined, path: '/v1/*-*/**/x' }] },
    routes: [{ methods: undefined, path: '/**', route: 'api' }],
  },
]);
const expression = new Expression('(a*)*a*a*b');

/** `[name, what is done with a text, the piece that the text repeats]` */
const MATCHERS: readonly (readonly [string, (text: string) => unknown, readonly string[]])[] = [
  ['a path pattern', (text) => dashes(`/v1/${text}`), ['-', 'a-', '/-']],
  ['a deep path pattern', (text) => deep(text), ['/', '/ab', '/abc', '/abc/']],
  ['an allow-list', (text) => strict('GET', `/v1/${text}`), ['-', ';', '%25', '/a;', '\\', '%2e', '//']],
  ['the router', (text) => router.match('GET', 'a', `/api/v1/${text}`), ['-', '/a', '..;/', '%2525', '/x']],
  ['a wildcard', (text) => matchesAny(text, ['*a*a*b*a*', 'a*aab*a']), ['a', 'ab']],
  ['Prefer', (text) => preferencesOf(['prefer', text]), ['"', '"\\', '""', ',', '=', 'a="b",']],
  ['Prefer as it is forwarded', (text) => withoutSubmissionFields(['prefer', text]), ['"', ' ', 'wait ']],
  ['RateLimit', rateLimitItems, ['"', '"\\', '";', ',', ' limit=']],
  ['a reset', (text) => resetAfterMs(text, 'auto', times), ['1', '1h', '1.1', '1h1']],
  ['Retry-After', (text) => retryAfterMs(['retry-after', text], 0), ['1', 'a', 'sun, ']],
  ['redaction', (text) => redact({ text, path: text }), ['a', 'a.', '://', 'a://a', '://a:']],
  ['a name of a secret', isSecret, ['a', '-', 'max_', 'author', 'access-']],
  ['an expression of an operator', (text) => expression.test(text), ['a']],
];
const cases = MATCHERS.flatMap(([name, act, pieces]) => pieces.map((piece) => ({ name, act, piece })));

/**
 * Eight times the text may take eight times as long. The square would be 64 times; 24 leaves room for noise. What is
 * measured is compared again if it is too much: a matcher that is not linear fails each time, a busy machine does not.
 */
test.each(cases)('$name takes time in proportion to its text: $piece', { retry: 4 }, ({ act, piece }) => {
  const text = piece.repeat(LENGTH / piece.length);
  const once = leastCpu(() => act(text));
  const longer = leastCpu(() => act(text.repeat(TIMES)));
  expect(longer).toBeLessThan(3 * TIMES * once + NOISE_US);
});

const NOISE_US = 10_000;

/** Microseconds of this process; the best of three, because others use the machine too. */
function leastCpu(act: () => unknown): number {
  const runs = [1, 2, 3].map(() => {
    const before = process.cpuUsage();
    act();
    return process.cpuUsage(before).user;
  });
  return Math.min(...runs);
}
