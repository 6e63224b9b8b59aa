import { importPeer } from '../../../lib/peers.ts';
import type { Contender } from '../contender.ts';
import { breakwater, breakwaterPlain } from './breakwater.ts';
import { caddy } from './caddy.ts';
import { haproxy } from './haproxy.ts';
import { nginx, nginxMaxFails } from './nginx.ts';
import { noRetry } from './no-retry.ts';
import { undiciRetryAgent } from './undici-retry-agent.ts';

/** In the order of the tables: no retry, Breakwater, proxies, libraries with retries, libraries that also have a breaker. */
export const CONTENDERS: readonly Contender[] = [
  noRetry,
  breakwater,
  breakwaterPlain,
  nginx,
  nginxMaxFails,
  haproxy,
  caddy,
  undiciRetryAgent,
  ...(await Promise.all(['got', 'axios-retry', 'cockatiel', 'opossum'].map(library))),
];

async function library(name: string): Promise<Contender> {
  return ((await importPeer(name)) as { readonly contender: Contender }).contender;
}
