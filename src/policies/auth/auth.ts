import type { RawHeaders } from '../../http/headers.ts';
import type { Reply } from '../../http/reply.ts';
import type { Attempt, InterimSink } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import type { AuthorizedRequest, Credential, LeavingAttempt, Renewal } from '../../proxy/credential.ts';
import type { Abort } from '../../runtime/abort.ts';
import type { Hook, Policy, Send, Wrapper } from '../../proxy/pipeline.ts';

/** The two parts of one policy: outside the waits of an attempt, and inside them. */
export interface AuthPolicies {
  /** Gives the attempt its credential, and removes it from the reply. */
  readonly outer: Policy;
  /** Adds the credential to the request. */
  readonly inner: Hook;
}

/** Adds `credential` to each attempt just before it leaves, so that it is as new as the attempt. */
export function authPolicies(credential: Credential): AuthPolicies {
  return {
    outer: outerOf(credential),
    inner: {
      before(call, attempt) {
        const authorized = attempt.credential?.authorize(call, attempt);
        if (authorized instanceof Promise) return authorized.then((request) => use(attempt, request));
        return use(attempt, authorized);
      },
    },
  };
}

function use(attempt: Attempt, request: AuthorizedRequest | undefined): undefined {
  attempt.authorized = request;
}

function outerOf(credential: Credential): Policy {
  if (credential.renewal !== undefined) return renewing(credential, credential.renewal);
  return credential.clean === undefined ? giving(credential) : cleaning(credential, credential.clean);
}

const giving = (credential: Credential): Hook => ({
  before(call, attempt) {
    attempt.credential = credential;
    return credential.ready?.(call, attempt.signal)?.then(() => undefined);
  },
});

type Clean = (headers: RawHeaders) => RawHeaders;

function cleaning(credential: Credential, clean: Clean): Wrapper {
  return (next) => async (call, attempt) => {
    const { interims } = attempt;
    const inner =
      interims === undefined ? attempt : attempt.with({ interims: cleanInterims(interims, clean) });
    inner.credential = credential;
    return cleaned(await next(call, inner), clean);
  };
}

const cleanInterims = (to: InterimSink, clean: Clean): InterimSink => ({
  onInterim: (interim) => to.onInterim({ ...interim, headers: clean(interim.headers) }),
});

function cleaned(reply: Reply, clean: Clean): Reply {
  const interim = reply.interim?.map((one) => ({ ...one, headers: clean(one.headers) }));
  return { ...reply, headers: clean(reply.headers), ...(interim && { interim }) };
}

/**
 * Sends a call once more after its credential was refused, if another one is to be had and the body is still buffered. Such a call
 * was not processed (RFC 9110 §15.5.2), so any method may be repeated.
 */
function renewing(credential: Credential, renewal: Renewal): Wrapper {
  return (next) => async (call, attempt) => {
    const used = new UsedCredential(credential);
    const reply = await send(next, call, attempt, used);
    if (used.request === undefined || !renewal.refused(reply)) return reply;
    if (!(await renewal.renew(used.request, attempt.signal))) return reply;
    if (!call.body.replayable) return reply;
    reply.body.discard();
    if (attempt.tally !== undefined) attempt.tally.hedges++;
    call.journal.note('auth', 'renewed');
    return send(next, call, attempt.with({ number: attempt.number + 1 }), new UsedCredential(credential));
  };
}

async function send(next: Send, call: Call, attempt: Attempt, used: UsedCredential): Promise<Reply> {
  attempt.credential = used;
  const wait = used.ready(call, attempt.signal);
  if (wait !== undefined) await wait;
  return next(call, attempt);
}

/** The credential of one attempt, and the request that it made of it. */
class UsedCredential implements Credential {
  readonly #credential: Credential;
  request: AuthorizedRequest | undefined;

  constructor(credential: Credential) {
    this.#credential = credential;
  }

  authorize(call: Call, attempt: LeavingAttempt): AuthorizedRequest | Promise<AuthorizedRequest> {
    const made = this.#credential.authorize(call, attempt);
    if (made instanceof Promise) return made.then((request) => (this.request = request));
    this.request = made;
    return made;
  }

  ready(call: Call, signal: Abort): Promise<unknown> | undefined {
    return this.#credential.ready?.(call, signal);
  }
}
