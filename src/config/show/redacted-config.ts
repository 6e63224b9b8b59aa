import type { AuthOptions } from '../../auth/options.ts';
import { isSecret, REDACTED } from '../../http/credentials.ts';
import type { Config } from '../config.ts';

/** The effective configuration for the admin API. Header values, keys and the token are redacted: they may be secrets. */
export function shownConfig(config: Config): unknown {
  const upstreams = config.upstreams.map((upstream) =>
    upstream.privatePath ? { ...upstream, basePath: REDACTED } : upstream,
  );
  return JSON.parse(JSON.stringify({ ...config, upstreams }, shown));
}

/** `quota.credential_headers` lists names of headers. */
const HEADER_NAMES = 'credentialHeaders';

const isAuth = (value: unknown): value is AuthOptions =>
  typeof value === 'object' && value !== null && 'kind' in value;

/** The parts of a credential that are not secret. */
function shownAuth(auth: AuthOptions): object {
  switch (auth.kind) {
    case 'basic':
      return { kind: auth.kind };
    case 'oauth2': {
      const { kind, tokenUrl, clientId, client, scope, audience } = auth;
      return { kind, tokenUrl, clientId, client: client.kind, scope, audience };
    }
    case 'sigv4':
      return { kind: auth.kind, service: auth.service, region: auth.region, keys: auth.keys.from };
    case 'query':
      return { kind: auth.kind, parameters: auth.parameters.map(([name]) => name) };
  }
}

const isText = (value: unknown): boolean => typeof value === 'string' || Array.isArray(value);

function shown(key: string, value: unknown): unknown {
  if (value instanceof Set) return [...value];
  if (key === 'auth' && isAuth(value)) return shownAuth(value);
  if (isSecret(key) && isText(value) && key !== HEADER_NAMES) return REDACTED;
  if (typeof value === 'string') return shownText(key, value);
  if (key === 'set' && Array.isArray(value)) return value.map(([name]) => [name, REDACTED]);
  return value;
}

function shownText(key: string, text: string): string {
  // The path of a chat's webhook is its secret.
  if (key === 'webhookPath') return REDACTED;
  if (text.includes('-----BEGIN ')) return '[PEM]';
  if (key === 'body') return `[${Buffer.byteLength(text)} bytes]`;
  // The query of a schedule may be a secret.
  if (key === 'target') return text.replace(/\?.*/, `?${REDACTED}`);
  // User and password of a database.
  return key === 'store' ? text.replace(/:\/\/[^/]*@/, `://${REDACTED}@`) : text;
}
