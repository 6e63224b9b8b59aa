import { EMPTY_BODY, type RequestBody } from '../http/bodies/request-body.ts';
import { StreamedBody } from '../http/bodies/streamed-body.ts';
import type { ByteBudget } from '../http/byte-budget.ts';
import { withoutParameters } from '../http/credentials.ts';
import { type GrpcCall, grpcTimeoutMs } from '../http/grpc.ts';
import { hasListed, headerOf, requestHeaders } from '../http/headers.ts';
import { Attempt, type InterimSink } from '../proxy/attempt.ts';
import { type Call, clientPartOf } from '../proxy/call.ts';
import { lowerOf, type NamedClient, type Priority } from '../proxy/client.ts';
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
  /** Receives a call whose body was awaited. */
  arrived(call: Call): void;
  /** Called instead if the client has left. */
  failed(error: ProxyError): void;
}

/** Turns a client's request into a Call. */
export class IncomingCall {
  readonly #owner: IncomingOwner;
  readonly #deps: IncomingDeps;
  #body: RequestBody = EMPTY_BODY;
  #streamed: StreamedBody | undefined;
  #stopWatching: (() => void) | undefined;
  #disposed = false;

  constructor(owner: IncomingOwner, deps: IncomingDeps) {
    this.#owner = owner;
    this.#deps = deps;
  }

  /**
   * The call for `route`; undefined if the owner receives it later, because the client is likely to send all of a small body
   * now. Throws a ProxyError if the request cannot be forwarded.
   */
  toCall(route: Route, target: string, client: NamedClient | undefined): Call | undefined {
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
    const awaited = this.#receiveBody(route);
    const call: Call = {
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
      priority: this.#priority(client, overrides),
      client: record.info.client,
      clientPart: clientPartOf(req.rawHeaders, route.clientPartHeader),
      identity: record.info,
      journal: record,
    };
    if (awaited === undefined) return call;
    this.#await(awaited, call);
    return undefined;
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

  /** A client with a token cannot ask for more than its own priority. */
  #priority(client: NamedClient | undefined, asked: CallOverrides | undefined): Priority | undefined {
    const own = client?.priority;
    const wanted = asked?.priority ?? own;
    const priority = own === undefined || wanted === undefined ? wanted : lowerOf(wanted, own);
    if (priority !== undefined && priority !== 'normal') this.#owner.record.note('priority', priority);
    return priority;
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
    this.#disposed = true;
    this.#stopWatching?.();
    this.#body.dispose();
  }

  /** Begins to receive the body, if there is one. Returns it if it is worth a wait. */
  #receiveBody(route: Route): StreamedBody | undefined {
    const { rawHeaders } = this.#owner.req;
    const chunked = headerOf(rawHeaders, 'transfer-encoding') !== undefined;
    const declaredBytes = chunked ? undefined : Number(headerOf(rawHeaders, 'content-length') ?? 0);
    if (declaredBytes === 0) return undefined;
    const body = this.#stream(route, declaredBytes);
    if (declaredBytes !== undefined && declaredBytes <= MAX_AWAITED_BYTES) return body;
    this.#watch(body);
    return undefined;
  }

  #stream(route: Route, declaredBytes: number | undefined): StreamedBody {
    const { clock, memory } = this.#deps;
    const { req, record } = this.#owner;
    const body = new StreamedBody(req, {
      declaredBytes,
      clock,
      maxBytes: route.maxReplayBytes,
      memory,
      onNotBuffered: (reason) => record.note('body_not_buffered', reason),
    });
    this.#body = body;
    this.#streamed = body;
    return body;
  }

  #watch(body: StreamedBody): void {
    const { clock, bodyTimeoutMs, minBytesPerSecond } = this.#deps;
    const owner = this.#owner;
    const { req, res } = owner;
    this.#stopWatching = watchBody(req, {
      clock,
      idleMs: bodyTimeoutMs(),
      minBytesPerSecond: minBytesPerSecond(),
      // Once the response has begun, request and response may depend on each other. A gRPC stream of messages can be silent
      // for long, so no minimum rate applies.
      awaited: () => req.grpc !== true && !res.headersSent && body.awaited,
      onStall: (error) => owner.end(error),
    });
  }

  /** Passes the call on when its body is complete or the client has left, at the latest at the end of the turn. */
  #await(body: StreamedBody, call: Call): void {
    let passed = false;
    const pass = () => {
      if (passed) return;
      passed = true;
      this.#pass(body, call);
    };
    body.onSettled(pass);
    if (!passed) endOfTurn(pass);
  }

  #pass(body: StreamedBody, call: Call): void {
    const { req } = this.#owner;
    if (req.destroyed && !req.complete) {
      const why = 'the client disconnected before its request body was complete';
      return this.#owner.failed(new ProxyError('client_gone', why));
    }
    if (body.arriving && !this.#disposed) this.#watch(body);
    this.#owner.arrived(call);
  }
}

/** The earlier of the route's deadline and that of a gRPC client. */
function deadlineOf(latest: number, grpc: GrpcCall | undefined): number {
  return grpc?.deadline === undefined ? latest : Math.min(latest, grpc.deadline);
}
