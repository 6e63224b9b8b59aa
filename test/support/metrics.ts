import { NOTE_ROWS, type NoteName, type Notes } from '../../src/proxy/notes.ts';
import { Metrics } from '../../src/telemetry/metrics/registry.ts';
import type { DurableSnapshot, StateSource, UpstreamSnapshot } from '../../src/telemetry/snapshot.ts';
import { rescuedStory, Story } from './record.ts';

/** A state that a test may change between two scrapes. */
export class FakeState implements StateSource {
  list: UpstreamSnapshot[] = [upstream('demo')];

  upstreams(): readonly UpstreamSnapshot[] {
    return this.list;
  }

  bufferedBytes(): number {
    return 4096;
  }

  shared = () => ({
    store: 'redis://127.0.0.1:6379',
    away: undefined,
    replicas: 3,
    roundTrips: { ok: 12, late: 1, failed: 0 },
    values: {
      away: undefined,
      roundTrips: { ok: 8, late: 0, failed: 0 },
      counts: { reply: { written: 2 }, token: { read: 1 } },
    },
  });

  storeWorking(): boolean {
    return true;
  }

  async durable(): Promise<DurableSnapshot> {
    return {
      requests: [{ upstream: 'demo', route: 'orders', status: 'waiting', count: 3 }],
      oldestDue: [{ upstream: 'demo', route: 'orders', seconds: 12.5 }],
      storeBytes: 65_536,
    };
  }
}

export function upstream(
  name: string,
  changes: Partial<UpstreamSnapshot['scopes'][number]> = {},
): UpstreamSnapshot {
  const scope = {
    scope: name,
    breaker: { state: 'open', cause: 'failure_rate', forced: false, retryAfterMs: 1499.2 } as const,
    budgetTokens: 7.5,
    cacheBytes: 2048,
    dedupeBytes: 1024,
    auth: { kind: 'oauth2', expiresMs: 60_000 },
    limit: { limit: 20, inFlight: 3, queued: 2 },
    quota: {
      waiting: 6,
      cooldowns: 1,
      scarcest: [{ bucket: 'default', policy: '', limit: 100, remaining: 40, resetMs: 2_500 }],
      credentials: [
        {
          credential: 'k3JxQ0aZ',
          waiting: 6,
          cooldown: { cause: 'retry_after' as const, retryAfterMs: 1_200.5 },
          buckets: [{ bucket: 'default', policy: 'day', limit: 100, remaining: 40.9, resetMs: 2_500 }],
        },
      ],
    },
    ...changes,
  };
  return {
    name,
    url: 'http://127.0.0.1:8090',
    mount: '/demo',
    inFlight: 5,
    connections: 4,
    tunnels: 2,
    scopes: [scope],
    targets: [
      {
        name: 'eu',
        url: 'http://127.0.0.1:8090',
        weight: 1,
        tier: 1,
        inFlight: 2,
        state: 'refused',
        status: 401,
        retryAfterMs: 4_999.5,
        scopes: { host: 'demo@127.0.0.1:8090', credential: 'demo@eu' },
      },
    ],
    tenants: {
      count: 3,
      max: 1_000,
      notClosed: 1,
      busiest: [{ tenant: 'acme', inFlight: 2, connections: 1, scopes: [scope] }],
    },
  };
}

export function metricsOf(state: StateSource = new FakeState()): Metrics {
  return new Metrics({ version: '1.2.3', nodeVersion: 'v26.0.0', state });
}

/** The text of a scrape. */
export async function scraped(metrics: Metrics, accept?: string): Promise<string> {
  let text = '';
  for await (const piece of metrics.scrape(accept).pieces) text += piece;
  return text;
}

/** A value of the note's kind. What it says does not matter to the code that folds, logs and counts it. */
export function sampleOf<N extends NoteName>(name: N): Notes[N] {
  const { fold, histogram } = NOTE_ROWS[name];
  const isNumber = histogram !== undefined || fold === 'sum' || name === 'client_retries';
  return (isNumber ? 1_500 : 'some=value') as Notes[N];
}

/** Causes every event that has a metric. */
export async function everythingHappens(metrics: Metrics): Promise<void> {
  (await rescuedStory(metrics)).end();
  const story = await new Story(metrics).attempt('connection_terminated');
  const { record } = story;
  for (const name of Object.keys(NOTE_ROWS) as NoteName[]) record.note(name, sampleOf(name));
  story.end({ status: 502, origin: 'proxy', error: 'connection_terminated' });
  metrics.stateChanged('demo', {
    type: 'breaker_changed',
    scope: 'demo',
    from: 'closed',
    to: 'open',
    cause: 'failure_rate',
  });
  metrics.stateChanged('demo', { type: 'breaker_stale_result', scope: 'demo' });
  metrics.stateChanged('demo', {
    type: 'target_changed',
    scope: 'demo@eu',
    target: 'eu',
    to: 'out',
    cause: 'status_401',
  });
  metrics.stateChanged('demo', { type: 'tenant_left', scope: 'demo', tenant: 'acme' });
  metrics.stateChanged('demo', { type: 'credential_renewal', scope: 'demo', result: 'renewed' });
  metrics.stateChanged('demo', {
    type: 'quota_cooldown_started',
    scope: 'demo',
    cause: 'retry_after',
    remainingMs: 5_000,
    credential: '',
    limited: '',
  });
  metrics.stateChanged('demo', {
    type: 'quota_cooldown_heard',
    scope: 'demo',
    cause: 'retry_after',
    remainingMs: 5_000,
    credential: '',
    limited: '',
  });
  metrics.stateChanged('demo', {
    type: 'quota_cooldown_remembered',
    scope: 'demo',
    cause: 'retry_after',
    remainingMs: 5_000,
    credential: '',
    limited: '',
  });
  metrics.stateChanged('demo', { type: 'quota_remembered', scope: 'demo', credential: '' });
  metrics.stateChanged('demo', { type: 'quota_probe', scope: 'demo', by: 'this' });
  metrics.stateChanged('demo', { type: 'durable_deferred', scope: 'demo/orders', reason: 'quota' });
  metrics.stateChanged('', { type: 'store_committed', scope: '', ms: 2 });
  metrics.stateChanged('', { type: 'store_health', scope: '', to: 'failed', problem: 'full' });
  metrics.stateChanged('', { type: 'shared_store', scope: '', to: 'away', cause: 'lost' });
  metrics.stateChanged('', { type: 'operator_event', scope: '', outcome: 'delivered' });
  metrics.stateChanged('', { type: 'schedule_slot', scope: 'rates', result: 'started' });
  metrics.stateChanged('', { type: 'callback_ended', scope: '/callbacks', outcome: 'delivered' });
  metrics.stateChanged('demo', { type: 'durable_polled', scope: 'demo/orders', result: 'changed' });
  metrics.stateChanged('demo', { type: 'durable_reclaimed', scope: 'demo/orders' });
  metrics.stateChanged('demo', {
    type: 'durable_ended',
    scope: 'demo/orders',
    status: 'succeeded',
    ms: 90_000,
  });
  metrics.configLoaded('success', Date.UTC(2026, 0, 1));
  metrics.configLoaded('failure', Date.UTC(2026, 0, 2));
}
