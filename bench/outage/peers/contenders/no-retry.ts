import { ATTEMPT_TIMEOUT_MS, type Contender, packageVersion } from '../contender.ts';
import { plainClient } from '../plain-client.ts';

/** What everything else has to beat: one attempt. */
export const noRetry: Contender = {
  name: 'no retry',
  version: () => packageVersion('undici'),
  attempts: 1,
  settings: 'undici, headersTimeout 1 s',
  client: (origin) => plainClient(origin, ATTEMPT_TIMEOUT_MS),
};
