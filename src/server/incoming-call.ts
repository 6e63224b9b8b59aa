import { EMPTY_BODY, type RequestBody } from '../http/bodies/request-body.ts';
import { StreamedBody } from '../http/bodies/streamed-body.ts';
import type { ByteBudget } from '../http/byte-budget.ts';
import { type GrpcCall, grpcTimeoutMs } from '../http/grpc.ts';
import { hasListed, headerOf, requestHeaders } from '../http/headers.ts';
import type { Interim } from '../http/reply.ts';
import { Attempt } from '../proxy/attempt.ts';
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
import { endOfTurn } from '../runtime/turn.ts';
import type { CallRecord } from '../telemetry/call-record.ts';
import { watchBody } from './body-watch.ts';
import type { ClientRequest } from './client.ts';
import { clientRetries } from './client-retries.ts';
import { takesInterim } from './interim.ts';

export interface IncomingDeps {
  readonly clock: Clock;
  /** Shared by all calls: what may be kept for replay. */
  readonly memory: ByteBudget;
  readonly newId: () => string;
  /** Our entry in a request's Via, unique to this process so that a loop is seen. */
  readonly via: string;
  /** A client that sends nothing of its body for so long, while nobody holds it back, is sent away. */
  readonly bodyTimeoutMs: () => number;
  /** What a client must send or take, while the proxy waits for it. */
  readonly minBytesPerSecond: () => number;
}

/**
 * A body declared up to this size mostly comes in the same packets as its head. One buffer costs undici less than a
 * stream, so such a body has one turn of the event loop to be here. One that is slower streams, like all that are larger:
 * the upstream may answer before it is whole.
 */
const MAX_AWAITED_BYTES = 64 * 1024;

interface Incoming {
  readonly req: ClientRequest;
  readonly upgrade: Call['upgrade'];
  readonly record: CallRecord;
  readonly signal: Abort;
  readonly onInterim: (interim: Interim) => void;
  /** The response has begun: from there on, request and response may be a conversation. */
  readonly answered: () => boolean;
  /** The client's body has paused for too long. */
  readonly onStall: (error: ProxyError) => void;
}

/** A client's request on its way to becoming a Call. */
export class IncomingCall {
  readonly #incoming: Incoming;
  readonly #deps: IncomingDeps;
  #body: RequestBody = EMPTY_BODY;
  #stopWatching: (() => void) | undefined;

  constructor(incoming: Incoming, deps: IncomingDeps) {
    this.#incoming = incoming;
    this.#deps = deps;
  }

  /** What `route` sends. Rejects with a ProxyError where the request cannot be passed on as it is. */
  async toCall(route: Route, target: string): Promise<Call> {
    const { newId, via } = this.#deps;
    const { req, upgrade, record } = this.#incoming;
    const method = req.method as string;
    if (hasListed(req.rawHeaders, 'via', via)) {
      throw new ProxyError('proxy_loop', 'this request has passed through this proxy before');
    }
    const headers = requestHeaders(req.rawHeaders, route.headers, via);
    const overrides = route.overrides && this.#overrides(route.overrides);
    const key = idempotencyKey(route.idempotency, { method, headers, newId });
    const declared = headerOf(req.rawHeaders, 'content-length');
    const chunked = headerOf(req.rawHeaders, 'transfer-encoding') !== undefined;
    if (chunked || (declared !== undefined && declared !== '0')) {
      await this.#receiveBody(route, chunked ? undefined : Number(declared));
    }
    const grpc = this.#grpc();
    return {
      method,
      target,
      headers,
      body: this.#body,
      upgrade,
      grpc,
      idempotencyKey: key,
      keyedByClient: key !== undefined && headerOf(req.rawHeaders, route.idempotency.header) === key,
      safe: route.safe,
      clientRetries: this.#clientRetries(route),
      overrides,
      client: req.socket.remoteAddress,
      journal: record,
    };
  }

  /** What `call` is sent with: its time begins now. */
  firstAttempt(route: Route, { grpc, overrides, upgrade }: Call): Attempt {
    const { req, signal, onInterim } = this.#incoming;
    return new Attempt({
      deadline: deadlineOf(this.#deps.clock.now() + totalTimeoutMs(route.totalTimeoutMs, overrides), grpc),
      signal,
      onInterim: takesInterim(req, upgrade) ? onInterim : undefined,
    });
  }

  #clientRetries({ ownRetries }: Route): number {
    const { req, record } = this.#incoming;
    const retries = ownRetries === undefined ? 0 : clientRetries(req.rawHeaders);
    if (retries > 0) record.note('client_retries', retries);
    return retries;
  }

  #overrides(limits: OverrideLimits): CallOverrides | undefined {
    const { req, record } = this.#incoming;
    const asked = readOverrides(req.rawHeaders, limits);
    for (const [override, value] of asked === undefined ? [] : shownOverrides(asked)) {
      record.note('override', `${override}=${value}`);
    }
    return asked;
  }

  #grpc(): GrpcCall | undefined {
    const { req, record } = this.#incoming;
    if (req.grpc !== true) return undefined;
    const ms = grpcTimeoutMs(req.rawHeaders);
    return { deadline: ms === undefined ? undefined : record.startedAt + ms };
  }

  /** Lets go of the request and of what is kept of its body. */
  dispose(): void {
    this.#stopWatching?.();
    this.#body.dispose();
  }

  async #receiveBody(route: Route, declaredBytes: number | undefined): Promise<void> {
    const { clock, bodyTimeoutMs, memory, minBytesPerSecond } = this.#deps;
    const { req, record, onStall, answered } = this.#incoming;
    const body = new StreamedBody(req, {
      declaredBytes,
      now: () => clock.now(),
      maxBytes: route.maxReplayBytes,
      memory,
      onNotBuffered: (reason) => record.note('body_not_buffered', reason),
    });
    this.#body = body;
    this.#stopWatching = watchBody(req, {
      clock,
      idleMs: bodyTimeoutMs(),
      minBytesPerSecond: minBytesPerSecond(),
      // A stream of messages has no rate: gRPC's may be silent for long.
      awaited: () => req.grpc !== true && !answered() && body.awaited,
      onStall,
    });
    if (declaredBytes === undefined || declaredBytes > MAX_AWAITED_BYTES) return;
    await Promise.race([body.settled(), new Promise<void>(endOfTurn)]);
    if (req.destroyed && !req.complete)
      throw new ProxyError('client_gone', 'the client disconnected before its request body was complete');
  }
}

/** A client of gRPC may wait for less long than its route would. */
function deadlineOf(latest: number, grpc: GrpcCall | undefined): number {
  return grpc?.deadline === undefined ? latest : Math.min(latest, grpc.deadline);
}
