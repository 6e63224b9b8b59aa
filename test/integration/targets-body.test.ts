import { expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { ok, startOrigin } from '../support/origin.ts';

/* A target replaces values in JSON bodies (`body.set`). */

async function start(set: string) {
  const origin = await startOrigin(ok());
  const proxy = await startBreakwater(`
upstreams:
  api:
    url: ${origin.url}
    allow_private: true
    request: { max_replay: 1MiB }
    targets:
      - { name: a, body: { set: ${set} } }
`);
  const post = async (body: string, headers: Readonly<Record<string, string>> = {}) => {
    const fields = { 'content-type': 'application/json', ...headers };
    const reply = await fetch(`${proxy.url}/api/x`, { method: 'POST', body, headers: fields });
    const problem = reply.status === 200 ? undefined : ((await reply.json()) as { code: string });
    return { status: reply.status, code: problem?.code, sent: origin.requests.at(-1) };
  };
  return { origin, post };
}

test.each([
  [
    'integers above 2^53',
    '{"seed":12345678901234567890,"model":"x"}',
    '{"seed":12345678901234567890,"model":"m"}',
  ],
  ['numbers in any notation', '{"a":1.0,"b":[1e400,-0,2E3]}', '{"a":1.0,"b":[1e400,-0,2E3],"model":"m"}'],
  ['a number in the way of a pointer', '{"in":1.0}', '{"in":1.0,"model":"m"}'],
  ['the last of equal names', '{"model":1,"model":2}', '{"model":"m"}'],
  ['names that JavaScript knows', '{"__proto__":{"a":1}}', '{"__proto__":{"a":1},"model":"m"}'],
  ['half a surrogate pair', '{"a":"\\ud800"}', '{"a":"\\ud800","model":"m"}'],
  ['a list', '[1]', '[1]'],
  ['no JSON', '{"a"', '{"a"'],
])('everything else stays as it was: %s', async (_, body, expected) => {
  const { post } = await start('{ /model: m }');
  const { sent } = await post(body);
  expect(String(sent?.body)).toBe(expected);
  expect(sent?.headers['content-length']).toBe(String(Buffer.byteLength(expected)));
});

test('an object takes the place of a number in the way', async () => {
  const { post } = await start('{ /in/model: m }');
  expect(String((await post('{"in":1.0}')).sent?.body)).toBe('{"in":{"model":"m"}}');
});

test('digests of the old body are not passed on', async () => {
  const { post } = await start('{ /model: m }');
  const digests = ['content-digest', 'repr-digest', 'digest', 'content-md5'];
  const { sent } = await post('{}', Object.fromEntries(digests.map((name) => [name, 'sha-256=:x:'])));
  for (const name of digests) expect(sent?.headers).not.toHaveProperty(name);
});

test('a body that is nested too deeply gets 400, and nothing is sent', async () => {
  const { post, origin } = await start('{ /model: m }');
  const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  expect(await post(deep)).toMatchObject({ status: 400, code: 'bad_request' });
  expect(await post(`{"a":"${'x'.repeat(2 ** 21)}"}`)).toMatchObject({ status: 413 });
  expect(origin.requests).toEqual([]);
});
