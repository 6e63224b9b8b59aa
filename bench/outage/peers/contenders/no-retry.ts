import { ATTEMPT_TIMEOUT_MS, type Contender, packageVersion } from '../contender.ts';
import { plainClient } from '../plain-client.ts';

/** The baseline: one attempt per call. */
export const noRetry: Contender = {
  name: 'no retry',
  version: () => packageVersion('undici'),
  attempts: 1,
  settings: 'undici, headersTimeout 1 s',
  client: (origin) => plainClient(origin, ATTEMPT_TIMEOUT_MS),
};
