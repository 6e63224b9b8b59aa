import { headersOf, type RawHeaders, TOKEN_FIELDS } from '../http/headers.ts';
import type { NamedClient } from '../proxy/client.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { Route } from '../proxy/route.ts';
import { keyedHash } from '../runtime/keyed-hash.ts';
import type { ClientToken } from './options.ts';

const [TOKEN_HEADER, PROXY_HEADER] = TOKEN_FIELDS;

/** Parts of a request by which it is let in. */
export interface Knock {
  readonly headers: RawHeaders;
  /** The host that the request is made for. */
  readonly host: string | undefined;
}

/** Decides which clients are served, and which routes each of them may use. */
export class Door {
  /** By the hash of their token; undefined: no tokens are configured, and all clients are served. */
  readonly #clients: ReadonlyMap<string, NamedClient> | undefined;
  /** By the name of the client. */
  readonly #shares: ReadonlyMap<string, number | undefined>;
  readonly #hash = keyedHash();

  constructor(tokens: readonly ClientToken[]) {
    this.#shares = new Map(tokens.map(({ name, quotaShare }) => [name, quotaShare]));
    if (tokens.length === 0) return;
    this.#clients = new Map(
      tokens.flatMap(({ token, ...client }) => token.map((secret) => [this.#hash(secret), client] as const)),
    );
  }

  /**
   * The client that sent a request, or the error for an unknown one. Undefined if no tokens are configured. Tokens are compared
   * by their hash, under a key that only this process knows. So the time of a comparison reveals nothing about a token.
   */
  identify(headers: RawHeaders): NamedClient | ProxyError | undefined {
    if (this.#clients === undefined) return undefined;
    const sent = headersOf(headers, TOKEN_HEADER);
    const viaProxy = sent.length === 0 ? headersOf(headers, PROXY_HEADER) : [];
    const token = sent.length === 0 ? proxyToken(viaProxy) : only(sent);
    const client = token === undefined ? undefined : this.#clients.get(this.#hash(token));
    return client ?? unknown(sent.length > 0, viaProxy.length > 0);
  }

  /** The share of each quota that a client may use; undefined: all of it. */
  shareOf(client: string): number | undefined {
    return this.#shares.get(client);
  }

  /** The error for a request that its client may not make; undefined if it is served. */
  refusal(client: NamedClient | undefined, route: Route, { headers, host }: Knock): ProxyError | undefined {
    if (client?.allow?.includes(route.upstream) === false && route.upstream !== '')
      return new ProxyError(
        'client_forbidden',
        `the client ${client.name} may not use the upstream ${route.upstream}; to allow it, add the name to clients.tokens[].allow`,
      );
    return route.clientCheck?.refusal(headers, host);
  }
}

function unknown(sent: boolean, viaProxy: boolean): ProxyError {
  const why = sent || viaProxy ? 'the token is not that of a client' : 'the request has no token';
  return new ProxyError(
    viaProxy ? 'proxy_auth_unknown' : 'client_unknown',
    `${why}; send the one from clients.tokens as ${viaProxy ? 'Proxy-Authorization: Bearer' : TOKEN_HEADER}`,
  );
}

/** Several different values are ambiguous, so they are none. */
function only(values: readonly string[]): string | undefined {
  const [first, ...others] = values;
  return others.every((other) => other === first) ? first : undefined;
}

/** The token in `Proxy-Authorization`: as a bearer token (RFC 6750 §2.1), or as the password of Basic (RFC 7617 §2). */
function proxyToken(values: readonly string[]): string | undefined {
  const [, scheme, text = ''] = /^(bearer|basic) +(\S+) *$/i.exec(only(values) ?? '') ?? [];
  if (scheme === undefined) return undefined;
  if (scheme.toLowerCase() === 'bearer') return text;
  const decoded = Buffer.from(text, 'base64').toString('latin1');
  const colon = decoded.indexOf(':');
  return colon < 0 ? undefined : decoded.slice(colon + 1);
}
