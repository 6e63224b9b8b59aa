import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { BufferedReply } from '../../src/http/bodies/buffered-reply.ts';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import {
  type BodyEnd,
  type BodySink,
  type EndListener,
  type Reply,
  type ReplyBody,
  tellEnd,
} from '../../src/http/reply.ts';

/** A body that a test writes and ends. */
class Body implements ReplyBody {
  sink: BodySink | undefined;
  aborted = 0;
  #listener: EndListener | undefined;

  pipeTo(sink: BodySink): void {
    this.sink = sink;
  }

  discard(): void {}

  abort(): void {
    this.aborted++;
    this.end('broken');
  }

  onEnd(listener: EndListener): void {
    this.#listener = listener;
  }

  end(end: BodyEnd): void {
    if (this.#listener !== undefined) tellEnd(this.#listener, end);
  }
}

function setUp() {
  const memory = new ByteBudget(1_000_000);
  const body = new Body();
  const reply: Reply = { status: 503, statusText: '', headers: [], body };
  return { body, memory, buffered: new BufferedReply(reply, memory) };
}

test('a complete reply is there, and no longer in the budget', () => {
  const { body, memory, buffered } = setUp();
  body.sink?.write(Buffer.from('busy'));
  expect([buffered.ended, memory.used]).toEqual([false, 4]);
  body.end('complete');
  expect([buffered.take()?.status, buffered.ended, memory.used, body.aborted]).toEqual([503, true, 0, 0]);
});

test.each(['broken', 'discarded'] as const)('a reply that is %s is not passed on as a whole one', (end) => {
  const { body, memory, buffered } = setUp();
  body.sink?.write(Buffer.from('bu'));
  body.end(end);
  expect([buffered.take(), memory.used]).toEqual([undefined, 0]);
});

test('a reply that has not ended is aborted when it is no longer needed', () => {
  const { body, memory, buffered } = setUp();
  body.sink?.write(Buffer.from('bu'));
  expect([buffered.take(), memory.used, body.aborted]).toEqual([undefined, 0, 1]);
  expect(body.sink?.destroyed).toBe(true);
});

test('a reply that is too large is aborted at once', () => {
  const { body, memory, buffered } = setUp();
  body.sink?.write(Buffer.alloc(64 * 1024));
  expect(body.aborted).toBe(0);
  body.sink?.write(Buffer.alloc(1));
  expect([body.aborted, memory.used]).toEqual([1, 0]);
  body.end('complete');
  expect(buffered.take()).toBeUndefined();
});

test('a body that has ended is not held in memory', async () => {
  const [buffered, ref] = ended();
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // A weak reference holds its target to the end of the turn.
  await turn();
  collect();
  expect(ref.deref()).toBeUndefined();
  expect(buffered.take()?.status).toBe(503);

  function ended() {
    const { body, buffered: one } = setUp();
    body.end('complete');
    return [one, new WeakRef(body)] as const;
  }
});
