import { expect, test } from 'vitest';
import { requestIdOf, requestUrn } from '../../src/http/request-id.ts';
import { parseTraceparent, traceparentOf, withTraceparent } from '../../src/http/trace-context.ts';

test.each([
  ['of a UUID', '7e9c8f4e-6f0f-4a0a-9a3c-0d9b7a6f5c11'],
  ['of any visible ASCII', 'Root=1-67891233;Self|a/b#1'],
  ['of the greatest length', 'x'.repeat(128)],
])('an id %s is used', (_, id) => {
  expect(requestIdOf(['Accept', '*/*', 'X-Request-ID', id])).toBe(id);
});

test.each([
  ['empty', ''],
  ['too long', 'x'.repeat(129)],
  ['with a space', 'a b'],
  ['with a byte above ASCII', 'a\xe9'],
  ['with a control character', 'a\x7f'],
])('an id that is %s is not used', (_, id) => {
  expect(requestIdOf(['x-request-id', id])).toBeUndefined();
});

test('without the field there is no id', () => {
  expect(requestIdOf(['content-type', 'text/plain'])).toBeUndefined();
});

test('an id becomes a URN whatever characters it has', () => {
  expect(requestUrn('a/b?c=d#e%')).toBe('urn:breakwater:request:a%2Fb%3Fc%3Dd%23e%25');
});

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

test.each([
  [`00-${TRACE}-${SPAN}-01`, true],
  [`00-${TRACE}-${SPAN}-00`, false],
  // Flags other than `sampled` are not its business, and a later version may say more.
  [`00-${TRACE}-${SPAN}-03`, true],
  [`cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`, true],
])('%s is a trace context', (text, sampled) => {
  expect(parseTraceparent(text)).toEqual({ traceId: TRACE, parentId: SPAN, sampled });
});

test.each([
  '',
  `ff-${TRACE}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-01-more`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${'0'.repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${'0'.repeat(16)}-01`,
  `00-${TRACE}-${SPAN}`,
  `00-${TRACE}-${SPAN}-1`,
])('%j is no trace context', (text) => {
  expect(parseTraceparent(text)).toBeUndefined();
});

test.each([
  ['one', ['Traceparent', 'a'], 'a'],
  ['none', ['tracestate', 'a'], undefined],
  ['several, which contradict each other', ['traceparent', 'a', 'TraceParent', 'a'], undefined],
  ['one of 256 characters', ['traceparent', 'x'.repeat(256)], 'x'.repeat(256)],
  ['one that is longer', ['traceparent', 'x'.repeat(257)], undefined],
])('of the fields traceparent, %s', (_, headers, found) => {
  expect(traceparentOf(headers)).toBe(found);
});

test.each([
  ['stays in the trace of the client', ['traceparent', `00-${TRACE}-${SPAN}-01`], true],
  ['is left out of another trace', ['traceparent', `00-${'1'.repeat(32)}-${SPAN}-01`], false],
  ['is left out if traceparent is invalid', ['traceparent', `ff-${TRACE}-${SPAN}-01`], false],
  ['is left out without traceparent', [], false],
])('tracestate %s', (_, headers, stays) => {
  const own = `00-${TRACE}-${'2'.repeat(16)}-01`;
  const state = stays ? ['tracestate', 'a=b'] : [];
  expect(withTraceparent([...headers, 'tracestate', 'a=b', 'x', 'y'], own)).toEqual([
    ...state,
    'x',
    'y',
    'traceparent',
    own,
  ]);
});
