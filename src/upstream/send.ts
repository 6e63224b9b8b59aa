import type { Dispatcher } from 'undici';
import type { BodySource } from '../http/bodies/request-body.ts';
import { furtherAttempt, grpcStatusOf, httpStatusOf } from '../http/grpc.ts';
import type { RawHeaders } from '../http/headers.ts';
import { withTraceparent } from '../http/trace-context.ts';
import type { Reply } from '../http/reply.ts';
import type { Attempt } from '../proxy/attempt.ts';
import type { Call } from '../proxy/call.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { Send } from '../proxy/pipeline.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Sender } from './agent.ts';
import { Exchange, type ExchangeOptions } from './exchange.ts';
import { toProxyError } from './failure.ts';

/** The innermost Send: one attempt on one connection of `dispatcher`. It alone reports attempts. */
export function upstreamSend(dispatcher: Sender, origin: string, options: ExchangeOptions): Send {
  const { clock } = options;
  return async (call, attempt) => {
    const body = openBody(call, attempt);
    const startedAt = clock.now();
    const { journal } = call;
    const { number } = attempt;
    const traceparent = journal.attemptStarted(number);
    attempt.onStart?.(attempt.watch);
    try {
      const received = await dispatch({ dispatcher, origin, body, traceparent }, call, attempt, options);
      const reply = call.grpc === undefined ? received : withGrpcStatus(received);
      attempt.onReached?.();
      if (attempt.answersLater?.(reply) !== true)
        journal.attemptAnswered(number, reply, clock.now() - startedAt);
      return reply;
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      if (error.sent !== 'not_sent') attempt.onReached?.();
      journal.attemptFailed(number, error, clock.now() - startedAt);
      throw error;
    }
  };
}

/** Opens the request body. An error here is not an attempt, because the upstream was not contacted. */
function openBody(call: Call, { signal }: Attempt): BodySource {
  if (signal.aborted) throw toProxyError(signal.reason, 'not_sent');
  try {
    return call.body.open();
  } catch (error) {
    throw toProxyError(error, 'not_sent');
  }
}

/** Maps a trailers-only error of gRPC, which has HTTP status 200, to its equivalent HTTP status for the policies. */
function withGrpcStatus(reply: Reply): Reply {
  const grpc = reply.status === 200 ? grpcStatusOf(reply.headers) : undefined;
  return grpc === undefined ? reply : { ...reply, status: httpStatusOf(grpc), received: reply.status, grpc };
}

function headersOf({ grpc, headers }: Call, { number }: Attempt, clock: Clock): RawHeaders {
  if (grpc === undefined || number === 1) return headers;
  return furtherAttempt(headers, grpc, { attempt: number, now: clock.now() });
}

const traced = (headers: RawHeaders, traceparent: string | undefined): RawHeaders =>
  traceparent === undefined ? headers : withTraceparent(headers, traceparent);

interface Destination {
  readonly dispatcher: Sender;
  readonly origin: string;
  readonly body: BodySource;
  readonly traceparent: string | undefined;
}

function dispatch(
  { dispatcher, origin, body, traceparent }: Destination,
  call: Call,
  attempt: Attempt,
  options: ExchangeOptions,
): Promise<Reply> {
  const exchange = new Exchange(call.upgrade, attempt, body, options);
  try {
    dispatcher.dispatch(
      {
        origin,
        path: call.target,
        method: call.method as Dispatcher.HttpMethod,
        headers: traced(headersOf(call, attempt, options.clock), traceparent) as string[],
        body: (body as Buffer | undefined) ?? null,
        upgrade: call.upgrade ?? null,
      },
      exchange,
    );
  } catch (error) {
    // undici validates a request before it uses a socket.
    exchange.onResponseError(undefined, toProxyError(error, 'not_sent'));
  }
  return exchange.reply;
}
