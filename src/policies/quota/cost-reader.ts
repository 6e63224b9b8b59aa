import { BodyBuffer } from '../../http/bodies/body-buffer.ts';
import type { BodyObserver } from '../../http/bodies/observed-body.ts';
import type { ByteBudget } from '../../http/byte-budget.ts';
import { decoded } from '../../http/decoded.ts';
import type { EventListener, EventReader, StreamEvent } from '../../http/event-stream/event.ts';
import { eventReader } from '../../http/event-stream/reader.ts';
import { headerOf, type RawHeaders } from '../../http/headers.ts';
import type { Reply } from '../../http/reply.ts';
import type { CostReading } from '../../proxy/notes.ts';
import { type CostPlan, StatedCost } from './stated-cost.ts';

/** A larger event is not read, nor is a larger body that is JSON or compressed: it is buffered, and parsed in one go. */
const MAX_BYTES = 256 * 1024;

/** The most bytes of a compressed body after decompression. */
const MAX_UNPACKED_BYTES = 1024 * 1024;

/** The cost that a reply has stated. */
export interface ReadCost {
  readonly result: CostReading;
  /** The sum of the parts that were found; 0 if none was. */
  readonly cost: number;
}

export interface CostReaderDeps {
  /** Bounds the memory of buffered bodies. */
  readonly memory: ByteBudget;
  /** Called once, when the body has ended or its reader has left. */
  readonly onRead: (read: ReadCost) => void;
}

type Head = Pick<Reply, 'status' | 'headers'>;

/** Reads the cost that a reply states, from a copy of its bytes. Undefined if a reply of this kind states none. */
export function costReader(
  { status, headers }: Head,
  plan: CostPlan,
  deps: CostReaderDeps,
): BodyObserver | undefined {
  if (status < 200 || status > 299) return undefined;
  const type = headerOf(headers, 'content-type') ?? '';
  const reader = new CostReader(headers, type, new StatedCost(plan), deps);
  return reader.isStream || JSON_TYPE.test(type) ? reader : undefined;
}

const joined = (chunks: readonly Buffer[]): Buffer =>
  chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;

/** Reads the events of a stream as they pass. Any other body, and a compressed stream, is read at its end. */
class CostReader implements BodyObserver, EventListener {
  readonly #headers: RawHeaders;
  readonly #cost: StatedCost;
  readonly #onRead: CostReaderDeps['onRead'];
  readonly #events: EventReader | undefined;
  readonly #asItPasses: boolean;
  #bytes: BodyBuffer | undefined;
  #tooLarge = false;

  constructor(headers: RawHeaders, type: string, cost: StatedCost, { memory, onRead }: CostReaderDeps) {
    this.#headers = headers;
    this.#cost = cost;
    this.#onRead = onRead;
    this.#events = eventReader(['content-type', type], MAX_BYTES, this);
    const coding = headerOf(headers, 'content-encoding')?.trim().toLowerCase() ?? 'identity';
    this.#asItPasses = this.isStream && coding === 'identity';
    if (!this.#asItPasses) this.#bytes = new BodyBuffer(memory);
  }

  get isStream(): boolean {
    return this.#events !== undefined;
  }

  write(chunk: Uint8Array): void {
    if (this.#asItPasses) return void this.#events?.read(chunk);
    if (this.#bytes === undefined) return;
    if (this.#bytes.bytes + chunk.length <= MAX_BYTES && this.#bytes.tryAdd(chunk)) return;
    this.#tooLarge = true;
    this.#release();
  }

  end(complete: boolean): void {
    const chunks = this.#bytes?.chunks();
    this.#release();
    if (complete && chunks !== undefined) this.#read(joined(chunks));
    this.#events?.end();
    const { cost, complete: found } = this.#cost.total;
    this.#onRead({ cost, result: found ? 'read' : this.#missing(complete) });
  }

  #read(bytes: Buffer): void {
    const text = decoded(bytes, this.#headers, MAX_UNPACKED_BYTES);
    if (text === undefined) return;
    if (this.#events === undefined) this.#cost.read(text);
    else this.#events.read(Buffer.from(text));
  }

  #missing(complete: boolean): CostReading {
    if (this.#tooLarge) return 'too_large';
    return complete ? 'missing' : 'incomplete';
  }

  #release(): void {
    this.#bytes?.release();
    this.#bytes = undefined;
  }

  // --- the side of the events ---

  onEvent({ data }: StreamEvent): void {
    if (data === undefined) this.#tooLarge = true;
    else this.#cost.read(data);
  }

  onAllRead(): void {}
  onUnreadable(): void {}
  onReady(): void {}
}
