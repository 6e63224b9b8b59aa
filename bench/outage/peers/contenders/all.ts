import type { Contender } from '../contender.ts';
import { axiosWithRetry } from '../../../peers/axios-retry.ts';
import { breakwater, breakwaterPlain } from './breakwater.ts';
import { caddy } from './caddy.ts';
import { cockatiel } from '../../../peers/cockatiel.ts';
import { gotRetry } from '../../../peers/got.ts';
import { haproxy } from './haproxy.ts';
import { nginx, nginxMaxFails } from './nginx.ts';
import { noRetry } from './no-retry.ts';
import { opossum } from '../../../peers/opossum.ts';
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
  gotRetry,
  axiosWithRetry,
  cockatiel,
  opossum,
];
