import type { RouteConfig, RouteSettings } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { Subject } from './sidecar.ts';

/** The settings of an upstream for which only the URL is written, and those of a target for which only the name is. */
export interface BuiltIn {
  readonly upstream: RouteSettings;
  readonly target: RouteSettings;
}

export function builtInSettings(): BuiltIn {
  const yaml = 'upstreams: { any: { url: "https://any.example", targets: [{ name: any }] } }';
  const loaded = loadConfig('built-in', {}, () => yaml);
  const any = loaded.ok ? loaded.config.upstreams[0] : undefined;
  const upstream = any?.routes.at(-1)?.settings;
  const target = any?.targets?.[0]?.routes.at(-1)?.settings;
  if (upstream === undefined || target === undefined)
    throw new Error('the built-in configuration is not valid');
  return { upstream, target };
}

/**
 * The same route with built-in policies, at each target too. Facts about the API (keys, not_processed, safe, error rules, the headers
 * of credentials) stay.
 */
export function withDefaults({ upstream, route }: Subject, builtIn: BuiltIn): Subject {
  const index = upstream.routes.indexOf(route);
  const changed = plain(route, builtIn.upstream);
  const targets = upstream.targets?.map((target) => ({
    ...target,
    routes: [plain(target.routes[index] as RouteConfig, builtIn.target)],
  }));
  return { upstream: { ...upstream, routes: [changed], targets }, route: changed };
}

function plain(route: RouteConfig, builtIn: RouteSettings): RouteConfig {
  const { errorRules, quota: ownQuota, retry: own } = route.settings;
  const { idempotencyKey, idempotencyHeader, notProcessed, safe } = own;
  const retry = { ...builtIn.retry, idempotencyKey, idempotencyHeader, notProcessed, safe };
  const quota = { ...builtIn.quota, credentialHeaders: ownQuota.credentialHeaders };
  return { ...route, settings: { ...builtIn, quota, retry, errorRules } };
}
