import type { Dispatcher } from 'undici';
import type { BodySource } from '../http/bodies/request-body.ts';
import { furtherAttempt, grpcStatusOf, httpStatusOf } from '../http/grpc.ts';
import type { RawHeaders } from '../http/headers.ts';
import { withTraceparent } from '../http/trace-context.ts';
import type { Reply } from '../http/reply.ts';
import type { Attempt } from '../proxy/attempt.ts';
import type { Call } from '../proxy/call.ts';
import type { ProxyError } from '../proxy/errors.ts';
import type { Dispatch, Receiver } from '../proxy/pipeline.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Sender } from './agent.ts';
import { Exchange, type ExchangeOptions } from './exchange.ts';
import { toProxyError } from './failure.ts';

/** Makes attempts on connections of `dispatcher`. It alone reports attempts. */
export function upstreamDispatch(dispatcher: Sender, origin: string, options: ExchangeOptions): Dispatch {
  return (call, attempt, receiver) => {
    let body: BodySource;
    try {
      body = openBody(call, attempt);
    } catch (error) {
      return receiver.failed(error);
    }
    const reported = new ReportedAttempt(call, attempt, receiver, options.clock);
    const exchange = new Exchange(reported, body, options);
    try {
      dispatcher.dispatch(
        {
          origin,
          path: (attempt.authorized ?? call).target,
          method: call.method as Dispatcher.HttpMethod,
          headers: traced(headersOf(call, attempt, options.clock), reported.traceparent) as string[],
          body: (body as Buffer | undefined) ?? null,
          upgrade: call.upgrade ?? null,
        },
        exchange,
      );
    } catch (error) {
      // undici validates a request before it uses a socket.
      exchange.onResponseError(undefined, toProxyError(error, 'not_sent'));
    }
  };
}

/** Reports the start and the outcome of one attempt. */
class ReportedAttempt implements Receiver {
  readonly call: Call;
  readonly attempt: Attempt;
  /** For the upstream, if the call is traced. */
  readonly traceparent: string | undefined;
  readonly #receiver: Receiver;
  readonly #clock: Clock;
  readonly #startedAt: number;

  constructor(call: Call, attempt: Attempt, receiver: Receiver, clock: Clock) {
    this.call = call;
    this.attempt = attempt;
    this.#receiver = receiver;
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.traceparent = call.journal.attemptStarted(attempt.number);
    attempt.startListener?.started(attempt.watch);
  }

  replied(received: Reply): void {
    const { call, attempt } = this;
    const reply = call.grpc === undefined ? received : withGrpcStatus(received);
    attempt.onReached?.();
    if (attempt.answersLater?.(reply) !== true)
      call.journal.attemptAnswered(attempt.number, reply, this.#clock.now() - this.#startedAt);
    this.#receiver.replied(reply);
  }

  failed(error: ProxyError): void {
    const { call, attempt } = this;
    if (error.sent !== 'not_sent') attempt.onReached?.();
    call.journal.attemptFailed(attempt.number, error, this.#clock.now() - this.#startedAt);
    this.#receiver.failed(error);
  }
}

/** Opens the request body. An error here is not an attempt, because the upstream was not contacted. */
function openBody(call: Call, attempt: Attempt): BodySource {
  const { signal } = attempt;
  if (signal.aborted) throw toProxyError(signal.reason, 'not_sent');
  try {
    return attempt.bodyOf(call).open();
  } catch (error) {
    throw toProxyError(error, 'not_sent');
  }
}

/** Maps a trailers-only error of gRPC, which has HTTP status 200, to its equivalent HTTP status for the policies. */
function withGrpcStatus(reply: Reply): Reply {
  const grpc = reply.status === 200 ? grpcStatusOf(reply.headers) : undefined;
  return grpc === undefined ? reply : { ...reply, status: httpStatusOf(grpc), received: reply.status, grpc };
}

function headersOf(call: Call, { authorized, number }: Attempt, clock: Clock): RawHeaders {
  const { grpc } = call;
  const { headers } = authorized ?? call;
  if (grpc === undefined || number === 1) return headers;
  return furtherAttempt(headers, grpc, { attempt: number, now: clock.now() });
}

const traced = (headers: RawHeaders, traceparent: string | undefined): RawHeaders =>
  traceparent === undefined ? headers : withTraceparent(headers, traceparent);
