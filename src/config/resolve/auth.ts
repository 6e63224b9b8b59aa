import type { AuthOptions, OAuth2Options, Sigv4Options } from '../../auth/options.ts';
import type { HeaderRules } from '../../http/headers.ts';
import { AUTH_OFF, type AuthInput } from '../keys/auth.ts';
import type { EndpointConfig } from '../config.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';
import { authEndpoint } from './auth-endpoint.ts';
import type { ResolveContext, Settings } from './context.ts';
import type { Inherited, Layer } from './inherit.ts';
import { signingKey } from './pem.ts';

interface AuthContext {
  readonly layers: readonly Layer[];
  readonly headers: HeaderRules;
  readonly inherited: Inherited<Settings>;
}

/** The layer that decides about the credential of a route, and what it writes; undefined: none. Layers are not merged. */
function writtenAuth(
  layers: readonly Layer[],
): { readonly layer: Layer; readonly input: AuthInput } | undefined {
  const inputOf = ({ values }: Layer) => (values as { auth?: AuthInput }).auth;
  const layer = layers.findLast((one) => inputOf(one) !== undefined);
  const input = layer && inputOf(layer);
  return layer === undefined || input === undefined || input === AUTH_OFF ? undefined : { layer, input };
}

/** The credential of a route, and its issuer. */
export interface ResolvedAuth {
  readonly auth: AuthOptions | undefined;
  readonly authEndpoint: EndpointConfig | undefined;
}

const NONE: ResolvedAuth = { auth: undefined, authEndpoint: undefined };

/** The credential that the proxy adds to the calls of a route. Reports one that is incomplete, or that other settings contradict. */
export function resolvedAuth(
  { layers, headers, inherited }: AuthContext,
  context: ResolveContext,
): ResolvedAuth {
  const { report } = context;
  const written = writtenAuth(layers);
  if (written === undefined) return NONE;
  const path: Path = [...written.layer.path, 'auth'];
  const kinds = Object.keys(written.input);
  if (kinds.length !== 1) {
    const found = kinds.length === 0 ? 'has no kind' : `has ${kinds.join(' and ')}`;
    report.problem(path, `${found}; write one of basic, query, oauth2 and sigv4, or off`, 'key');
    return NONE;
  }
  const resolved = resolvedKind(written.input, { path, context });
  if (resolved.auth !== undefined) reportConflicts(resolved.auth, { path, headers, inherited, report });
  return resolved;
}

interface Written {
  readonly path: Path;
  readonly context: ResolveContext;
}

function resolvedKind({ basic, query, oauth2, sigv4 }: AuthInput, written: Written): ResolvedAuth {
  if (basic !== undefined) return { ...NONE, auth: basicOptions(basic, written) };
  if (query !== undefined) return { ...NONE, auth: queryOptions(query, written) };
  if (sigv4 !== undefined) return sigv4Options(sigv4, written);
  return oauth2 === undefined ? NONE : oauth2Options(oauth2, written);
}

/** Reports a key that is missing, unless its value was wrong. */
function required(value: string | undefined, key: Path, example: string, { path, context }: Written): void {
  const { report } = context;
  const place = [...path, ...key];
  if (value === undefined && !report.knows(place))
    report.problem(place, `is missing; write for example ${key.at(-1)}: ${example}`, 'key');
}

function basicOptions(
  { user, password = '' }: NonNullable<AuthInput['basic']>,
  written: Written,
): AuthOptions | undefined {
  required(user, ['basic', 'user'], '"${API_USER}"', written);
  return user === undefined ? undefined : { kind: 'basic', user, password };
}

function queryOptions(
  query: NonNullable<AuthInput['query']>,
  { path, context: { report } }: Written,
): AuthOptions | undefined {
  const parameters = Object.entries(query).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  );
  if (parameters.length > 0) return { kind: 'query', parameters };
  const place = [...path, 'query'];
  report.problem(place, 'has no parameter; write for example query: { key: "${API_KEY}" }', 'key');
  return undefined;
}

function oauth2Options(input: NonNullable<AuthInput['oauth2']>, written: Written): ResolvedAuth {
  const { token_url: tokenUrl, client_id: clientId, audience } = input;
  required(tokenUrl, ['oauth2', 'token_url'], 'https://login.example.com/token', written);
  required(clientId, ['oauth2', 'client_id'], '"${CLIENT_ID}"', written);
  const client = clientOf(input, written);
  if (tokenUrl === undefined || clientId === undefined || client === undefined) return NONE;
  const endpoint = {
    url: tokenUrl,
    path: [...written.path, 'oauth2', 'token_url'],
    allowPrivate: input.allow_private ?? false,
    repeatable: client.kind !== 'private_key_jwt',
  };
  const scope = input.scope?.join(' ');
  return {
    auth: { kind: 'oauth2', tokenUrl, clientId, client, scope, audience },
    authEndpoint: authEndpoint(endpoint, written.context),
  };
}

function sigv4Options(input: AwsKeysInput, written: Written): ResolvedAuth {
  const { service, region, credentials_url: url } = input;
  required(service, ['sigv4', 'service'], 'bedrock', written);
  required(region, ['sigv4', 'region'], 'eu-central-1', written);
  const keys = url === undefined ? writtenKeys(input, written) : containerKeys(url, input, written);
  if (service === undefined || region === undefined || keys === undefined) return NONE;
  const path = [...written.path, 'sigv4', 'credentials_url'];
  return {
    auth: { kind: 'sigv4', service, region, keys },
    // The address is link-local by nature.
    authEndpoint:
      url === undefined
        ? undefined
        : authEndpoint({ url, path, allowPrivate: true, repeatable: true }, written.context),
  };
}

type AwsKeysInput = NonNullable<AuthInput['sigv4']>;

function writtenKeys(input: AwsKeysInput, written: Written): Sigv4Options['keys'] | undefined {
  const { access_key_id: accessKeyId, secret_access_key: secretAccessKey } = input;
  required(accessKeyId, ['sigv4', 'access_key_id'], '"${AWS_ACCESS_KEY_ID}", or credentials_url', written);
  required(secretAccessKey, ['sigv4', 'secret_access_key'], '"${AWS_SECRET_ACCESS_KEY}"', written);
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  return { from: 'configuration', accessKeyId, secretAccessKey, sessionToken: input.session_token };
}

function containerKeys(url: string, input: AwsKeysInput, { path, context }: Written): Sigv4Options['keys'] {
  if (input.access_key_id !== undefined)
    context.report.problem(
      [...path, 'sigv4', 'credentials_url'],
      'cannot be combined with access_key_id; remove one',
      'key',
    );
  return { from: 'container', url, token: input.credentials_token };
}

function clientOf(
  { client_secret: secret, client_auth: kind = 'basic', ...key }: NonNullable<AuthInput['oauth2']>,
  written: Written,
): OAuth2Options['client'] | undefined {
  const { path, context } = written;
  const { private_key: text, key_id: keyId, assertion_audience: audience } = key;
  if (text === undefined) {
    required(secret, ['oauth2', 'client_secret'], '"${CLIENT_SECRET}", or private_key', written);
    return secret === undefined ? undefined : { kind, secret };
  }
  const place = [...path, 'oauth2', 'private_key'];
  if (secret !== undefined)
    context.report.problem(place, 'cannot be combined with client_secret; remove one', 'key');
  const pem = signingKey(
    { text, path: place },
    { report: context.report, readFile: context.lookup.readFile },
  );
  return pem === undefined ? undefined : { kind: 'private_key_jwt', key: pem, keyId, audience };
}

interface Conflicting extends Pick<AuthContext, 'headers' | 'inherited'> {
  readonly path: Path;
  readonly report: Report;
}

function reportConflicts(options: AuthOptions, { path, headers, inherited, report }: Conflicting): void {
  const twice = headers.set.find(([name]) => name.toLowerCase() === 'authorization');
  if (twice !== undefined && options.kind !== 'query')
    report.problem(
      path,
      'cannot be combined with headers.set.authorization, which it would replace; remove one',
      'key',
    );
  if (inherited.values.signed.max_age !== null)
    report.problem(
      path,
      'cannot be combined with signed, because signed calls must not be changed; write signed: off',
      'key',
    );
}
