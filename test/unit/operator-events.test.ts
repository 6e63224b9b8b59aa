import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  BacklogWatch,
  expiringCertificates,
  reloadEvent,
  Watches,
} from '../../src/app/operator-events/watches.ts';
import type { Config } from '../../src/config/config.ts';
import { Health } from '../../src/durable/health.ts';
import { StoreError } from '../../src/durable/store/db.ts';
import type { StateEvent } from '../../src/proxy/events.ts';
import { eventOf, type OperatorEvent } from '../../src/telemetry/operator-events/event.ts';
import { messageOf } from '../../src/telemetry/operator-events/message.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { RecordingObserver } from '../support/record.ts';

const breaker = (from: string, to: string, cause = 'failure_rate') =>
  ({ type: 'breaker_changed', scope: 'api', from, to, cause }) as StateEvent;
const cooldown = (cause: string, remainingMs: number) =>
  ({
    type: 'quota_cooldown_started',
    scope: 'api',
    cause,
    remainingMs,
    credential: 'ab12',
    limited: '',
  }) as StateEvent;

describe('which changes are events', () => {
  test.each([
    [breaker('closed', 'open'), 'breaker.opened'],
    [breaker('half_open', 'closed', 'probes_succeeded'), 'breaker.closed'],
    [breaker('open', 'closed', 'forced'), 'breaker.closed'],
    [cooldown('permanent', 300_000), 'quota.exhausted'],
    [cooldown('retry_after', 300_000), 'quota.cooldown'],
    [{ type: 'store_health', scope: '', to: 'failed', problem: 'full' }, 'store.failed'],
    [{ type: 'store_health', scope: '', to: 'working', problem: 'full' }, 'store.recovered'],
  ] as [StateEvent, string][])('%j is %s', (event, type) => {
    expect(eventOf('api', event)).toMatchObject({ type, summary: expect.stringMatching(/\w/) as string });
  });

  test.each([
    // The upstream is probed again and again during an outage.
    [breaker('open', 'half_open')],
    [breaker('half_open', 'open', 'probe_failed')],
    [cooldown('throttled', 299_999)],
    [{ type: 'breaker_stale_result', scope: 'api' }],
    [{ type: 'operator_event', scope: '', outcome: 'failed' }],
  ] as [StateEvent][])('%j is none', (event) => {
    expect(eventOf('api', event)).toBeUndefined();
  });
});

test('the health of the store is reported when it changes', async () => {
  const observer = new RecordingObserver();
  const logger = { error: () => undefined, info: () => undefined };
  const health = new Health({ clock: new FakeClock(), logger, observer });
  const fails = () => Promise.reject(new StoreError('full', 'no space'));
  await expect(health.accepting(fails())).rejects.toThrow('no space');
  await expect(health.accepting(fails())).rejects.toThrow('no space');
  await health.accepting(Promise.resolve());
  expect(observer.states).toEqual([
    { type: 'store_health', scope: '', to: 'failed', problem: 'full' },
    { type: 'store_health', scope: '', to: 'working', problem: 'full' },
  ]);
});

test('a backlog is old once, and recovers once', () => {
  const watch = new BacklogWatch();
  const look = (seconds: number) =>
    watch.look({ oldestDue: [{ upstream: 'api', route: 'pay', seconds }] }, 900_000).map(({ type }) => type);
  expect([899, 900, 1_000, 12, 11].map(look)).toEqual([[], ['backlog.old'], [], ['backlog.recovered'], []]);
});

const pem = (name: string) => readFileSync(`test/support/tls/${name}.pem`, 'utf8');

function withCertificates(own: string | undefined, client: string | undefined): Config {
  const upstreams = [{ name: 'bank', connection: { tls: { cert: client } } }];
  return { tls: own === undefined ? undefined : { cert: own }, upstreams } as unknown as Config;
}

describe('certificates', () => {
  const endOf = Date.parse('2036-01-01');
  test('one that has ended is reported, by its key', () => {
    const events = expiringCertificates(withCertificates(pem('expired'), pem('expired')), endOf);
    expect(events.map(({ key }) => key)).toEqual([
      'certificate tls.cert',
      'certificate upstreams.bank.tls.cert',
    ]);
    expect(events[0]?.summary).toMatch(/^the certificate tls.cert has ended \(\d{4}-/);
  });

  test('one is reported from 14 days before its end', () => {
    const config = withCertificates(pem('server'), undefined);
    const [ended] = expiringCertificates(config, Number.MAX_SAFE_INTEGER / 2);
    const end = Date.parse(String(ended?.details['ends_at']));
    expect(expiringCertificates(config, end - 14 * 86_400_000 - 1)).toEqual([]);
    expect(expiringCertificates(config, end - 3.5 * 86_400_000)[0]?.summary).toContain('ends in 3 days');
  });

  test('they are looked at each day, and the log says so', async () => {
    const clock = new FakeClock();
    const warnings: string[] = [];
    const reported: OperatorEvent[] = [];
    const watches = new Watches({
      clock,
      logger: { warn: (_, message) => void warnings.push(message) },
      durable: () => Promise.resolve(undefined),
      report: (event) => reported.push(event),
    });
    watches.setUp({ ...withCertificates(pem('expired'), undefined), events: undefined });
    await clock.advance(2 * 86_400_000);
    watches.close();
    expect(warnings).toHaveLength(3);
    expect(reported).toHaveLength(3);
    expect(clock.pending).toBe(0);
  });
});

test('a backlog recovers once, also if the store has no request of its route any more', async () => {
  const watch = new BacklogWatch();
  watch.look(await due(1_000), 900_000);
  const types = () => watch.look({ oldestDue: [] }, 900_000).map(({ type }) => type);
  expect(types()).toEqual(['backlog.recovered']);
  expect(types()).toEqual([]);
});

test('backlogs are looked at each minute, also after the store did not answer', async () => {
  const clock = new FakeClock();
  const reported: string[] = [];
  const answers = [Promise.reject(new Error('store')), Promise.resolve(undefined), due(1_000), due(3)];
  const watches = new Watches({
    clock,
    logger: { warn: () => undefined },
    durable: () => answers.shift() ?? due(0),
    report: ({ type }) => reported.push(type),
  });
  watches.setUp({
    ...withCertificates(undefined, undefined),
    events: { backlogAgeMs: 900_000 } as Config['events'],
  });
  for (let minute = 0; minute < 4; minute++) await clock.advance(60_000);
  watches.close();
  expect(reported).toEqual(['backlog.old', 'backlog.recovered']);
});

test('a reload during a look at the backlog leaves one look a minute, with the new age', async () => {
  const clock = new FakeClock();
  const reported: string[] = [];
  const answers: ((found: Awaited<ReturnType<typeof due>>) => void)[] = [];
  const watches = new Watches({
    clock,
    logger: { warn: () => undefined },
    durable: () => new Promise((resolve) => answers.push(resolve)),
    report: ({ type }) => reported.push(type),
  });
  const withAge = (backlogAgeMs: number) => ({
    ...withCertificates(undefined, undefined),
    events: { backlogAgeMs } as Config['events'],
  });
  watches.setUp(withAge(1_000));
  await clock.advance(60_000);
  watches.setUp(withAge(900_000));
  answers[0]?.(await due(2));
  await clock.advance(60_000);
  expect(answers).toHaveLength(2);
  expect(reported).toEqual([]);
  watches.close();
  answers[1]?.(await due(1_000));
  await clock.advance(60_000);
  expect(reported).toEqual([]);
  expect(clock.pending).toBe(0);
});

function due(seconds: number) {
  return Promise.resolve({
    requests: [],
    oldestDue: [{ upstream: 'api', route: 'pay', seconds }],
    storeBytes: 0,
  });
}

test('a refused configuration is an event, and so is the next accepted one', () => {
  expect(reloadEvent({ ok: true }, false)).toBeUndefined();
  expect(reloadEvent({ ok: true }, true)?.type).toBe('config.accepted');
  const errors = ['1', '2', '3', '4', '5', '6'];
  expect(reloadEvent({ ok: false, errors }, false)).toMatchObject({
    type: 'config.refused',
    summary: 'a new configuration was refused, and the running one stays in use: 1',
    details: { problems: ['1', '2', '3', '4', '5'] },
  });
});

describe('messages', () => {
  const event: OperatorEvent = {
    type: 'breaker.opened',
    key: 'breaker a',
    summary: 'breaker of <a> & b opened',
    details: { upstream: 'a', cause: 'failure_rate', limited: undefined },
  };
  const message = { id: 'evt_1', event, at: 0, changes: 3 };

  test('as JSON they have the form of callbacks', () => {
    expect(JSON.parse(messageOf(message, 'json', 'host-1'))).toEqual({
      type: 'breaker.opened',
      timestamp: '1970-01-01T00:00:00.000Z',
      data: {
        summary: 'breaker of <a> & b opened',
        instance: 'host-1',
        changes: 3,
        upstream: 'a',
        cause: 'failure_rate',
      },
    });
  });

  test('for Slack they are one text, with its characters escaped', () => {
    expect(JSON.parse(messageOf(message, 'slack', 'host-1'))).toEqual({
      text: '*Breakwater* on host-1: breaker of &lt;a&gt; &amp; b opened (the last of 3 changes)',
    });
  });
});
