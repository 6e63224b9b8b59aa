import { formatTraceparent, type TraceContext } from '../../http/trace-context.ts';
import { unguessableId } from '../../runtime/random.ts';

export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** A moment within a call, such as the start of a wait. */
export interface TraceEvent {
  readonly name: string;
  /** Milliseconds since the start of the call. */
  readonly atMs: number;
  readonly attributes: Attributes;
}

export interface TraceStart {
  /** The sender's span, which becomes the parent. */
  readonly parent?: TraceContext | undefined;
  /** The span of the call that submitted this durable request. It may have ended long ago, so it is linked. */
  readonly submission?: TraceContext | undefined;
  /** Wall-clock milliseconds. */
  readonly startedAt: number;
  /** The path pattern of the route, for names. */
  readonly pattern?: string | undefined;
  /** Replaces the path in spans, because paths may hold personal data. */
  readonly shownPath?: string | undefined;
  /** The origin of the attempts, if it is not that of a configured upstream. */
  readonly origin?: string | undefined;
  /** Attempts carry `traceparent` to the upstream. */
  readonly propagates: boolean;
}

/** As many events as the SDK accepts for one span, and as many attempts. Further ones are left out. */
const MOST = 128;

/** The trace of one sampled call: the ids of its spans, and its events. */
export class CallTrace {
  readonly start: TraceStart;
  readonly traceId: string;
  readonly spanId: string = newSpanId();
  /** Ids of the spans of attempts, in the order of the record's entries. */
  readonly attempts: string[] = [];
  readonly events: TraceEvent[] = [];

  constructor(start: TraceStart) {
    this.start = start;
    this.traceId = start.parent?.traceId ?? unguessableId();
  }

  /** The position of the call itself, for requests that follow from it. */
  get traceparent(): string {
    return formatTraceparent(this.traceId, this.spanId);
  }

  /** Begins the span of the next attempt. Returns the `traceparent` that it carries, if it carries one. */
  attempt(): string | undefined {
    if (this.attempts.length >= MOST) return undefined;
    const spanId = newSpanId();
    this.attempts.push(spanId);
    return this.start.propagates ? formatTraceparent(this.traceId, spanId) : undefined;
  }

  event(name: string, atMs: number, attributes: Attributes): void {
    if (this.events.length < MOST) this.events.push({ name, atMs, attributes });
  }
}

const newSpanId = (): string => unguessableId().slice(0, 16);
