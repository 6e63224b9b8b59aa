import type { RouteConfig, RouteSettings } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { Subject } from './sidecar.ts';

/** The settings of an upstream for which only the URL is written. */
export function builtInSettings(): RouteSettings {
  const loaded = loadConfig('built-in', {}, () => 'upstreams: { any: { url: "https://any.example" } }');
  const settings = loaded.ok ? loaded.config.upstreams[0]?.routes.at(-1)?.settings : undefined;
  if (settings === undefined) throw new Error('the built-in configuration is not valid');
  return settings;
}

/** The same route with built-in policies. Facts about the API (keys, not_processed, safe, error rules) stay. */
export function withDefaults({ upstream, route }: Subject, builtIn: RouteSettings): Subject {
  const { errorRules, retry: own } = route.settings;
  const { idempotencyKey, idempotencyHeader, notProcessed, safe } = own;
  const retry = { ...builtIn.retry, idempotencyKey, idempotencyHeader, notProcessed, safe };
  const changed: RouteConfig = { ...route, settings: { ...builtIn, retry, errorRules } };
  return { upstream: { ...upstream, routes: [changed] }, route: changed };
}
