import type { Ask, EndpointReply } from '../auth/endpoint.ts';
import type { EndpointConfig } from '../config/config.ts';
import { EMPTY_BODY, wholeBody } from '../http/bodies/request-body.ts';
import { ByteBudget } from '../http/byte-budget.ts';
import { fieldPairs } from '../http/headers.ts';
import type { BodyEnd, BodySink, Reply } from '../http/reply.ts';
import { pipeline } from '../policies/order.ts';
import { Attempt } from '../proxy/attempt.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { Journal } from '../proxy/journal.ts';
import { sendBy } from '../proxy/pipeline.ts';
import { Abort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
import { createAgent } from '../upstream/agent.ts';
import { upstreamDispatch } from '../upstream/send.ts';
import { policiesOf } from './build-policies.ts';
import { PolicyState, type PolicyStateDeps } from './policy-state.ts';
import { RetainedState } from './retained-state.ts';

/** An issuer of credentials. */
export interface AuthEndpoint {
  readonly ask: Ask;
  /** Closes its idle connections. */
  readonly close: () => void;
}

/** Longer replies of an issuer are an error. A token has a few kilobytes at most. */
const MAX_REPLY_BYTES = 64 * 1024;

/** Calls an issuer as an upstream is called: with its timeouts, retries, budget and breaker. It is no upstream of the metrics. */
export function authEndpoint(
  config: EndpointConfig,
  deps: Omit<PolicyStateDeps, 'observer' | 'state'>,
): AuthEndpoint {
  const { clock, random, draining } = deps;
  const { origin, target, allowPrivate, connection, route } = config;
  const agent = createAgent(origin, { ...connection, allowPrivate }, { clock });
  const memory = new ByteBudget(MAX_REPLY_BYTES);
  const policyState = new PolicyState(
    { name: origin, origin },
    { clock, random, draining, observer: UNOBSERVED, state: new RetainedState() },
  );
  const policies = policiesOf(route, policyState, { clock, random, memory });
  policyState.connect();
  const { idleTimeoutMs, totalTimeoutMs, retry } = route.settings;
  const send = sendBy(pipeline(policies, upstreamDispatch(agent.requests, origin, { clock, idleTimeoutMs })));
  return {
    ask: async ({ headers, body }) => {
      const signal = new Abort();
      const call = {
        method: body === undefined ? 'GET' : 'POST',
        target,
        headers: body === undefined ? headers : [...headers, 'content-length', String(body.length)],
        body: body === undefined ? EMPTY_BODY : wholeBody([body], EMPTY_BODY),
        idempotencyKey: undefined,
        safe: retry.safe,
        journal: UNRECORDED,
      };
      const attempt = new Attempt({ deadline: clock.now() + totalTimeoutMs, signal });
      return received(await send(call, attempt), attempt, clock);
    },
    close: () => agent.close(),
  };
}

/** Reads the body up to the deadline, because calls wait for it. */
async function received(
  { status, headers, body }: Reply,
  { deadline, signal }: Attempt,
  clock: Clock,
): Promise<EndpointReply> {
  const sink = new ReplyText();
  const timer = clock.timer(deadline - clock.now(), () => signal.abort(lateBody()));
  const end = await new Promise<BodyEnd>((resolve) => {
    body.onEnd(resolve);
    body.pipeTo(sink);
  });
  timer.cancel();
  if (signal.reason !== undefined) throw signal.reason;
  if (end !== 'complete')
    throw new ProxyError('response_incomplete', 'the reply ended early, or is too long', {
      sent: 'sent_unknown',
    });
  return { status, headers: fieldPairs(headers), body: sink.text() };
}

const lateBody = (): ProxyError =>
  new ProxyError('idle_timeout', 'the body of the reply did not end in time', { sent: 'sent_unknown' });

/** Collects a short body. */
class ReplyText implements BodySink {
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;

  get destroyed(): boolean {
    return this.#bytes > MAX_REPLY_BYTES;
  }

  write(chunk: Uint8Array): boolean {
    this.#bytes += chunk.length;
    if (!this.destroyed) this.#chunks.push(chunk);
    return true;
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }

  end(): void {}
  destroy(): void {}
  on(): void {}
}

/** Failures of an issuer are reported with the renewal that they end. */
const UNOBSERVED = {
  attemptStarted: () => undefined,
  attemptEnded: () => undefined,
  noted: () => undefined,
  callEnded: () => undefined,
  stateChanged: () => undefined,
};

const UNRECORDED: Journal = {
  note: () => undefined,
  attemptStarted: () => undefined,
  attemptAnswered: () => undefined,
  attemptFailed: () => undefined,
  retryScheduled: () => undefined,
  hedgeStarted: () => undefined,
  waitedForQuota: () => undefined,
  ruleMatched: () => undefined,
  bodyBroke: () => undefined,
  elsewhere: () => UNRECORDED,
  at: () => UNRECORDED,
  inBackground: () => UNRECORDED,
};
