import { type Dispatcher, Pool } from 'undici';
import type { Client } from './contender.ts';

/** undici without policies: the client of the proxies, and the base of the compositions. 0: no timeout. */
export function plainClient(origin: string, headersTimeout: number): Client {
  return clientOf(new Pool(origin, { headersTimeout }), origin);
}

export function clientOf(dispatcher: Dispatcher, origin: string): Client {
  return {
    async call(target, signal) {
      const { statusCode, body } = await dispatcher.request({ origin, path: target, method: 'GET', signal });
      await body.dump();
      return statusCode;
    },
    close: () => dispatcher.destroy(),
  };
}

/** Rejects for a 5xx, for compositions that detect failures by exceptions only. */
export async function successOnly(reply: Promise<number>): Promise<number> {
  const status = await reply;
  if (status >= 500) throw new Error(`status ${status}`);
  return status;
}
