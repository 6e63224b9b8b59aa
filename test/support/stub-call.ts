import { EMPTY_BODY } from '../../src/http/bodies/request-body.ts';
import type { RawHeaders } from '../../src/http/headers.ts';
import { type BodyEnd, type EndListener, type Reply, type ReplyBody, tellEnd } from '../../src/http/reply.ts';
import { Attempt, type AttemptStart } from '../../src/proxy/attempt.ts';
import type { Call } from '../../src/proxy/call.ts';
import type { Journal } from '../../src/proxy/journal.ts';
import { compose } from '../../src/proxy/compose.ts';
import { dispatchBy, type Policy, type Send, sendBy } from '../../src/proxy/pipeline.ts';
import { Abort } from '../../src/runtime/abort.ts';

/** A body that ends when the test says so. */
export class StubBody implements ReplyBody {
  #end: BodyEnd | undefined;
  readonly #listeners: EndListener[] = [];

  pipeTo(): void {}

  discard(): void {
    this.end('discarded');
  }

  onEnd(listener: EndListener): void {
    if (this.#end === undefined) this.#listeners.push(listener);
    else tellEnd(listener, this.#end);
  }

  end(end: BodyEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    for (const listener of this.#listeners) tellEnd(listener, end);
  }
}

export interface StubReply extends Reply {
  readonly body: StubBody;
}

export function stubReply(status = 200, headers: RawHeaders = ['Content-Length', '2']): StubReply {
  return { status, statusText: '', headers, body: new StubBody() };
}

/** The entries of a journal: the note or the method, and its values. */
export type Entry = readonly [name: string, ...values: unknown[]];

/** A journal that puts its entries into `entries`. */
export function stubJournal(entries: Entry[]): Journal {
  const enter =
    (name: string) =>
    (...values: unknown[]) =>
      void entries.push([name, ...values]);
  const journal: Journal = {
    note: (name, value) => void entries.push([name, value]),
    attemptStarted: enter('attemptStarted'),
    attemptAnswered: (attempt, { status }, ms) => void entries.push(['attemptAnswered', attempt, status, ms]),
    attemptFailed: (attempt, { code, sent }, ms) =>
      void entries.push(['attemptFailed', attempt, code, sent, ms]),
    retryScheduled: enter('retryScheduled'),
    hedgeStarted: enter('hedgeStarted'),
    waitedForQuota: enter('waitedForQuota'),
    ruleMatched: enter('ruleMatched'),
    bodyBroke: enter('bodyBroke'),
    elsewhere: () => journal,
    at: () => journal,
    inBackground: () => journal,
  };
  return journal;
}

export interface StubCall extends Call {
  readonly entries: Entry[];
  readonly attempt: Attempt;
  /** The attempt's. */
  readonly signal: Abort;
}

/** A GET that remembers what was noted about it, and its first attempt. */
export function stubCall(changes: Partial<Call & AttemptStart> = {}): StubCall {
  const entries: Entry[] = [];
  const signal = changes.signal ?? new Abort();
  const attempt = new Attempt({ last: false, deadline: 30_000, ...changes, signal });
  return {
    method: 'GET',
    target: '/',
    headers: [],
    body: EMPTY_BODY,
    idempotencyKey: undefined,
    journal: stubJournal(entries),
    entries,
    ...changes,
    attempt,
    signal,
  };
}

/** `policies` around `next`. */
export function through(policies: Policy | readonly Policy[], next: Send): Send {
  return sendBy(compose([policies].flat(), dispatchBy(next)));
}

/** `send` as tests call it: with the call's own attempt. */
export function sending(send: Send): (call: StubCall) => Promise<Reply> {
  return (call) => send(call, call.attempt);
}

/** One attempt that a test settles by hand. */
export interface StubAttempt {
  readonly call: Call;
  readonly attempt: Attempt;
  answer(reply: Reply): void;
  fail(error: Error): void;
}

/** An upstream that keeps every attempt waiting until the test answers it; as every Send, it rejects when its signal aborts. */
export function stubUpstream(): { readonly send: Send; readonly attempts: StubAttempt[] } {
  const attempts: StubAttempt[] = [];
  const send: Send = (call, attempt) =>
    new Promise((resolve, reject) => {
      const { signal } = attempt;
      if (signal.aborted) return reject(signal.reason);
      const onAbort = () => reject(signal.reason);
      signal.on(onAbort);
      attempts.push({
        call,
        attempt,
        answer: (reply) => {
          reply.body.onEnd(() => signal.off(onAbort));
          resolve(reply);
        },
        fail: (error) => {
          signal.off(onAbort);
          reject(error);
        },
      });
    });
  return { send, attempts };
}

/** Runs all code that waits only for promises. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
