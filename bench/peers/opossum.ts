import { setTimeout as sleep } from 'node:timers/promises';
import CircuitBreaker from 'opossum';
import { ATTEMPT_TIMEOUT_MS, type Contender, packageVersion } from '../outage/peers/contender.ts';
import { plainClient, successOnly } from '../outage/peers/plain-client.ts';

const RETRIES = 3;
const BASE_MS = 100;

/**
 * opossum has no retry, so the usual loop surrounds the breaker: three retries, exponential with full jitter, none while it
 * is open. The breaker has the numbers of its README. Without a volume threshold, one early failure opens it for 30 s.
 */
export const contender: Contender = {
  name: 'opossum',
  version: () => packageVersion('opossum', 'peers'),
  attempts: 1 + RETRIES,
  settings:
    '3 retries (100 ms doubling, full jitter) around breaker (50 %, volumeThreshold 10, resetTimeout 30 s)',
  client(origin) {
    const plain = plainClient(origin, ATTEMPT_TIMEOUT_MS);
    const once = (target: string, signal: AbortSignal) => successOnly(plain.call(target, signal));
    // The client's timeout ends the request. opossum's own would only stop waiting for it.
    const breaker = new CircuitBreaker(once, {
      timeout: false,
      errorThresholdPercentage: 50,
      volumeThreshold: 10,
      resetTimeout: 30_000,
    });
    return {
      async call(target, signal) {
        for (let retry = 0; ; retry++) {
          try {
            return await breaker.fire(target, signal);
          } catch (error) {
            if (retry === RETRIES || breaker.opened) throw error;
            await sleep(Math.random() * BASE_MS * 2 ** retry, undefined, { signal });
          }
        }
      },
      async close() {
        breaker.shutdown();
        await plain.close();
      },
    };
  },
};
