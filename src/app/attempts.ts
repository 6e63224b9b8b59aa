import type { RouteConfig } from '../config/config.ts';
import type { Dispatch } from '../proxy/pipeline.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import type { Agent, Sender } from '../upstream/agent.ts';
import { faultyDispatch } from '../upstream/faults.ts';
import { upstreamDispatch } from '../upstream/send.ts';
import { dispatchEither } from '../upstream/tunnel.ts';

/** Makes the attempts of a route at one host, with faults if the route has some. */
export function attemptsBy(
  { requests, handshakes }: Agent,
  origin: string,
  { settings: { faults, idleTimeoutMs } }: RouteConfig,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Dispatch {
  const deps = { clock, random, idleTimeoutMs };
  const by = (sender: Sender): Dispatch =>
    faults === undefined
      ? upstreamDispatch(sender, origin, deps)
      : faultyDispatch(sender, origin, faults, deps);
  return dispatchEither(by(requests), by(handshakes));
}
