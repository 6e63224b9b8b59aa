import type { EndpointConfig } from '../config.ts';
import { CATCH_ALL } from '../fields/words.ts';
import type { SharedInput } from '../keys/schema.ts';
import type { Path } from '../read/problem.ts';
import { connectionOptions } from './connection.ts';
import type { ResolveContext } from './context.ts';
import { inherit, type Layer } from './inherit.ts';
import { routeSettings } from './settings.ts';
import { upstreamUrl } from './upstream-url.ts';

interface Endpoint {
  readonly url: string;
  readonly path: Path;
  readonly allowPrivate: boolean;
  /** A repeated request does no harm. False for an assertion, which a server may accept only once (RFC 7523 §3). */
  readonly repeatable: boolean;
}

/** A request for a credential takes no longer than this, and its retries no longer than that. Calls wait for it. */
const ATTEMPT_MS = 5_000;
const TOTAL_MS = 15_000;

/** Quotas, limits and second attempts have no use for one request at a time. */
const ONE_AT_A_TIME = {
  quota: { mode: 'off' },
  concurrency: { mode: 'off' },
  hedge: { after: null },
} as const;

const SHARES_NOTHING = {
  budget: false,
  breaker: false,
  concurrency: false,
  quota: false,
  cache: false,
  dedupe: false,
  auth: false,
} as const;

/**
 * The issuer of a credential, with the built-in policies of an upstream. Of `defaults`, only the keys of connections apply: the others
 * are about APIs. Undefined after a problem.
 */
export function authEndpoint(endpoint: Endpoint, context: ResolveContext): EndpointConfig | undefined {
  const { path, url, allowPrivate, repeatable } = endpoint;
  const { report } = context;
  const query = url.indexOf('?');
  const [place, search] = query < 0 ? [url, ''] : [url.slice(0, query), url.slice(query)];
  if (report.knows(path)) return undefined;
  const { origin, basePath } = upstreamUrl(place, { path, allowPrivate, placeholders: false }, report);
  const own = {
    ...ONE_AT_A_TIME,
    timeouts: { attempt: ATTEMPT_MS, total: TOTAL_MS },
    retry: { safe: repeatable, not_processed: [429, 503] },
  };
  const layers: Layer[] = [
    context.builtIn,
    { ...context.defaults, values: ofConnections(context.defaults.values) },
    { name: 'auth', path, values: own },
  ];
  const inherited = inherit<SharedInput>(layers);
  const settings = {
    ...routeSettings(inherited.values),
    auth: undefined,
    authEndpoint: undefined,
    durable: undefined,
    faults: undefined,
  };
  const headers = { set: [], remove: [] };
  return {
    origin,
    target: `${basePath || '/'}${search}`,
    allowPrivate,
    connection: connectionOptions(inherited, origin, context),
    route: { name: CATCH_ALL, methods: undefined, path: '/**', headers, settings, own: SHARES_NOTHING },
  };
}

function ofConnections({ connection, tls }: Partial<SharedInput>): object {
  return { connection, tls };
}
