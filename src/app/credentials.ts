import { basicCredential } from '../auth/basic.ts';
import { ExpiringSecret, type Issue } from '../auth/expiring-secret.ts';
import { tokenCredential } from '../auth/oauth2.ts';
import { requestKeys } from '../auth/container-keys.ts';
import type { Ask } from '../auth/endpoint.ts';
import { type AuthOptions, accountOf, type OAuth2Options, type Sigv4Options } from '../auth/options.ts';
import type { AwsKeys } from '../auth/aws.ts';
import { sigv4Credential } from '../auth/sigv4.ts';
import type { Clock } from '../runtime/clock.ts';
import { queryCredential } from '../auth/query.ts';
import type { EndpointConfig, UpstreamConfig } from '../config/config.ts';
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
  readonly upstream: Pick<UpstreamConfig, 'name' | 'origin'>;
  /** The scope in events and metrics. */
  readonly scope: string;
  /** The target whose credential it is; undefined: the upstream has no targets. */
  readonly target?: string | undefined;
}

/** The credential for these options. Secrets that expire are taken over from the configuration before. */
export function scopeCredential(
  { auth, endpoint, upstream, scope, target }: CredentialParts,
  deps: PolicyStateDeps,
): ScopeCredential {
  const snapshot = () => ({ kind: auth.kind });
  switch (auth.kind) {
    case 'basic':
      return { credential: basicCredential(auth), snapshot };
    case 'query':
      return { credential: queryCredential(auth), snapshot };
    case 'oauth2': {
      const token = expiring<string>({ auth, upstream, scope, target }, deps);
      const { issue, close } = issuerOf({ auth, endpoint, scope }, deps, (ask) => {
        const own = tokenIssue(auth, ask);
        return deps.fleet?.values?.tokensOf([upstream.name, ...identityOf(auth)], own) ?? own;
      });
      return { credential: tokenCredential(token, issue), ...stateOf(auth.kind, token), close };
    }
    case 'sigv4':
      return sigv4Scope({ auth, endpoint, upstream, scope, target }, deps);
  }
}

/** All that a token depends on. A changed secret never finds a token of the one before. The result is secret. */
function identityOf(auth: OAuth2Options): string[] {
  const { client } = auth;
  const proof =
    client.kind === 'private_key_jwt'
      ? [client.key, client.keyId ?? '', client.audience ?? '']
      : [client.secret];
  return [...accountOf(auth), client.kind, ...proof];
}

function sigv4Scope(
  { auth, endpoint, upstream, scope, target }: CredentialParts & { readonly auth: Sigv4Options },
  deps: PolicyStateDeps,
): ScopeCredential {
  const { clock } = deps;
  const { keys, region, service } = auth;
  const parts = { clock, region, service, host: new URL(upstream.origin).host };
  if (keys.from === 'configuration')
    return {
      credential: sigv4Credential({ ...parts, keys: () => keys }),
      snapshot: () => ({ kind: auth.kind }),
    };
  const secret = expiring<AwsKeys>({ auth, upstream, scope, target }, deps);
  const { issue, close } = issuerOf({ auth, endpoint, scope }, deps, (ask) =>
    keysIssue(keys.token, ask, clock),
  );
  const credential = sigv4Credential({
    ...parts,
    keys: () => secret.get(issue),
    renew: (isRefused, signal) => secret.renew(isRefused, issue, signal),
  });
  return { credential, ...stateOf(auth.kind, secret), close };
}

function stateOf(
  kind: AuthOptions['kind'],
  secret: Pick<ExpiringSecret<never>, 'expiresMs' | 'failure'>,
): Pick<ScopeCredential, 'snapshot'> {
  return {
    snapshot: () => {
      const ms = secret.expiresMs();
      return { kind, expiresMs: Number.isFinite(ms) ? ms : undefined, failure: secret.failure };
    },
  };
}

/** The secret of an account stays valid when a reload changes how it is requested, such as by another client secret. */
function expiring<T>(
  { auth, upstream, scope, target }: Omit<CredentialParts, 'endpoint'>,
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
          observer.stateChanged(upstream.name, {
            type: 'credential_renewal',
            scope,
            target,
            result: result.kind,
            detail,
          });
        },
      }),
  );
}

interface Issuer<T> {
  readonly issue: Issue<T>;
  readonly close: AuthEndpoint['close'];
}

/** The issuer, which is taken over if its options are unchanged. */
function issuerOf<T>(
  { auth, endpoint, scope }: Omit<CredentialParts, 'upstream'>,
  deps: PolicyStateDeps,
  issueBy: (ask: Ask) => Issue<T>,
): Issuer<T> {
  if (endpoint === undefined) throw new Error('the configuration has no issuer');
  return deps.state.retain(`${scope} issuer`, { auth, endpoint }, () => {
    const { ask, close } = authEndpoint(endpoint, deps);
    return { issue: issueBy(ask), close };
  });
}

/** The library is loaded with the first request for a token. */
function tokenIssue(auth: OAuth2Options, ask: Ask): Issue<string> {
  return async () => {
    const { requestToken } = await import('../auth/token-request.ts');
    return requestToken(auth, ask);
  };
}

const keysIssue =
  (token: string | undefined, ask: Ask, clock: Clock): Issue<AwsKeys> =>
  () =>
    requestKeys(token, ask, clock);
