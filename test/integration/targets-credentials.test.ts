import { expect, test } from 'vitest';
import { type AuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, startOrigin, status } from '../support/origin.ts';
import { expectedAuthorization } from '../support/sigv4-check.ts';
import { startTidy, stateOf } from '../support/tidy.ts';

/* Credentials that the proxy obtains or computes, each for its own target. */

const upstream = (targets: readonly string[], more = '') => `
log: { requests: all }
upstreams:
  api:
    allow_private: true
${more}    targets:
${targets.map((one) => `      - { ${one} }\n`).join('')}`;

const secretOf = (name: string) => `hush-hush-of-${name}`;

const oauth2 = (name: string, { tokenUrl }: AuthorizationServer, url: string, client = name) =>
  `name: ${name}, url: "${url}", auth: { oauth2: { token_url: "${tokenUrl}", client_id: ${client}, client_secret: ${secretOf(client)}, allow_private: true } }`;

const clientOf = (name: string) => ({ client_id: name, client_secret: secretOf(name) });

const get = ({ url }: Breakwater) => fetch(`${url}/api/x`);

async function everything(proxy: Breakwater): Promise<string> {
  const pages = ['/metrics', '/api/state', '/api/config', '/api/calls'];
  const texts = pages.map(async (path) => (await fetch(proxy.adminUrl + path)).text());
  return JSON.stringify([proxy.logs, proxy.states, ...(await Promise.all(texts))]);
}

/** Two targets, each with a token endpoint, a client and a host of its own. */
async function startTwo() {
  const [one, two] = await Promise.all(
    ['one', 'two'].map((name) => startAuthorizationServer({ clients: [clientOf(name)] })),
  );
  const [first, second] = [await startOrigin(one!.api), await startOrigin(two!.api)];
  const proxy = await startTidy(upstream([oauth2('one', one!, first.url), oauth2('two', two!, second.url)]), {
    clock: new FakeClock(),
  });
  return { one: one!, two: two!, first, second, proxy };
}

test('each target has a token of its own, from its own endpoint', async () => {
  const { one, two, first, second, proxy } = await startTwo();
  for (let i = 0; i < 4; i++) expect((await get(proxy)).status).toBe(200);
  expect([one.granted, two.granted]).toEqual([1, 1]);
  expect([first.requests.length, second.requests.length]).toEqual([2, 2]);
  expect([new Set(one.tokens).size, new Set(two.tokens).size]).toEqual([1, 1]);
  expect(one.tokens[0]).not.toBe(two.tokens[0]);
  const { upstreams } = await stateOf(proxy);
  const auth = (upstreams[0]?.scopes ?? []).filter((scope) => 'auth' in scope);
  expect(auth).toMatchObject([
    { scope: 'api@one', auth: { kind: 'oauth2', expires_ms: 595_000 } },
    { scope: 'api@two', auth: { kind: 'oauth2', expires_ms: 595_000 } },
  ]);
  const said = await everything(proxy);
  const secrets = [secretOf('one'), secretOf('two'), one.tokens[0]!, two.tokens[0]!];
  for (const secret of secrets) expect(said).not.toContain(secret);
});

test('two clients of one token endpoint, at one host, each use their own token', async () => {
  const server = await startAuthorizationServer({ clients: [clientOf('one'), clientOf('two')] });
  const origin = await startOrigin(server.api);
  const targets = ['one', 'two'].map((name) => oauth2(name, server, origin.url));
  const proxy = await startTidy(upstream(targets), { clock: new FakeClock() });
  for (let i = 0; i < 4; i++) expect((await get(proxy)).status).toBe(200);
  const [a, b, c, d] = server.tokens;
  expect([server.granted, a === c, b === d, a === b]).toEqual([2, true, true, false]);
});

test('a revoked token is renewed for the same target, and the other target keeps its own', async () => {
  const { one, two, proxy } = await startTwo();
  for (let i = 0; i < 2; i++) await get(proxy);
  await one.revoke(one.tokens[0]!);
  const reply = await get(proxy);
  expect([reply.status, reply.headers.get('breakwater-target')]).toEqual([200, 'one']);
  expect([one.granted, two.granted, two.tokens.length]).toEqual([2, 1, 1]);
  expect(proxy.ended[2]?.entries.map(({ target, status: got }) => `${target} ${got}`)).toEqual([
    'one 401',
    'one 200',
  ]);
});

test('if the token endpoint of one target refuses its client, its calls go to the other one', async () => {
  const one = await startAuthorizationServer({ clients: [] });
  const two = await startAuthorizationServer({ clients: [clientOf('two')] });
  const [first, second] = [await startOrigin(one.api), await startOrigin(two.api)];
  const targets = [oauth2('one', one, first.url), oauth2('two', two, second.url)];
  const proxy = await startTidy(upstream(targets), { clock: new FakeClock() });
  for (let i = 0; i < 4; i++) {
    const reply = await fetch(`${proxy.url}/api/x`, { method: 'POST', body: '{}' });
    expect([reply.status, reply.headers.get('breakwater-target')]).toEqual([200, 'two']);
  }
  expect([first.requests.length, second.requests.length, one.refused]).toEqual([0, 4, 1]);
});

const SIGNERS = {
  eu: { scope: { service: 'bedrock', region: 'eu-central-1' }, keys: keysOf('EU') },
  us: { scope: { service: 'bedrock', region: 'us-east-1' }, keys: keysOf('US') },
};

function keysOf(place: string) {
  return { accessKeyId: `AKID${place}`, secretAccessKey: `hush/hush+secret-of-${place}` };
}

const signed = (name: keyof typeof SIGNERS, url: string, more = '') => {
  const { scope, keys } = SIGNERS[name];
  return `name: ${name}, url: "${url}", auth: { sigv4: { service: bedrock, region: ${scope.region}, access_key_id: ${keys.accessKeyId}, secret_access_key: "${keys.secretAccessKey}" } }${more}`;
};

test('an attempt is signed for the host, region, key and body of its target', async () => {
  const failing = await startOrigin(status(503));
  const well = await startOrigin(ok());
  const proxy = await startTidy(
    upstream([
      signed('eu', `${failing.url}/eu`),
      signed('us', well.url, ', body: { set: { /model: claude-us } }'),
    ]),
    { clock: new FakeClock() },
  );
  const reply = await fetch(`${proxy.url}/api/model/a%3A1/converse`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json', authorization: 'AWS4-HMAC-SHA256 Credential=app' },
    body: '{"model":"claude","n":1.0}',
  });
  expect([reply.status, reply.headers.get('breakwater-target')]).toEqual([200, 'us']);
  const sent = [failing.requests[0]!, well.requests[0]!] as const;
  expect(sent.map(({ url, body }) => `${url} ${String(body)}`)).toEqual([
    '/eu/model/a%3A1/converse {"model":"claude","n":1.0}',
    '/model/a%3A1/converse {"model":"claude-us","n":1.0}',
  ]);
  (['eu', 'us'] as const).forEach((name, i) => {
    const { scope, keys } = SIGNERS[name];
    const request = sent[i]!;
    expect(request.headers.authorization).toContain(`Credential=${keys.accessKeyId}/`);
    expect(request.headers.authorization).toBe(expectedAuthorization(request, request.body, scope, keys));
  });
  const said = await everything(proxy);
  for (const { keys } of Object.values(SIGNERS)) expect(said).not.toContain(keys.secretAccessKey);
});
