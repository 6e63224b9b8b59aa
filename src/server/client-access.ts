import { headerOf, headersOf, type RawHeaders } from '../http/headers.ts';
import { isIpAddress } from '../http/ip-address.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { ClientCheck } from '../proxy/route.ts';

/** Rules for clients of a route that adds a credential to its calls. */
export interface ClientAccessRules {
  /** Whether web pages may use the route. */
  readonly browsers: boolean;
  /**
   * Allowed names in `Host`, in lower case, in addition to local ones. `*.example.com` matches all subdomains.
   * Undefined: every name is allowed.
   */
  readonly hosts: readonly string[] | undefined;
}

/**
 * Protects a route that adds a credential from web pages. A browser on the same machine reaches loopback addresses and
 * sends requests for any page. `Sec-Fetch-Site` and `Origin` reveal the page, and `Host` reveals a DNS name rebound to this
 * address. A page cannot forge these three fields.
 */
export class ClientAccess implements ClientCheck {
  readonly #browsers: boolean;
  readonly #names: ReadonlySet<string> | undefined;
  readonly #suffixes: readonly string[];

  constructor({ browsers, hosts }: ClientAccessRules) {
    this.#browsers = browsers;
    this.#names = hosts && new Set(hosts);
    this.#suffixes = (hosts ?? []).filter((name) => name.startsWith('*.')).map((name) => name.slice(1));
  }

  /** The error for a request that is not allowed; undefined if it is allowed. `host`: the host that it names. */
  refusal(headers: RawHeaders, host: string | undefined): ProxyError | undefined {
    if (!this.#browsers && isForeignPage(headers, host))
      return refused('and does not serve web pages', 'set clients.browsers: allow');
    if (this.#names === undefined || host === undefined || this.#knows(nameOf(host))) return undefined;
    return refused('and does not serve this Host', 'add the host to clients.allowed_hosts');
  }

  #knows(name: string): boolean {
    // These names cannot be registered publicly, so an attacker's page cannot have one for its own server.
    if (isIpAddress(name) || !name.includes('.')) return true;
    if (name.endsWith('.localhost') || name.endsWith('.internal')) return true;
    return this.#names?.has(name) === true || this.#suffixes.some((suffix) => name.endsWith(suffix));
  }
}

function refused(rule: string, remedy: string): ProxyError {
  return new ProxyError('client_forbidden', `the route adds a credential ${rule}; to allow it, ${remedy}`);
}

/**
 * Whether a page of another site sent the request. Browsers send `Sec-Fetch-Site` on HTTPS and local connections; without
 * it, `Origin` is compared with `host`. `Sec-Fetch-Site` has priority: an app that forwards a browser's fields has another Host.
 */
function isForeignPage(headers: RawHeaders, host: string | undefined): boolean {
  const sites = headersOf(headers, 'sec-fetch-site');
  if (sites.length > 0) return sites.some((site) => site !== 'same-origin' && site !== 'none');
  const origin = headerOf(headers, 'origin');
  return origin !== undefined && !isOwnOrigin(origin, host);
}

/** URL parsing drops the default port of a scheme, so both spellings are equal. */
function isOwnOrigin(origin: string, host: string | undefined): boolean {
  const { protocol, host: own } = URL.parse(origin) ?? {};
  if (protocol !== 'http:' && protocol !== 'https:') return false;
  return host !== undefined && URL.parse(`${protocol}//${host}`)?.host === own;
}

/** The host name without port, brackets and final dot, in lower case. */
function nameOf(host: string): string {
  const name = host.toLowerCase().replace(/:\d*$/, '');
  return name.startsWith('[') ? name.slice(1, -1) : name.replace(/\.$/, '');
}
