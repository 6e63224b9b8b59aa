import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { addedCredentials, clientAccessRules, knownClients } from '../../src/config/resolve/identity.ts';
import { ClientAccess } from '../../src/server/client-access.ts';

const access = (browsers: boolean, hosts?: readonly string[]) => new ClientAccess({ browsers, hosts });
const code = (one: ClientAccess, host: string | undefined, ...headers: string[]) =>
  one.refusal(headers, host)?.code;

describe('web pages', () => {
  const closed = access(false);
  const here = '127.0.0.1:8080';

  test.each(['cross-site', 'same-site', '', 'Same-Origin'])('Sec-Fetch-Site: %j is refused', (site) =>
    expect(code(closed, here, 'Sec-Fetch-Site', site)).toBe('client_forbidden'),
  );

  test.each(['same-origin', 'none'])('Sec-Fetch-Site: %s is served', (site) =>
    expect(code(closed, here, 'sec-fetch-site', site)).toBeUndefined(),
  );

  test('one allowed value of two is not enough', () =>
    expect(code(closed, here, 'Sec-Fetch-Site', 'none', 'sec-fetch-site', 'cross-site')).toBe(
      'client_forbidden',
    ));

  test.each([
    'https://evil.example',
    'null',
    'http://127.0.0.1:3000',
    'file://127.0.0.1:8080',
    'http://127.0.0.1:8080.evil.example',
    '',
  ])('Origin: %j is refused', (origin) =>
    expect(code(closed, here, 'Origin', origin)).toBe('client_forbidden'),
  );

  test.each([
    [here, `http://${here}`],
    ['app.local', 'https://app.local'],
    ['app.local:443', 'https://APP.local'],
    ['[::1]:8080', 'http://[::1]:8080'],
  ])('with Host: %s, Origin: %s is the same site', (host, origin) =>
    expect(code(closed, host, 'origin', origin)).toBeUndefined(),
  );

  test('an app that forwards the fields of its own page is served', () =>
    expect(
      code(closed, here, 'sec-fetch-site', 'same-origin', 'origin', 'https://app.example'),
    ).toBeUndefined());

  test('a client that is not a browser is served', () =>
    expect(code(closed, here, 'accept', '*/*')).toBeUndefined());

  test('browsers: allow serves web pages', () =>
    expect(code(access(true), here, 'sec-fetch-site', 'cross-site', 'origin', 'null')).toBeUndefined());
});

describe('hosts', () => {
  const known = access(false, ['api.stripe.com', '*.corp.example']);

  test.each(
    [
      ['127.0.0.1:8080', '[::1]:8080', '10.0.0.7', 'localhost:8080', 'LOCALHOST.', 'breakwater:80', ''],
      [
        'x.localhost',
        'host.docker.internal:8080',
        'api.stripe.com',
        'API.stripe.com.:443',
        'a.b.corp.example',
      ],
    ].flat(),
  )('%j is known', (host) => expect(code(known, host)).toBeUndefined());

  test.each(
    [
      ['evil.example', 'evil.example.', 'localhost.evil.example', 'internal.evil.example', 'corp.example'],
      ['evilcorp.example', '127.0.0.1.evil.example', '127.0.0.1.nip.io:8080', 'a@localhost.evil.example'],
    ].flat(),
  )('%j is not', (host) => expect(code(known, host)).toBe('client_forbidden'));

  test('without a Host, it is not a browser', () => expect(code(known, undefined)).toBeUndefined());

  test('without a list, every name is allowed', () =>
    expect(code(access(false), 'evil.example')).toBeUndefined());
});

function load(yaml: string) {
  const loaded = loadConfig('config.yaml', { WEBHOOK: 'https://hooks.example.com/T0/secret' }, () => yaml);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded;
}

const KEY = 'headers: { set: { authorization: Bearer sk_live } }';
const UPSTREAMS = `
upstreams:
  plain: { url: https://plain.example.com, headers: { set: { x-app: mine } } }
  keyed: { url: https://keyed.example.com, ${KEY}, mount: { host: keyed.local } }
  hook: { url: "\${WEBHOOK}" }
  backed: { url: https://backed.example.com, fallback: { upstream: plain, next: [{ upstream: keyed }] } }`;

test('a route is protected if it or its fallback adds a credential', () => {
  const { upstreams } = load(UPSTREAMS).config;
  const added = upstreams.map((one) => [
    one.name,
    one.routes.flatMap((route) => addedCredentials(route, one, upstreams)),
  ]);
  expect(Object.fromEntries(added)).toEqual({
    plain: [],
    keyed: ['authorization'],
    hook: ['the path of url'],
    backed: ['authorization'],
  });
});

test.each([
  ['', ['keyed.local', 'keyed.example.com']],
  ['listen: localhost:8080', ['keyed.local', 'keyed.example.com']],
  ['listen: 0.0.0.0:8080', undefined],
  [
    'listen: 0.0.0.0:8080\nclients: { allowed_hosts: App.Example }',
    ['app.example', 'keyed.local', 'keyed.example.com'],
  ],
])('%j allows the hosts %j', (head, hosts) => {
  const { config } = load(`${head}${UPSTREAMS}`);
  expect(clientAccessRules(knownClients(config), config.upstreams[1] as never)).toEqual({
    browsers: false,
    hosts,
  });
});

test('a port in clients.allowed_hosts is refused at its line', () => {
  const loaded = loadConfig(
    'config.yaml',
    {},
    () => `clients:\n  allowed_hosts: [app.example:80]\nupstreams: { a: { url: https://a.example.com } }`,
  );
  expect(loaded).toMatchObject({ ok: false, problems: [{ line: 2, path: 'clients.allowed_hosts' }] });
});

describe('reachable from outside', () => {
  test('a short admin_token is refused', () => {
    const problems = (admin: string, token: string) => {
      const yaml = `admin: ${admin}\nadmin_token: ${token}${UPSTREAMS.replace('${WEBHOOK}', 'https://h.example.com')}`;
      const loaded = loadConfig('config.yaml', {}, () => yaml);
      return loaded.ok ? [] : loaded.problems.map(({ line, message }) => `${line}: ${message}`);
    };
    expect(problems('0.0.0.0:8081', 'fifteen-letters')).toEqual([
      expect.stringMatching(
        /^2: has fewer than 16 characters, and 0\.0\.0\.0 can be reached from other machines; write/,
      ),
    ]);
    expect(problems('0.0.0.0:8081', 'sixteen--letters')).toEqual([]);
    expect(problems('127.0.0.1:8081', 'x')).toEqual([]);
  });

  test('added credentials cause a warning with the names of the upstreams', () => {
    const warnings = (head: string) => load(`${head}${UPSTREAMS}`).warnings.map(({ message }) => message);
    expect(warnings('listen: 0.0.0.0:8080')).toEqual([
      expect.stringContaining('the routes of keyed, hook, backed add a credential'),
    ]);
    expect(warnings('')).toEqual([]);
  });
});
