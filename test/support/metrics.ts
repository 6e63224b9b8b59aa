import { Metrics } from '../../src/metrics/registry.ts';
import type { StateSource, UpstreamSnapshot } from '../../src/proxy/snapshot.ts';
import { rescuedStory, Story } from './record.ts';

/** A state that a test may change between two scrapes. */
export class FakeState implements StateSource {
  list: UpstreamSnapshot[] = [upstream('demo')];

  upstreams(): readonly UpstreamSnapshot[] {
    return this.list;
  }

  replayBytes(): number {
    return 4096;
  }
}

export function upstream(
  name: string,
  changes: Partial<UpstreamSnapshot['scopes'][number]> = {},
): UpstreamSnapshot {
  const scope = {
    scope: name,
    breaker: { state: 'open', cause: 'failure_rate', retryAfterMs: 1499.2 } as const,
    budgetTokens: 7.5,
    limit: { limit: 20, inFlight: 3, queued: 2 },
    ...changes,
  };
  return { name, inFlight: 5, connections: 4, tunnels: 2, scopes: [scope] };
}

export function metricsOf(state: StateSource = new FakeState()): Metrics {
  return new Metrics({ version: '1.2.3', nodeVersion: 'v26.0.0', state });
}

/** Lets everything happen that has a metric. */
export async function everythingHappens(metrics: Metrics): Promise<void> {
  (await rescuedStory(metrics)).end();
  const story = await new Story(metrics).attempt('connection_terminated');
  const { record } = story;
  record.report({ type: 'retry_denied', reason: 'budget' });
  record.report({ type: 'queued', waitMs: 30 });
  record.report({ type: 'body_not_kept', reason: 'cap' });
  record.report({ type: 'rejected', reason: 'concurrency_limit', shadow: false });
  record.report({ type: 'rejected', reason: 'breaker_open', shadow: true });
  story.end({ status: 502, origin: 'proxy', error: 'connection_terminated' });
  metrics.stateChanged('demo', {
    type: 'breaker_changed',
    scope: 'demo',
    from: 'closed',
    to: 'open',
    cause: 'failure_rate',
  });
  metrics.stateChanged('demo', { type: 'breaker_stale_result', scope: 'demo' });
  metrics.configLoaded('success', Date.UTC(2026, 0, 1));
  metrics.configLoaded('failure', Date.UTC(2026, 0, 2));
}
