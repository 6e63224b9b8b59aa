import { EMPTY_BODY, type RequestBody } from '../http/bodies/request-body.ts';
import { StreamedBody } from '../http/bodies/streamed-body.ts';
import type { ByteBudget } from '../http/byte-budget.ts';
import { withoutParameters } from '../http/credentials.ts';
import { type GrpcCall, grpcTimeoutMs } from '../http/grpc.ts';
import { hasListed, headerOf, requestHeaders } from '../http/headers.ts';
import { Attempt, type InterimSink } from '../proxy/attempt.ts';
import type { Call } from '../proxy/call.ts';
import { ProxyError } from '../proxy/errors.ts';
import { idempotencyKey } from '../proxy/idempotency-key.ts';
import {
  type CallOverrides,
  type OverrideLimits,
  readOverrides,
  shownOverrides,
  totalTimeoutMs,
} from '../proxy/overrides.ts';
import type { Route } from '../proxy/route.ts';
import type { Abort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
import { endOfTurn } from '../runtime/event-loop.ts';
import type { CallRecord } from '../telemetry/call-record.ts';
import { watchBody } from './body-watch.ts';
import type { ClientRequest, ClientResponse } from './client.ts';
import { clientRetries } from './client-retries.ts';
import { takesInterim } from './interim.ts';

export interface IncomingDeps {
  readonly clock: Clock;
  /** The memory of all buffered bodies of the process. */
  readonly memory: ByteBudget;
  readonly newId: () => string;
  /** This proxy's entry in Via, unique to the process, so that a loop is detected. */
  readonly via: string;
  /** A client that sends no byte of its body for this long, without back-pressure, gets an error. */
  readonly bodyTimeoutMs: () => number;
  /** The minimum rate of an upload or download while the proxy waits for the client. 0: no minimum. */
  readonly minBytesPerSecond: () => number;
}

/**
 * Bodies up to this size usually arrive in the same packets as their head. The proxy waits one turn of the event loop for
 * them, because one buffer costs undici less than a stream. Larger and slower bodies are streamed: the upstream may answer
 * before they are complete.
 */
const MAX_AWAITED_BYTES = 64 * 1024;

/** The exchange whose request is turned into a call. */
export interface IncomingOwner extends InterimSink {
  readonly req: ClientRequest;
  readonly res: Pick<ClientResponse, 'headersSent'>;
  readonly upgrade: Call['upgrade'];
  readonly record: CallRecord;
  readonly signal: Abort;
  /** Called if the request body stalls or is too slow. */
  end(error: ProxyError): void;
}

/** Turns a client's request into a Call. */
export class IncomingCall {
  readonly #owner: IncomingOwner;
  readonly #deps: IncomingDeps;
  #body: RequestBody = EMPTY_BODY;
  #streamed: StreamedBody | undefined;
  #stopWatching: (() => void) | undefined;

  constructor(owner: IncomingOwner, deps: IncomingDeps) {
    this.#owner = owner;
    this.#deps = deps;
  }

  /**
   * The call for `route`; a promise if the client is likely to send all of a small body now. Throws or rejects with a ProxyError
   * if the request cannot be forwarded.
   */
  toCall(route: Route, target: string): Call | Promise<Call> {
    const { newId, via } = this.#deps;
    const { req, upgrade, record } = this.#owner;
    const { dropParameters } = route;
    const method = req.method as string;
    if (hasListed(req.rawHeaders, 'via', via)) {
      throw new ProxyError('proxy_loop', 'this request has passed through this proxy before');
    }
    const headers = requestHeaders(req.rawHeaders, route.headers, via);
    const overrides = route.overrides && this.#overrides(route.overrides);
    const key = idempotencyKey(route.idempotency, { method, headers, newId });
    const arrival = this.#receiveBody(route);
    const call = {
      method,
      target: dropParameters === undefined ? target : withoutParameters(target, dropParameters),
      headers,
      body: this.#body,
      upgrade,
      grpc: this.#grpc(),
      idempotencyKey: key,
      keyedByClient: key !== undefined && headerOf(req.rawHeaders, route.idempotency.header) === key,
      safe: route.safe,
      clientRetries: this.#clientRetries(route),
      overrides,
      client: record.info.client,
      identity: record.info,
      journal: record,
    };
    return arrival === undefined ? call : arrival.then(() => call);
  }

  /** The first attempt of `call`. Its total timeout begins now. */
  firstAttempt(route: Route, { grpc, overrides, upgrade }: Call): Attempt {
    const { req, signal } = this.#owner;
    return new Attempt({
      deadline: deadlineOf(this.#deps.clock.now() + totalTimeoutMs(route.totalTimeoutMs, overrides), grpc),
      signal,
      interims: takesInterim(req, upgrade) ? this.#owner : undefined,
    });
  }

  #clientRetries({ ownRetries }: Route): number {
    const { req, record } = this.#owner;
    const retries = ownRetries === undefined ? 0 : clientRetries(req.rawHeaders);
    if (retries > 0) record.note('client_retries', retries);
    return retries;
  }

  #overrides(limits: OverrideLimits): CallOverrides | undefined {
    const { req, record } = this.#owner;
    const asked = readOverrides(req.rawHeaders, limits);
    for (const [override, value] of asked === undefined ? [] : shownOverrides(asked)) {
      record.note('override', `${override}=${value}`);
    }
    return asked;
  }

  #grpc(): GrpcCall | undefined {
    const { req, record } = this.#owner;
    if (req.grpc !== true) return undefined;
    const ms = grpcTimeoutMs(req.rawHeaders);
    return { deadline: ms === undefined ? undefined : record.startedAt + ms };
  }

  /** Bytes of the request body that have arrived. */
  get bytes(): number {
    return this.#streamed?.received ?? 0;
  }

  /** Stops the body watch and frees the buffered body. */
  dispose(): void {
    this.#stopWatching?.();
    this.#body.dispose();
  }

  /** Begins to receive the body, if there is one. The promise is for a body that is worth a wait. */
  #receiveBody(route: Route): Promise<void> | undefined {
    const { rawHeaders } = this.#owner.req;
    const chunked = headerOf(rawHeaders, 'transfer-encoding') !== undefined;
    const declaredBytes = chunked ? undefined : Number(headerOf(rawHeaders, 'content-length') ?? 0);
    if (declaredBytes === 0) return undefined;
    const body = this.#stream(route, declaredBytes);
    const isSmall = declaredBytes !== undefined && declaredBytes <= MAX_AWAITED_BYTES;
    return isSmall ? this.#untilSettled(body) : undefined;
  }

  #stream(route: Route, declaredBytes: number | undefined): StreamedBody {
    const { clock, bodyTimeoutMs, memory, minBytesPerSecond } = this.#deps;
    const owner = this.#owner;
    const { req, record, res } = owner;
    const body = new StreamedBody(req, {
      declaredBytes,
      now: () => clock.now(),
      maxBytes: route.maxReplayBytes,
      memory,
      onNotBuffered: (reason) => record.note('body_not_buffered', reason),
    });
    this.#body = body;
    this.#streamed = body;
    this.#stopWatching = watchBody(req, {
      clock,
      idleMs: bodyTimeoutMs(),
      minBytesPerSecond: minBytesPerSecond(),
      // Once the response has begun, request and response may depend on each other. A gRPC stream of messages can be silent for long, so no minimum rate applies.
      awaited: () => req.grpc !== true && !res.headersSent && body.awaited,
      onStall: (error) => owner.end(error),
    });
    return body;
  }

  async #untilSettled(body: StreamedBody): Promise<void> {
    const { req } = this.#owner;
    await Promise.race([body.settled(), new Promise<void>(endOfTurn)]);
    if (req.destroyed && !req.complete)
      throw new ProxyError('client_gone', 'the client disconnected before its request body was complete');
  }
}

/** The earlier of the route's deadline and that of a gRPC client. */
function deadlineOf(latest: number, grpc: GrpcCall | undefined): number {
  return grpc?.deadline === undefined ? latest : Math.min(latest, grpc.deadline);
}
