import { isIP } from 'node:net';
import { headerOf, headersOf, type RawHeaders } from '../http/headers.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { ClientCheck } from '../proxy/route.ts';

/** Who may use a route that puts a credential into its calls. */
export interface ClientAccessRules {
  /** Web pages may use it. */
  readonly browsers: boolean;
  /**
   * Names that a `Host` may have besides those of this machine and its network, in lower case; `*.example.com` stands for
   * all names below. Undefined: any name.
   */
  readonly hosts: readonly string[] | undefined;
}

/**
 * A route with a credential works for whoever reaches it. Apps may, web pages may not: a browser on the same machine
 * reaches a loopback address too, and sends what a page tells it to. The page shows in `Sec-Fetch-Site` or `Origin`, and a
 * name that was rebound to this address shows in `Host`. No page can forge these three.
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

  /** Why a request is not served; undefined: it is. `host`: whom it was made for. */
  refusal(headers: RawHeaders, host: string | undefined): ProxyError | undefined {
    if (!this.#browsers && isForeignPage(headers, host))
      return refused('and does not serve web pages', 'set clients.browsers: allow');
    if (this.#names === undefined || host === undefined || this.#knows(nameOf(host))) return undefined;
    return refused('and does not serve this Host', 'add the host to clients.allowed_hosts');
  }

  #knows(name: string): boolean {
    // Nobody outside can register these names, so no page has one for its own server.
    if (isIP(name) !== 0 || !name.includes('.')) return true;
    if (name.endsWith('.localhost') || name.endsWith('.internal')) return true;
    return this.#names?.has(name) === true || this.#suffixes.some((suffix) => name.endsWith(suffix));
  }
}

function refused(rule: string, remedy: string): ProxyError {
  return new ProxyError('client_forbidden', `the route adds a credential ${rule}; to allow it, ${remedy}`);
}

/**
 * A browser of today tells by `Sec-Fetch-Site` whose page asks, where the connection is safe or local. Otherwise its
 * `Origin` is compared. `Sec-Fetch-Site` comes first: an app that passes on a browser's fields has another Host.
 */
function isForeignPage(headers: RawHeaders, host: string | undefined): boolean {
  const sites = headersOf(headers, 'sec-fetch-site');
  if (sites.length > 0) return sites.some((site) => site !== 'same-origin' && site !== 'none');
  const origin = headerOf(headers, 'origin');
  return origin !== undefined && !isOwnOrigin(origin, host);
}

/** A port that is the scheme's own may be left out. */
function isOwnOrigin(origin: string, host: string | undefined): boolean {
  const { protocol, host: own } = URL.parse(origin) ?? {};
  if (protocol !== 'http:' && protocol !== 'https:') return false;
  return host !== undefined && URL.parse(`${protocol}//${host}`)?.host === own;
}

/** Without port, brackets and the final dot. */
function nameOf(host: string): string {
  const name = host.toLowerCase().replace(/:\d*$/, '');
  return name.startsWith('[') ? name.slice(1, -1) : name.replace(/\.$/, '');
}
