/** One kind of request, the same for every contender. */
export interface Scenario {
  readonly name: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: Buffer;
  /** Length of the reply body in bytes. */
  readonly replyBytes: number;
  /** Requests in the CPU measurement of a round; fewer if each takes longer. */
  readonly requests: number;
}

const KIB = 1024;
const text = (bytes: number): Buffer => Buffer.alloc(bytes, 'abcdefghijklmnop');

export const SCENARIOS: readonly Scenario[] = [
  { name: 'GET 1 KiB', method: 'GET', path: '/1k', replyBytes: KIB, requests: 2000 },
  { name: 'GET 64 KiB', method: 'GET', path: '/64k', replyBytes: 64 * KIB, requests: 1000 },
  { name: 'POST 1 KiB', method: 'POST', path: '/1k', body: text(KIB), replyBytes: KIB, requests: 2000 },
  { name: 'POST 64 KiB', method: 'POST', path: '/1k', body: text(64 * KIB), replyBytes: KIB, requests: 1000 },
];

/** A chat completion, which gateways for AI APIs understand. The origin's reply has the same length for each. */
export const CHAT: Scenario = {
  name: 'POST chat completion',
  method: 'POST',
  path: '/v1/chat/completions',
  body: Buffer.from(
    JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: text(KIB).toString() }] }),
  ),
  replyBytes: KIB,
  requests: 0,
};

/** Usual fields of an API client. The cost of a proxy grows with their number. */
export const REQUEST_HEADERS = {
  accept: 'application/json',
  'accept-encoding': 'gzip, deflate',
  authorization: 'Bearer sk_test_0123456789abcdef0123456789abcdef',
  'content-type': 'application/json',
  'user-agent': 'bench/1.0',
  'x-request-id': '7d444840-9dc0-11d1-b245-5ffdce74fad2',
} as const;
