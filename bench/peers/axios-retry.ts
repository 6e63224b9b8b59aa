import { Agent } from 'node:http';
import axios from 'axios';
import axiosRetry, { exponentialDelay } from 'axios-retry';
import { ATTEMPT_TIMEOUT_MS, type Contender, packageVersion } from '../outage/peers/contender.ts';

/**
 * The settings of its README. Without `shouldResetTimeout`, axios's timeout would apply to the whole call. A timeout
 * (ECONNABORTED) is not retried by default.
 */
export const contender: Contender = {
  name: 'axios-retry',
  version: () => `${packageVersion('axios-retry', 'peers')} on axios ${packageVersion('axios', 'peers')}`,
  attempts: 4,
  settings: 'retries 3, exponentialDelay, shouldResetTimeout; timeout 1 s',
  client(origin) {
    const agent = new Agent({ keepAlive: true });
    const client = axios.create({
      baseURL: origin,
      timeout: ATTEMPT_TIMEOUT_MS,
      httpAgent: agent,
      proxy: false,
    });
    axiosRetry(client, { retries: 3, retryDelay: exponentialDelay, shouldResetTimeout: true });
    return {
      call: async (target, signal) => (await client.get(target, { signal })).status,
      close: async () => agent.destroy(),
    };
  },
};
