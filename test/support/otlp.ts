import { startOrigin, type Origin } from './origin.ts';

/*
 * A receiver of OTLP/HTTP, and a decoder of its messages by the field numbers of opentelemetry-proto 1.x, so that the
 * bytes are judged by something other than the SDK that wrote them.
 */

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client';
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly ReceivedEvent[];
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status: { readonly code: number; readonly message: string };
  readonly resource: Readonly<Record<string, unknown>>;
}

interface ReceivedEvent {
  readonly name: string;
  readonly at: number;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** One field of a message: a number for varints and fixed ones, bytes for all others. */
type Value = bigint | Buffer;

/** The fields of a protobuf message, by number. */
class Message {
  readonly #fields = new Map<number, Value[]>();

  constructor(bytes: Buffer) {
    let at = 0;
    const varint = (): bigint => {
      let value = 0n;
      for (let shift = 0n; ; shift += 7n) {
        const byte = bytes.readUInt8(at++);
        value |= BigInt(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
      }
    };
    const take = (length: number): Buffer => bytes.subarray(at, (at += length));
    while (at < bytes.length) {
      const key = varint();
      const type = Number(key & 7n);
      const read = [varint, () => take(8).readBigUInt64LE(), () => take(Number(varint()))][type];
      const value = type === 5 ? BigInt(take(4).readUInt32LE()) : read?.();
      if (value === undefined) throw new Error(`wire type ${type}`);
      const values = this.#fields.get(Number(key >> 3n)) ?? [];
      values.push(value);
      this.#fields.set(Number(key >> 3n), values);
    }
  }

  bytes(field: number): Buffer {
    return (this.#fields.get(field)?.[0] ?? Buffer.alloc(0)) as Buffer;
  }

  text(field: number): string {
    return this.bytes(field).toString();
  }

  hex(field: number): string {
    return this.bytes(field).toString('hex');
  }

  number(field: number): number {
    return Number(this.#fields.get(field)?.[0] ?? 0);
  }

  /** Of nanoseconds since 1970. */
  ms(field: number): number {
    return this.number(field) / 1e6;
  }

  has(field: number): boolean {
    return this.#fields.has(field);
  }

  all(field: number): Message[] {
    return (this.#fields.get(field) ?? []).map((value) => new Message(value as Buffer));
  }

  attributes(field: number): Record<string, unknown> {
    return Object.fromEntries(this.all(field).map((pair) => [pair.text(1), anyValue(pair.all(2)[0])]));
  }
}

function anyValue(value: Message | undefined): unknown {
  if (value === undefined) return undefined;
  if (value.has(1)) return value.text(1);
  if (value.has(2)) return value.number(2) === 1;
  if (value.has(3)) return value.number(3);
  if (value.has(4)) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value.number(4)));
    return bytes.readDoubleLE();
  }
  return value.all(5);
}

const KINDS = ['internal', 'internal', 'server', 'client'] as const;

/** The spans of an ExportTraceServiceRequest. */
export function decodeSpans(body: Buffer): ReceivedSpan[] {
  return new Message(body).all(1).flatMap((resourceSpans) => {
    const resource = resourceSpans.all(1)[0]?.attributes(1) ?? {};
    return resourceSpans.all(2).flatMap((scope) => scope.all(2).map((span) => decodeSpan(span, resource)));
  });
}

function decodeSpan(span: Message, resource: ReceivedSpan['resource']): ReceivedSpan {
  const status = span.all(15)[0];
  return {
    traceId: span.hex(1),
    spanId: span.hex(2),
    parentId: span.hex(4),
    name: span.text(5),
    kind: KINDS[span.number(6)] ?? 'internal',
    startedAt: span.ms(7),
    endedAt: span.ms(8),
    attributes: span.attributes(9),
    events: span
      .all(11)
      .map((event) => ({ name: event.text(2), at: event.ms(1), attributes: event.attributes(3) })),
    links: span.all(13).map((link) => ({ traceId: link.hex(1), spanId: link.hex(2) })),
    status: { code: status?.number(3) ?? 0, message: status?.text(2) ?? '' },
    resource,
  };
}

export interface Collector {
  readonly url: string;
  readonly origin: Origin;
  /** All spans so far. */
  spans(): ReceivedSpan[];
  /** Resolves once `count` spans have arrived. */
  untilSpans(count: number): Promise<ReceivedSpan[]>;
}

/** A collector on loopback that takes every export. */
export async function startCollector(): Promise<Collector> {
  const origin = await startOrigin(async ({ response, body }) => {
    await body();
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
  const spans = () => origin.requests.flatMap(({ closed, body }) => (closed ? decodeSpans(body) : []));
  return {
    url: origin.url,
    origin,
    spans,
    untilSpans: async (count) => {
      await origin.until(() => spans().length >= count);
      return spans();
    },
  };
}
