import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { REQUEST_HEADERS, type Scenario } from './scenarios.ts';

/** Throws unless a proxy forwards one request of this kind and its reply completely, because a wrong reply can be fast. */
export async function verify(
  port: number,
  scenario: Scenario,
  more?: Readonly<Record<string, string>>,
): Promise<void> {
  const { method, path, body } = scenario;
  const length = body === undefined ? {} : { 'content-length': body.length };
  const req = request({
    host: '127.0.0.1',
    port,
    method,
    path,
    agent: false,
    headers: { ...REQUEST_HEADERS, ...more, ...length },
  });
  req.end(body);
  const [res] = (await once(req, 'response')) as [IncomingMessage];
  const reply = await buffer(res);
  const received = Number(res.headers['x-received-bytes']);
  if (res.statusCode !== 200)
    throw new Error(`${scenario.name}: status ${res.statusCode}: ${reply.toString()}`);
  if (reply.length < scenario.replyBytes) throw new Error(`${scenario.name}: ${reply.length} bytes of reply`);
  if (received !== (body?.length ?? 0))
    throw new Error(`${scenario.name}: the origin received ${received} bytes`);
}
