import type { Dispatcher } from 'undici';
import type { BodySource } from '../http/bodies/request-body.ts';
import { furtherAttempt, grpcStatusOf, httpStatusOf } from '../http/grpc.ts';
import type { RawHeaders } from '../http/headers.ts';
import type { Reply } from '../http/reply.ts';
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
  return async (call) => {
    const body = openBody(call);
    const startedAt = clock.now();
    const { attempt, journal } = call;
    journal.attemptStarted(attempt);
    call.onStart?.();
    try {
      const came = await dispatch({ dispatcher, origin, body }, call, options);
      const reply = call.grpc === undefined ? came : judged(came);
      journal.attemptAnswered(attempt, reply, clock.now() - startedAt);
      return reply;
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      journal.attemptFailed(attempt, error, clock.now() - startedAt);
      throw error;
    }
  };
}

/** What ends here was no attempt: the upstream is not touched. */
function openBody(call: Call): BodySource {
  if (call.signal.aborted) throw toProxyError(call.signal.reason, 'not_sent');
  try {
    return call.body.open();
  } catch (error) {
    throw toProxyError(error, 'not_sent');
  }
}

/** An error that is all of a reply to gRPC comes with 200; the policies judge it by the status that it stands for. */
function judged(reply: Reply): Reply {
  const grpc = reply.status === 200 ? grpcStatusOf(reply.headers) : undefined;
  return grpc === undefined ? reply : { ...reply, status: httpStatusOf(grpc), grpc };
}

function headersOf({ attempt, grpc, headers }: Call, clock: Clock): RawHeaders {
  if (grpc === undefined || attempt === 1) return headers;
  return furtherAttempt(headers, grpc, { attempt, now: clock.now() });
}

interface Destination {
  readonly dispatcher: Sender;
  readonly origin: string;
  readonly body: BodySource;
}

function dispatch(
  { dispatcher, origin, body }: Destination,
  call: Call,
  options: ExchangeOptions,
): Promise<Reply> {
  const exchange = new Exchange(call, body, options);
  try {
    dispatcher.dispatch(
      {
        origin,
        path: call.target,
        method: call.method as Dispatcher.HttpMethod,
        headers: headersOf(call, options.clock) as string[],
        body: (body as Buffer | undefined) ?? null,
        upgrade: call.upgrade ?? null,
      },
      exchange,
    );
  } catch (error) {
    // undici refuses what it cannot put on the wire before it touches a socket.
    exchange.onResponseError(undefined, toProxyError(error, 'not_sent'));
  }
  return exchange.reply;
}
