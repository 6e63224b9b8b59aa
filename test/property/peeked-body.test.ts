import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import {
  type BodyEnd,
  type BodySink,
  type EndListener,
  type ReplyBody,
  tellEnd,
} from '../../src/http/reply.ts';
import { PeekedBody, MAX_PEEKED_BYTES } from '../../src/policies/error-rules/peeked-body.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** An exchange's side: hands out one piece after the other while the sink takes them, as the wire would. */
class Wire implements ReplyBody {
  readonly #pieces: Buffer[];
  readonly #listeners: EndListener[] = [];
  readonly #how: 'complete' | 'broken';
  #sink: BodySink | undefined;
  /** Pieces that are here; the others come later. */
  arrived: number;
  #paused = false;
  ended = false;

  constructor(pieces: readonly Buffer[], arrived: number, how: 'complete' | 'broken') {
    this.#pieces = [...pieces];
    this.arrived = arrived;
    this.#how = how;
  }

  pipeTo(sink: BodySink): void {
    this.#sink = sink;
    sink.on('drain', () => {
      this.#paused = false;
      this.flow();
    });
    this.flow();
  }

  flow(): void {
    const sink = this.#sink;
    if (sink === undefined || this.ended) return;
    while (!this.#paused && this.arrived > 0) {
      const piece = this.#pieces.shift();
      if (piece === undefined) break;
      this.arrived--;
      if (sink.destroyed) return this.#finish('discarded');
      this.#paused = !sink.write(piece);
    }
    if (this.#pieces.length > 0 || this.#paused) return;
    this.#finish(this.#how);
    if (this.#how === 'complete') sink.end();
    else sink.destroy(new Error('cut'));
  }

  get left(): number {
    return this.#pieces.length;
  }

  discard(): void {}

  onEnd(listener: EndListener): void {
    this.#listeners.push(listener);
  }

  #finish(end: BodyEnd): void {
    this.ended = true;
    for (const listener of this.#listeners) tellEnd(listener, end);
  }
}

/** A client that takes a piece at a time and is full after each, when it says so. */
class Client implements BodySink {
  readonly destroyed = false;
  readonly chunks: Uint8Array[] = [];
  readonly #full: boolean;
  end_: 'open' | 'ended' | 'destroyed' = 'open';
  #drain: (() => void) | undefined;
  waiting = false;

  constructor(full: boolean) {
    this.#full = full;
  }

  /** Held bytes come at once; after that, nothing while it is full. */
  minded = false;
  /** It was written to after its end, or while it was full. */
  pushed = false;

  write(chunk: Uint8Array): boolean {
    if (this.end_ !== 'open' || (this.minded && this.waiting)) this.pushed = true;
    this.chunks.push(chunk);
    this.waiting = this.#full;
    return !this.#full;
  }

  end(): void {
    this.end_ = 'ended';
  }

  destroy(): void {
    this.end_ = 'destroyed';
  }

  on(_event: 'drain', listener: () => void): void {
    this.#drain = listener;
  }

  drain(): void {
    this.waiting = false;
    this.#drain?.();
  }
}

/** No two places are alike, as far as a mistake could mix them up. */
const BYTES = Buffer.from(Array.from({ length: 600_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff));

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('every byte comes out once and in order, however it came in, and the memory comes back', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        sizes: fc.array(
          fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 20_000, max: 70_000 })),
          {
            maxLength: 8,
            size: 'max',
          },
        ),
        arrived: fc.nat(8),
        full: fc.boolean(),
        how: fc.constantFrom('complete' as const, 'broken' as const),
        budget: fc.constantFrom(0, 30_000, 1_000_000),
        discard: fc.boolean(),
      }),
      async ({ sizes, arrived, full, how, budget, discard }) => {
        let next = 0;
        const pieces = sizes.map((size) => BYTES.subarray(next, (next += size)));
        const whole = Buffer.concat(pieces);
        const memory = new ByteBudget(budget);
        const clock = new FakeClock();
        const wire = new Wire(pieces, arrived, how);
        const held = new PeekedBody(wire, memory);
        const pending = held.read(1_000, clock);
        await turn();
        await clock.advance(1_000);
        const read = await pending;
        const fits = how === 'complete' && whole.length <= MAX_PEEKED_BYTES;
        expect(read === undefined || (fits && read.equals(whole))).toBe(true);
        // It is not read yet: at most one piece is accepted and buffered here.
        const before = wire.left;
        wire.arrived = pieces.length;
        wire.flow();
        expect(before - wire.left).toBeLessThanOrEqual(1);
        const client = new Client(full);
        if (discard) held.discard();
        else held.pipeTo(client);
        client.minded = true;
        wire.flow();
        for (let i = 0; i < 20; i++) if (client.waiting) client.drain();
        expect([memory.used, clock.pending]).toEqual([0, 0]);
        expect(wire.ended).toBe(true);
        if (discard) return;
        expect(Buffer.concat(client.chunks).equals(whole)).toBe(true);
        expect([client.end_, client.pushed]).toEqual([how === 'complete' ? 'ended' : 'destroyed', false]);
      },
    ),
    { numRuns: 300 },
  );
});
