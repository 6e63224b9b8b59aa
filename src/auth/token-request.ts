import { createPrivateKey, type KeyObject } from 'node:crypto';
import {
  allowInsecureRequests,
  type AuthorizationServer,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  clientCredentialsGrantRequest,
  customFetch,
  modifyAssertion,
  PrivateKeyJwt,
  processClientCredentialsResponse,
} from 'oauth4webapi';
import { ProxyError } from '../proxy/errors.ts';
import type { Issued } from './expiring-secret.ts';
import type { OAuth2Options } from './options.ts';
import type { Ask, EndpointReply } from './endpoint.ts';

/** Requests an access token (RFC 6749 §4.4). Rejects with `auth_failed`; its message has no part of the reply but the error code. */
export async function requestToken(options: OAuth2Options, ask: Ask): Promise<Issued<string>> {
  const { tokenUrl, clientId, scope, audience } = options;
  const server: AuthorizationServer = { issuer: tokenUrl, token_endpoint: tokenUrl };
  const client = { client_id: clientId };
  const parameters = { ...(scope && { scope }), ...(audience && { audience }) };
  const send = new TokenPost(ask, new URL(tokenUrl).host);
  try {
    const reply = await clientCredentialsGrantRequest(server, client, await authOf(options), parameters, {
      [customFetch]: (_url, request) => send.fetch(request),
      // The configuration has allowed the scheme.
      [allowInsecureRequests]: true,
    });
    const token = await processClientCredentialsResponse(server, client, reply);
    const lifetimeMs = token.expires_in === undefined ? Infinity : token.expires_in * 1_000;
    return { secret: `Bearer ${token.access_token}`, lifetimeMs };
  } catch (error) {
    throw send.failureOf(error);
  }
}

async function authOf({ client, tokenUrl }: OAuth2Options): Promise<ClientAuth> {
  switch (client.kind) {
    case 'basic':
      return ClientSecretBasic(client.secret);
    case 'post':
      return ClientSecretPost(client.secret);
    case 'private_key_jwt': {
      const key = await signingKey(createPrivateKey(client.key));
      const kid = client.keyId;
      return PrivateKeyJwt(kid === undefined ? { key } : { key, kid }, {
        [modifyAssertion]: (_header, payload) => {
          payload['aud'] = client.audience ?? tokenUrl;
        },
      });
    }
  }
}

/** The key for the algorithm of its kind: RS256, ES256, ES384, ES512 or EdDSA (RFC 7518 §3.1, RFC 8037). */
async function signingKey(key: KeyObject): Promise<CryptoKey> {
  return key.toCryptoKey(algorithmOf(key), false, ['sign']);
}

function algorithmOf(key: KeyObject): Parameters<KeyObject['toCryptoKey']>[0] {
  if (key.asymmetricKeyType === 'rsa') return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  if (key.asymmetricKeyType === 'ec') return { name: 'ECDSA', namedCurve: curveOf(key) };
  return { name: 'Ed25519' };
}

/** Names of curves in OpenSSL, and in Web Cryptography. */
const CURVES: ReadonlyMap<string | undefined, string> = new Map([
  ['prime256v1', 'P-256'],
  ['secp384r1', 'P-384'],
  ['secp521r1', 'P-521'],
]);

const curveOf = (key: KeyObject): string => CURVES.get(key.asymmetricKeyDetails?.namedCurve) ?? 'P-256';

/** One token request, with what its failure says. */
class TokenPost {
  readonly #ask: Ask;
  readonly #host: string;
  #reply: EndpointReply | undefined;
  #error: ProxyError | undefined;

  constructor(ask: Ask, host: string) {
    this.#ask = ask;
    this.#host = host;
  }

  async fetch(request: { headers: Record<string, string>; body: URLSearchParams }): Promise<Response> {
    try {
      this.#reply = await this.#ask({
        headers: Object.entries(request.headers).flat(),
        body: Buffer.from(request.body.toString()),
      });
    } catch (error) {
      if (error instanceof ProxyError) this.#error = error;
      throw error;
    }
    const { status, headers, body } = this.#reply;
    return new Response(body === '' ? null : body, { status, headers });
  }

  failureOf(cause: unknown): ProxyError {
    return new ProxyError('auth_failed', this.#reason(), { cause, retryAfterMs: this.#error?.retryAfterMs });
  }

  #reason(): string {
    const endpoint = `the token endpoint ${this.#host}`;
    if (this.#error !== undefined)
      return `${endpoint} gave no token: ${this.#error.code} (${this.#error.message})`;
    if (this.#reply === undefined) return `the request for a token could not be made; check auth.oauth2`;
    const { status } = this.#reply;
    if (status === 200) return `${endpoint} sent a reply without a valid token`;
    const code = errorCode(this.#reply.body);
    const said = code === undefined ? `${status}` : `${status} ${code}`;
    const fix = code === 'invalid_client' || status === 401 ? '; check client_id and its secret' : '';
    return `${endpoint} refused to give a token: ${said}${fix}`;
  }
}

/** The codes of RFC 6749 §5.2. Other text of a reply may repeat a secret. */
const ERROR_CODES: ReadonlySet<unknown> = new Set([
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'invalid_target',
]);

function errorCode(body: string): string | undefined {
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    return ERROR_CODES.has(error) ? String(error) : undefined;
  } catch {
    return undefined;
  }
}
