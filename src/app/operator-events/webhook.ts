import { signatureHeaders, webhookKey } from '../../durable/callbacks/sign.ts';
import { EMPTY_BODY, wholeBody } from '../../http/bodies/request-body.ts';
import { retryAfterMs } from '../../http/retry-after.ts';
import { attemptTimeout } from '../../policies/timeouts/attempt-timeout.ts';
import { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { compose } from '../../proxy/compose.ts';
import { type Send, sendBy, settle } from '../../proxy/pipeline.ts';
import type { Abort } from '../../runtime/abort.ts';
import type { Clock } from '../../runtime/clock.ts';
import { CallRecord } from '../../telemetry/call-record.ts';
import { combine } from '../../telemetry/observer.ts';
import type { EventOptions } from '../../telemetry/operator-events/options.ts';
import { WEBHOOK_CONNECTION } from '../webhook-connection.ts';
import { type Agent, createAgent } from '../../upstream/agent.ts';
import { upstreamDispatch } from '../../upstream/send.ts';

/** The result of one delivery. `refused`: the receiver will never take this message. */
export type Delivery =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'refused' | 'failed'; readonly why: string; readonly askedMs: number };

/** Milliseconds for one delivery, to the head of its reply. */
const TIMEOUT_MS = 10_000;

/** These statuses say that a later delivery may succeed; the other 4xx do not. */
const RETRIED_4XX: ReadonlySet<number> = new Set([408, 425, 429]);

/** No one looks at single deliveries; the result of each is counted. */
const UNOBSERVED = combine();

/** Delivers messages to the webhook of the operator, signed as callbacks are. */
export class Webhook {
  readonly #options: EventOptions;
  readonly #clock: Clock;
  readonly #agent: Agent;
  readonly #send: Send;

  constructor(options: EventOptions, clock: Clock) {
    const { allowPrivate, origin } = options;
    this.#options = options;
    this.#clock = clock;
    this.#agent = createAgent(origin, { ...WEBHOOK_CONNECTION, allowPrivate }, { clock });
    const upstream = upstreamDispatch(this.#agent.requests, origin, { clock, idleTimeoutMs: TIMEOUT_MS });
    this.#send = sendBy(compose([attemptTimeout(TIMEOUT_MS, clock)], upstream));
  }

  async deliver(id: string, body: string, signal: Abort): Promise<Delivery> {
    const deadline = this.#clock.now() + TIMEOUT_MS;
    const outcome = await settle(this.#send, this.#call(id, body), new Attempt({ deadline, signal }));
    if (outcome.kind === 'error') return { kind: 'failed', why: outcome.error.message, askedMs: 0 };
    const { status, headers, body: reply } = outcome.reply;
    reply.discard();
    if (status >= 200 && status < 300) return { kind: 'delivered' };
    const refused = status >= 400 && status < 500 && !RETRIED_4XX.has(status);
    const askedMs = retryAfterMs(headers, this.#clock.wallTime()) ?? 0;
    return { kind: refused ? 'refused' : 'failed', why: `it answered ${status}`, askedMs };
  }

  close(): void {
    this.#agent.close();
  }

  #call(id: string, body: string): Call {
    const { webhookPath: target, secrets } = this.#options;
    const bytes = Buffer.from(body);
    const timestamp = Math.floor(this.#clock.wallTime() / 1_000);
    const keys = secrets.flatMap((secret) => webhookKey(secret) ?? []);
    const signature = keys.length === 0 ? [] : signatureHeaders(keys, { id, timestamp, body: bytes });
    const info = { id, upstream: '', route: 'events', method: 'POST', target };
    return {
      method: 'POST',
      target,
      headers: ['content-type', 'application/json', 'user-agent', 'breakwater', ...signature],
      body: wholeBody([bytes], EMPTY_BODY),
      idempotencyKey: undefined,
      journal: new CallRecord(info, this.#clock, UNOBSERVED),
    };
  }
}
