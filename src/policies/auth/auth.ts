import type { Reply } from '../../http/reply.ts';
import type { Attempt, InterimSink } from '../../proxy/attempt.ts';
import type { AuthorizedRequest, Credential } from '../../proxy/credential.ts';
import type { Hook, Policy, Wrapper } from '../../proxy/pipeline.ts';

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
    outer: credential.clean === undefined ? giving(credential) : cleaning(credential, credential.clean),
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

type Clean = NonNullable<Credential['clean']>;

const giving = (credential: Credential): Hook => ({
  before(_call, attempt) {
    attempt.credential = credential;
    return undefined;
  },
});

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
