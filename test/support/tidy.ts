import { expect, onTestFinished, vi } from 'vitest';
import { BackoffInterrupt } from '../../src/policies/retry/backoff-interrupt.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { type Breakwater, type BreakwaterOptions, startBreakwater } from './breakwater.ts';
import { FakeClock } from './fake-clock.ts';

/** The known quotas of an upstream. */
export interface QuotaState {
  readonly waiting: number;
  readonly cooldowns: number;
  readonly credentials: readonly {
    readonly credential: string;
    readonly waiting: number;
    readonly cooldown?: { readonly cause: string; readonly retry_after_ms: number };
    readonly buckets: readonly {
      readonly bucket: string;
      readonly policy?: string;
      readonly limit?: number;
      readonly remaining: number;
      readonly reset_ms?: number;
    }[];
  }[];
}

interface State {
  readonly buffered_body_bytes: number;
  readonly upstreams: readonly {
    readonly name: string;
    readonly in_flight: number;
    readonly connections: number;
    readonly tunnels: number;
    readonly scopes: readonly {
      readonly scope: string;
      readonly breaker?: { readonly state: string };
      readonly budget_tokens?: number;
      readonly dedupe_bytes?: number;
      readonly concurrency?: { readonly limit: number; readonly in_flight: number; readonly queued: number };
      readonly quota?: QuotaState;
    }[];
  }[];
}

/** The current state from the admin API. */
export async function stateOf(proxy: Breakwater): Promise<State> {
  const reply = await fetch(`${proxy.adminUrl}/api/state`, { headers: { connection: 'close' } });
  return (await reply.json()) as State;
}

/** Resolves once `condition` holds for the proxy's state. It is polled, because no event announces it. */
export async function untilState(proxy: Breakwater, condition: (state: State) => boolean): Promise<State> {
  for (;;) {
    const state = await stateOf(proxy);
    if (condition(state)) return state;
  }
}

/**
 * Starts the proxy, and fails the test if its calls leak anything. That is a call, a permit, a place in the queue,
 * buffered bytes, a call in backoff, a timer of the fake clock, a listener on a call's signal.
 */
export async function startTidy(yaml: string, options: BreakwaterOptions = {}): Promise<Breakwater> {
  const spy = vi.spyOn(Abort.prototype, 'on');
  const slept = vi.spyOn(BackoffInterrupt.prototype, 'onWake');
  const woke = vi.spyOn(BackoffInterrupt.prototype, 'offWake');
  onTestFinished(() => {
    for (const one of [spy, slept, woke]) one.mockRestore();
  });
  const proxy = await startBreakwater(yaml, options);
  onTestFinished(async () => {
    const state = await untilState(proxy, ({ upstreams }) => upstreams.every((one) => one.in_flight === 0));
    const limits = state.upstreams.flatMap(({ scopes }) =>
      scopes.flatMap(({ concurrency }) => concurrency ?? []),
    );
    expect({
      bufferedBytes: state.buffered_body_bytes,
      permits: limits.reduce((sum, limit) => sum + limit.in_flight, 0),
      queued: limits.reduce((sum, limit) => sum + limit.queued, 0),
      waiting: state.upstreams
        .flatMap(({ scopes }) => scopes)
        .reduce((sum, { quota }) => sum + (quota?.waiting ?? 0), 0),
      sleepers: slept.mock.calls.length - woke.mock.calls.length,
      timers: options.clock instanceof FakeClock ? options.clock.pending : 0,
      listeners: [...new Set<Abort>(spy.mock.contexts as Abort[])].reduce(
        (sum, signal) => sum + signal.listenerCount,
        0,
      ),
      bugs: proxy.logs.filter(({ level }) => level === 'error').map(({ fields }) => fields['error']),
    }).toEqual({
      bufferedBytes: 0,
      permits: 0,
      queued: 0,
      waiting: 0,
      sleepers: 0,
      timers: 0,
      listeners: 0,
      bugs: [],
    });
  });
  return proxy;
}
