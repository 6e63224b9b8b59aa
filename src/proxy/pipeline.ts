import type { BodyEnd, Reply } from '../http/reply.ts';
import type { Attempt } from './attempt.ts';
import type { Call } from './call.ts';
import { ProxyError } from './errors.ts';
import type { Outcome } from './outcome.ts';

export type { Outcome } from './outcome.ts';

/** Receives the outcome of a call that was sent onward: exactly one of the two, once. Must not throw. */
export interface Receiver {
  /** The head of the reply has arrived. */
  replied(reply: Reply): void;
  /** `error` is a ProxyError; any other error is a bug. */
  failed(error: unknown): void;
}

/** Sends a call onward. Must not throw. The outcome may come before it returns. */
export type Dispatch = (call: Call, attempt: Attempt, receiver: Receiver) => void;

/** As `Dispatch`, with a promise. Resolves when the head of the reply has arrived. Rejects with a ProxyError; any other error is a bug. */
export type Send = (call: Call, attempt: Attempt) => Promise<Reply>;

/** One behaviour around all policies closer to the upstream. Built once per route. */
export type Policy = Hook | Relay | Wrapper;

/**
 * A policy that acts before and after an attempt. This is the cheapest form: an attempt costs no promise and no closure, and a
 * policy without anything to do afterwards costs no object.
 */
export interface Hook {
  /**
   * Runs before the attempt. Throws a ProxyError to refuse it. The attempt waits for a promise, which must reject when the
   * attempt's signal aborts.
   */
  before(call: Call, attempt: Attempt): After | undefined | Promise<After | undefined>;
}

/** The work of a hook after its attempt: first `replied` or `failed`, once, and after `replied` also `ended`. */
export interface After {
  /** The head has arrived. Returns the reply if it is another one for the outer policies. */
  replied(reply: Reply): Reply | void;
  /** `again`: the attempt begins again, with the hook itself. */
  failed(error: unknown): 'again' | void;
  /** The body has ended. */
  ended?(end: BodyEnd): void;
  /** The reader of the body does not keep up. Called once at most. */
  heldBack?(): void;
}

/** A policy that may send a call more than once, without a promise for each. For policies that are on by default. */
export interface Relay {
  relay(next: Dispatch): Dispatch;
}

/** A policy as a function around `next`. The simplest form. Each call costs a promise and a suspended function. */
export type Wrapper = (next: Send) => Send;

export function sendBy(dispatch: Dispatch): Send {
  return (call, attempt) =>
    new Promise((resolve, reject) => dispatch(call, attempt, { replied: resolve, failed: reject }));
}

export function dispatchBy(send: Send): Dispatch {
  return (call, attempt, receiver) =>
    void send(call, attempt).then(
      (reply) => receiver.replied(reply),
      (error: unknown) => receiver.failed(error),
    );
}

export async function settle(send: Send, call: Call, attempt: Attempt): Promise<Outcome> {
  try {
    return { kind: 'reply', reply: await send(call, attempt) };
  } catch (error) {
    if (error instanceof ProxyError) return { kind: 'error', error };
    throw error; // a bug, not an outcome
  }
}

export function unwrap(outcome: Outcome): Reply {
  if (outcome.kind === 'error') throw outcome.error;
  return outcome.reply;
}
