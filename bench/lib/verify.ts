import { once } from 'node:events';
import { get, type IncomingMessage, request } from 'node:http';
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

/** The number of connections that the origin has accepted, without that of this query. */
export async function originConnections(originPort: number): Promise<number> {
  asked++;
  const [res] = (await once(
    get({ host: '127.0.0.1', port: originPort, path: '/stats', agent: false }),
    'response',
  )) as [IncomingMessage];
  const { connections } = JSON.parse((await buffer(res)).toString()) as { connections: number };
  return connections - asked;
}

let asked = 0;
