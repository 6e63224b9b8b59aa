import type { Config, RouteConfig, UpstreamConfig } from '../config/config.ts';
import { compileHeaderRules } from '../http/headers.ts';
import type { ByteBudget } from '../http/byte-budget.ts';
import { pipeline } from '../policies/order.ts';
import type { Route } from '../proxy/route.ts';
import { Router } from '../proxy/router.ts';
import { createAgent } from '../upstream/agent.ts';
import { upstreamSend } from '../upstream/send.ts';
import { sendEither } from '../upstream/tunnel.ts';
import { policiesOf } from './policies-of.ts';
import { type Scope, type ScopeDeps, Scopes } from './scope.ts';

export interface AssembleDeps extends ScopeDeps {
  readonly memory: ByteBudget;
}

/** An upstream as it runs: what can be looked at and steered from outside. */
export interface RunningUpstream {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly calls: { readonly inFlight: number; readonly tunnels: number };
  readonly connections: () => number;
  /** No call can be sent after this. */
  readonly close: () => void;
}

export interface Assembly {
  readonly router: Router<Route>;
  readonly upstreams: readonly RunningUpstream[];
}

/** Config → router and pipelines, taking over all state whose options did not change. */
export function assemble(config: Config, deps: AssembleDeps): Assembly {
  deps.state.begin();
  const built = config.upstreams.map((upstream) => assembleUpstream(upstream, deps));
  deps.state.commit();
  return {
    router: new Router(built.map(({ mounted }) => mounted)),
    upstreams: built.map(({ running }) => running),
  };
}

function assembleUpstream(upstream: UpstreamConfig, deps: AssembleDeps) {
  const { name, origin, basePath, mount, allowPrivate } = upstream;
  const connection = { ...upstream.connection, allowPrivate };
  // One that a reload replaces is not closed: calls that began on it may still be in backoff. What idles there ends by
  // its keep-alive time.
  const agent = deps.state.keep(`${name} agent`, { origin, connection }, () =>
    createAgent(origin, connection, { clock: deps.clock }),
  );
  const calls = deps.state.keep(`${name} calls`, undefined, () => ({ inFlight: 0, tunnels: 0 }));
  const headers = compileHeaderRules(upstream.headers);
  // The catch-all at the end has the settings that every route has unless it says otherwise.
  const scopes = new Scopes(name, (upstream.routes.at(-1) as RouteConfig).settings, deps);
  const routes = upstream.routes.map((config) => {
    const { idleTimeoutMs, totalTimeoutMs, maxReplayBytes, retry } = config.settings;
    const options = { clock: deps.clock, idleTimeoutMs };
    const send = sendEither(
      upstreamSend(agent.requests, origin, options),
      upstreamSend(agent.handshakes, origin, options),
    );
    const route: Route = {
      upstream: name,
      name: config.name,
      send: pipeline(policiesOf(config, scopes, deps), send),
      calls,
      totalTimeoutMs,
      maxReplayBytes: retry.attempts > 1 ? maxReplayBytes : 0,
      headers,
      idempotency: { mode: retry.idempotencyKey, header: retry.idempotencyHeader },
    };
    return { methods: config.methods, path: config.path, route };
  });
  scopes.connect();
  const running = {
    name,
    scopes: scopes.all(),
    calls,
    connections: () => agent.connections() + calls.tunnels,
    close: () => agent.close(),
  };
  return { mounted: { mount, basePath, routes }, running };
}
