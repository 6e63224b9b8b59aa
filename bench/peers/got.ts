import { Agent } from 'node:http';
import got from 'got';
import { ATTEMPT_TIMEOUT_MS, type Contender, packageVersion } from '../outage/peers/contender.ts';

/** All defaults: 2 retries, after 1 s and 2 s plus up to 100 ms; timeouts are retried. */
export const contender: Contender = {
  name: 'got',
  version: () => packageVersion('got', 'peers'),
  attempts: 3,
  settings: 'defaults (limit 2, from 1 s); timeout.request 1 s',
  client(origin) {
    const agent = new Agent({ keepAlive: true });
    const client = got.extend({
      prefixUrl: origin,
      agent: { http: agent },
      timeout: { request: ATTEMPT_TIMEOUT_MS },
    });
    return {
      call: async (target, signal) => (await client.get(target.slice(1), { signal })).statusCode,
      close: async () => agent.destroy(),
    };
  },
};
