import { Agent, RetryAgent } from 'undici';
import { ATTEMPT_TIMEOUT_MS, type Contender, packageVersion } from '../contender.ts';
import { clientOf } from '../plain-client.ts';

/** All defaults: 5 retries of 429 and 5xx and of connection errors, 500 ms doubling to 30 s, no jitter. Timeouts are not retried. */
export const undiciRetryAgent: Contender = {
  name: 'undici RetryAgent',
  version: () => packageVersion('undici'),
  attempts: 6,
  settings: 'defaults (5 retries from 500 ms); headersTimeout 1 s',
  client: (origin) => clientOf(new RetryAgent(new Agent({ headersTimeout: ATTEMPT_TIMEOUT_MS })), origin),
};
