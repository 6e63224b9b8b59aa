import { expect, test } from 'vitest';
import { policiesOf } from '../../src/app/build-policies.ts';
import { RetainedState } from '../../src/app/retained-state.ts';
import { PolicyState } from '../../src/app/policy-state.ts';
import type { RouteConfig, UpstreamConfig } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import { attemptPipeline, type Policies, pipeline } from '../../src/policies/order.ts';
import { type Dispatch, sendBy, type Policy } from '../../src/proxy/pipeline.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { RecordingObserver } from '../support/record.ts';
import { sending, stubCall, stubReply } from '../support/stub-call.ts';

const ANSWERED: Dispatch = (_call, _attempt, receiver) => receiver.replied(stubReply());

/** The names of all policies that the assembly knows, those included that a route has off. */
function names(): string[] {
  const loaded = loadConfig('config.yaml', {}, () => 'upstreams: { api: { url: https://api.example } }');
  const upstream = (loaded.ok ? loaded.config.upstreams[0] : undefined) as UpstreamConfig;
  const clock = new FakeClock();
  const deps = { clock, random: () => 0, memory: new ByteBudget(1_000) };
  const state = new RetainedState();
  const policyState = new PolicyState(upstream, {
    ...deps,
    observer: new RecordingObserver(),
    state,
    draining: new Abort(),
  });
  return [...Object.keys(policiesOf(upstream.routes[0] as RouteConfig, policyState, deps)), 'fallback'];
}

/** Policies that only say that a call has passed them. Those with two ends are passed twice. */
function marked(passed: string[]): Policies {
  const mark =
    (name: string): Policy =>
    (next) =>
    (call, attempt) => {
      passed.push(name);
      return next(call, attempt);
    };
  const both = (name: string) => Object.assign(mark(name), { outer: mark(name), inner: mark(name) });
  return Object.fromEntries(names().map((name) => [name, both(name)])) as unknown as Policies;
}

test('every policy has its place: a call passes them all', async () => {
  const passed: string[] = [];
  await sending(sendBy(pipeline(marked(passed), ANSWERED)))(stubCall());
  const known = names().filter((name) => name !== 'cacheRefill');
  expect([...new Set(passed)].toSorted()).toEqual(known.toSorted());
});

test('one attempt of a durable request passes all policies but dedupe, fallback, hedge and retry', async () => {
  const passed: string[] = [];
  await sending(sendBy(attemptPipeline(marked(passed), ANSWERED)))(stubCall());
  const left = new Set(['dedupe', 'fallback', 'hedge', 'responseCache', 'retry']);
  expect([...new Set(passed)].toSorted()).toEqual(
    names()
      .filter((name) => !left.has(name))
      .toSorted(),
  );
});
