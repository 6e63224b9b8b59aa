import { expect, test } from 'vitest';
import { EMPTY_BODY } from '../../src/http/bodies/request-body.ts';
import { AttemptWatch, type Expectation } from '../../src/proxy/attempt-watch.ts';
import { type ErrorCode, ProxyError } from '../../src/proxy/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { stubReply } from '../support/stub-call.ts';

const COLD: Expectation = {
  patienceMs: Infinity,
  usualMs: undefined,
  longestMs: 0,
  totalMs: 600_000,
  usual: { wellAt: -Infinity, begin: () => false, record: () => {}, forget: () => {} },
};
const WARM: Expectation = { ...COLD, patienceMs: 3_000, usualMs: 100 };

function setUp(expectation: Expectation) {
  const clock = new FakeClock();
  const pulse = { answeredAt: Number.NEGATIVE_INFINITY, wellAt: Number.NEGATIVE_INFINITY };
  const watch = new AttemptWatch(expectation, pulse, clock);
  let suspected = 0;
  watch.onSuspected({ suspected: () => void suspected++ });
  watch.start(EMPTY_BODY);
  return { clock, pulse, watch, suspected: () => suspected };
}

const cut = (code: ErrorCode) => new ProxyError(code, code, { sent: 'sent_unknown' });

test('silence beyond its patience is reported once, and its timer is gone after a head', async () => {
  const { clock, watch, suspected } = setUp(WARM);
  await clock.advance(2_999);
  expect(suspected()).toBe(0);
  await clock.advance(60_000);
  expect([suspected(), watch.suspected, clock.pending]).toEqual([1, true, 0]);

  const answered = setUp(WARM);
  answered.watch.replied(stubReply());
  expect([answered.clock.pending, answered.suspected()]).toEqual([0, 0]);
});

test('if too little is known, silence is never suspected', async () => {
  const { clock, suspected } = setUp(COLD);
  await clock.advance(599_000);
  expect(suspected()).toBe(0);
});

test('the time in which the client sends its body is not the upstream’s', async () => {
  const clock = new FakeClock();
  const watch = new AttemptWatch(WARM, { answeredAt: 0, wellAt: 0 }, clock);
  let brought = 0;
  watch.start({ ...EMPTY_BODY, broughtOnAt: () => brought });
  await clock.advance(2_000);
  brought = 2_000;
  await clock.advance(2_999);
  expect(watch.suspected).toBe(false);
  await clock.advance(1);
  expect(watch.suspected).toBe(true);
});

test.each<[string, Expectation, number, 'silent' | 'alive', boolean]>([
  ['abandoned early, cold', COLD, 3_900, 'silent', false],
  ['abandoned after some seconds, nothing was answered since it began', COLD, 4_000, 'silent', true],
  ['the same, but others were answered', COLD, 60_000, 'alive', false],
  ['after nearly all of the route’s own time', COLD, 599_990, 'alive', true],
  ['a client’s deadline of 5 ms', WARM, 5, 'silent', false],
  ['long for a client, not for the route', WARM, 2_900, 'alive', false],
  ['after its patience', WARM, 3_000, 'alive', true],
  [
    'an API that usually takes 4 s, after 5 s',
    { ...WARM, patienceMs: 16_000, usualMs: 4_000 },
    5_000,
    'silent',
    false,
  ],
  ['the same after 6 s', { ...WARM, patienceMs: 16_000, usualMs: 4_000 }, 6_000, 'silent', true],
])('cut short: %s', async (...[, expectation, ms, upstream, evidence]) => {
  const { clock, pulse, watch } = setUp(expectation);
  await clock.advance(ms);
  if (upstream === 'alive') pulse.answeredAt = ms - 1;
  for (const code of ['client_gone', 'deadline_exceeded', 'hedge_lost'] as const) {
    expect([watch.ranOut(cut(code)), watch.saysNothing(cut(code))]).toEqual([evidence, !evidence]);
  }
});

test('the silence of an attempt says nothing about the upstream if a later one was answered well', async () => {
  const clock = new FakeClock();
  const pulse = { answeredAt: Number.NEGATIVE_INFINITY, wellAt: Number.NEGATIVE_INFINITY };
  const [earlier, silent, later] = [0, 1, 2].map(() => new AttemptWatch(WARM, pulse, clock));
  const leave = async (watch: AttemptWatch | undefined) => {
    watch?.start(EMPTY_BODY);
    await clock.advance(10);
  };
  for (const watch of [earlier, silent, later]) await leave(watch);
  await clock.advance(60_000);
  earlier?.replied(stubReply());
  expect([silent?.overtaken, silent?.ranOut(cut('client_gone'))]).toEqual([false, true]);
  later?.failed();
  expect(silent?.overtaken).toBe(false);
  later?.replied(stubReply());
  expect([silent?.overtaken, silent?.ranOut(cut('client_gone'))]).toEqual([true, false]);
  expect(silent?.saysNothing(cut('client_gone'))).toBe(true);
});

test('an end that is no cut is left to the policies', async () => {
  const { clock, watch } = setUp(WARM);
  await clock.advance(60_000);
  for (const error of [cut('connection_terminated'), cut('attempt_timeout'), new TypeError('a bug')])
    expect([watch.ranOut(error), watch.saysNothing(error)]).toEqual([false, false]);
});
