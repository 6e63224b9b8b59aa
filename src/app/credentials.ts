import { basicCredential } from '../auth/basic.ts';
import { ExpiringSecret, type Issue } from '../auth/expiring-secret.ts';
import { tokenCredential } from '../auth/oauth2.ts';
import { type AuthOptions, accountOf, type OAuth2Options } from '../auth/options.ts';
import { queryCredential } from '../auth/query.ts';
import type { EndpointConfig } from '../config/config.ts';
import { backoffMs } from '../policies/retry/backoff.ts';
import type { BackoffOptions } from '../policies/retry/options.ts';
import { type AuthEndpoint, authEndpoint } from './auth-endpoint.ts';
import type { PolicyStateDeps, ScopeCredential } from './policy-state.ts';

/** The time without requests after an issuer has failed or refused. Calls fail at once meanwhile, without a valid secret. */
const HOLD_OFF: BackoffOptions = {
  kind: 'exponential',
  baseMs: 1_000,
  overloadedBaseMs: 1_000,
  factor: 2,
  maxMs: 60_000,
  jitter: 'equal',
  listMs: [],
};

export interface CredentialParts {
  readonly auth: AuthOptions;
  readonly endpoint: EndpointConfig | undefined;
  readonly upstream: string;
  /** The scope in events and metrics. */
  readonly scope: string;
}

/** The credential for these options. Secrets that expire are taken over from the configuration before. */
export function scopeCredential(
  { auth, endpoint, upstream, scope }: CredentialParts,
  deps: PolicyStateDeps,
): ScopeCredential {
  const snapshot = () => ({ kind: auth.kind });
  switch (auth.kind) {
    case 'basic':
      return { credential: basicCredential(auth), snapshot };
    case 'query':
      return { credential: queryCredential(auth), snapshot };
    case 'oauth2': {
      if (endpoint === undefined) throw new Error('the configuration has no token endpoint');
      const token = expiring<string>({ auth, upstream, scope }, deps);
      const issuer = deps.state.retain(`${scope} issuer`, { auth, endpoint }, () =>
        tokenIssuer(auth, endpoint, deps),
      );
      return {
        credential: tokenCredential(token, issuer.issue),
        ...stateOf(auth.kind, token),
        close: issuer.close,
      };
    }
  }
}

function stateOf(
  kind: AuthOptions['kind'],
  secret: ExpiringSecret<unknown>,
): Pick<ScopeCredential, 'snapshot'> {
  return {
    snapshot: (now) => {
      const ms = secret.expiresMs(now);
      return { kind, expiresMs: Number.isFinite(ms) ? ms : undefined, failure: secret.failure };
    },
  };
}

/** The secret of an account stays valid when a reload changes how it is requested, such as by another client secret. */
function expiring<T>(
  { auth, upstream, scope }: Omit<CredentialParts, 'endpoint'>,
  { clock, random, observer, state }: PolicyStateDeps,
): ExpiringSecret<T> {
  return state.retain(
    `${scope} secret`,
    accountOf(auth),
    () =>
      new ExpiringSecret<T>({
        clock,
        random,
        holdOffMs: (failures) =>
          backoffMs({ retry: failures, previousMs: 0, overloaded: false }, HOLD_OFF, random),
        onResult: (result) => {
          const detail = result.kind === 'failed' ? result.error.message : undefined;
          observer.stateChanged(upstream, { type: 'credential_renewal', scope, result: result.kind, detail });
        },
      }),
  );
}

interface Issuer {
  readonly issue: Issue<string>;
  readonly close: AuthEndpoint['close'];
}

/** The library is loaded with the first request for a token. */
function tokenIssuer(auth: OAuth2Options, config: EndpointConfig, deps: PolicyStateDeps): Issuer {
  const { post, close } = authEndpoint(config, deps);
  return {
    issue: async () => {
      const { requestToken } = await import('../auth/token-request.ts');
      return requestToken(auth, post);
    },
    close,
  };
}
