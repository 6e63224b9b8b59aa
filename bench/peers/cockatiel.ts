import {
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleAll,
  retry,
  TimeoutStrategy,
  timeout,
  wrap,
} from 'cockatiel';
import { ATTEMPT_TIMEOUT_MS, type Contender, packageVersion } from '../outage/peers/contender.ts';
import { plainClient, successOnly } from '../outage/peers/plain-client.ts';

/** The composition and numbers of its README, with a timeout per attempt. */
export const contender: Contender = {
  name: 'cockatiel',
  version: () => packageVersion('cockatiel', 'peers'),
  attempts: 4,
  settings:
    'retry (3, ExponentialBackoff) around circuitBreaker (5 consecutive, halfOpenAfter 10 s) around timeout 1 s',
  client(origin) {
    const plain = plainClient(origin, 0);
    const policy = wrap(
      retry(handleAll, { maxAttempts: 3, backoff: new ExponentialBackoff() }),
      circuitBreaker(handleAll, { halfOpenAfter: 10_000, breaker: new ConsecutiveBreaker(5) }),
      timeout(ATTEMPT_TIMEOUT_MS, TimeoutStrategy.Aggressive),
    );
    return {
      call: (target, deadline) =>
        policy.execute(({ signal }) => successOnly(plain.call(target, signal)), deadline),
      close: () => plain.close(),
    };
  },
};
