import { describe, expect, test } from 'vitest';
import type { HeldBackListener, Reply } from '../../src/http/reply.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import type { After, Hook, Relay, Send, Wrapper } from '../../src/proxy/pipeline.ts';
import { sending, settled, stubCall, stubReply, stubUpstream, through } from '../support/stub-call.ts';

/** A hook that writes down its calls. */
function recording(name: string, seen: string[], changes: Partial<After> = {}): Hook {
  return {
    before() {
      seen.push(`${name} before`);
      return {
        replied: ({ status }) => void seen.push(`${name} replied ${status}`),
        failed: (error) => void seen.push(`${name} failed ${(error as Error).message}`),
        ended: (end) => void seen.push(`${name} ended ${end}`),
        heldBack: () => void seen.push(`${name} heldBack`),
        ...changes,
      };
    },
  };
}

const BUG = new TypeError('a bug');
const refuses = (error: Error): Hook => ({
  before() {
    throw error;
  },
});

describe('hooks', () => {
  test('are entered from the outside and left from the inside; the end of the body follows', async () => {
    const seen: string[] = [];
    const { send, attempts } = stubUpstream();
    const call = stubCall();
    const pending = through([recording('a', seen), recording('b', seen)], send)(call, call.attempt);
    const reply = stubReply(201);
    attempts[0]?.answer(reply);
    expect(await pending).toBe(reply);
    reply.body.discard();
    expect(seen).toEqual([
      'a before',
      'b before',
      'b replied 201',
      'a replied 201',
      'b ended discarded',
      'a ended discarded',
    ]);
  });

  test('pass on the reply that an inner one has changed', async () => {
    const seen: string[] = [];
    const other = stubReply(299);
    const changes = recording('b', seen, { replied: () => other });
    const upstream: Send = () => Promise.resolve(stubReply());
    const policies = [recording('a', seen), changes, recording('c', seen)];
    expect(await sending(through(policies, upstream))(stubCall())).toBe(other);
    expect(seen.slice(3)).toEqual(['c replied 200', 'a replied 299']);
  });

  test('learn that the reader of the body does not keep up', async () => {
    const seen: string[] = [];
    const call = stubCall();
    let listener: HeldBackListener | undefined;
    const reply: Reply = {
      ...stubReply(),
      body: Object.assign(stubReply().body, { onHeldBack: (one: HeldBackListener) => (listener = one) }),
    };
    await through(recording('a', seen), () => Promise.resolve(reply))(call, call.attempt);
    listener?.heldBack();
    expect(seen).toContain('a heldBack');
  });

  test('a refusal leaves those that were entered, and nothing is sent', async () => {
    const seen: string[] = [];
    const { send, attempts } = stubUpstream();
    const refusal = new ProxyError('breaker_open', 'refused');
    const policies = [recording('a', seen), refuses(refusal), recording('b', seen)];
    await expect(sending(through(policies, send))(stubCall())).rejects.toBe(refusal);
    expect([seen, attempts]).toEqual([['a before', 'a failed refused'], []]);
  });

  test('an attempt waits for a hook, in its order', async () => {
    const seen: string[] = [];
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const { send, attempts } = stubUpstream();
    const waits: Hook = { before: () => promise };
    const call = stubCall();
    const pending = through([waits, recording('b', seen)], send)(call, call.attempt);
    await settled();
    expect([seen, attempts.length]).toEqual([[], 0]);
    resolve(undefined);
    await settled();
    expect(seen).toEqual(['b before']);
    attempts[0]?.answer(stubReply());
    await pending;
  });

  test('a wait that rejects is a refusal', async () => {
    const seen: string[] = [];
    const refusal = new ProxyError('concurrency_limit', 'refused');
    const waits: Hook = { before: () => Promise.reject(refusal) };
    const { send } = stubUpstream();
    await expect(sending(through([recording('a', seen), waits], send))(stubCall())).rejects.toBe(refusal);
    expect(seen).toEqual(['a before', 'a failed refused']);
  });

  test('a hook can let the attempt begin again with itself', async () => {
    const seen: string[] = [];
    let failures = 0;
    const again = recording('b', seen, { failed: () => (failures++ === 0 ? 'again' : undefined) });
    const { send, attempts } = stubUpstream();
    const call = stubCall();
    const pending = through([recording('a', seen), again, recording('c', seen)], send)(call, call.attempt);
    attempts[0]?.fail(new ProxyError('connection_refused', 'x'));
    await settled();
    attempts[1]?.answer(stubReply());
    await pending;
    expect(seen).toEqual([
      'a before',
      'b before',
      'c before',
      'c failed x',
      'b before',
      'c before',
      'c replied 200',
      'b replied 200',
      'a replied 200',
    ]);
  });

  test('a bug after the head becomes the outcome for the outer ones, and the body is ended', async () => {
    const seen: string[] = [];
    const throws = {
      replied: () => {
        throw BUG;
      },
    };
    const { send, attempts } = stubUpstream();
    const call = stubCall();
    const policies = [recording('a', seen), recording('b', seen, throws), recording('c', seen)];
    const pending = through(policies, send)(call, call.attempt);
    attempts[0]?.answer(stubReply());
    await expect(pending).rejects.toBe(BUG);
    expect(seen.slice(3)).toEqual(['c replied 200', 'b failed a bug', 'a failed a bug', 'c ended discarded']);
  });

  test('a bug after a failure does not hide it from the outer ones', async () => {
    const seen: string[] = [];
    const throws = {
      failed: () => {
        throw BUG;
      },
    };
    const policies = [recording('a', seen), recording('b', seen, throws), refuses(new Error('first'))];
    await expect(sending(through(policies, stubUpstream().send))(stubCall())).rejects.toBe(BUG);
    expect(seen).toEqual(['a before', 'b before', 'a failed a bug']);
  });
});

test('the three forms of policies keep their order', async () => {
  const seen: string[] = [];
  const wrapper: Wrapper = (next) => async (call, attempt) => {
    seen.push('wrapper before');
    const reply = await next(call, attempt);
    seen.push('wrapper after');
    return reply;
  };
  const relay: Relay = {
    relay: (next) => (call, attempt, receiver) => {
      seen.push('relay before');
      next(call, attempt, receiver);
    },
  };
  const upstream: Send = () => Promise.resolve(stubReply());
  const policies = [recording('a', seen), wrapper, recording('b', seen), recording('c', seen), relay];
  await sending(through(policies, upstream))(stubCall());
  expect(seen).toEqual([
    'a before',
    'wrapper before',
    'b before',
    'c before',
    'relay before',
    'c replied 200',
    'b replied 200',
    'wrapper after',
    'a replied 200',
  ]);
});
