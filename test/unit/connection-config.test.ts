import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { type Good, loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';
import { egressProxy } from '../../src/config/resolve/egress.ts';
import { routeValues, upstreamValues } from '../../src/config/show/effective.ts';
import { shownConfig } from '../../src/config/show/redacted-config.ts';
import { selfSigned } from '../support/certificate.ts';
import { CA, CA_FILE, OTHER_CA, pem, pemFiles } from '../support/tls.ts';

type Env = Readonly<Record<string, string>>;

const load = (text: string, env: Env = {}) =>
  loadConfig('/etc/breakwater/config.yaml', env, (path) =>
    path.endsWith('.yaml') ? text : readFileSync(path, 'utf8'),
  );

function good(text: string, env: Env = {}): Good {
  const loaded = load(text, env);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded;
}

const problems = (text: string, env: Env = {}): string[] => {
  const loaded = load(text, env);
  return loaded.ok ? [] : loaded.problems.map(({ path, message }) => `${path}: ${message}`);
};
const warnings = (text: string): string[] =>
  good(text).warnings.map(({ path, message }) => `${path}: ${message}`);

/** Flow-style sections of one upstream `a`. */
const upstream = (sections: object, url = 'https://a.example') =>
  `upstreams: { a: ${JSON.stringify({ url, ...sections })} }`;
const connectionOf = ({ upstreams }: Config) => upstreams[0]!.connection;

describe('tls of an upstream', () => {
  test('comes from files, which are watched', () => {
    const { config, files } = good(
      upstream({
        tls: { ca: CA_FILE, ...pemFiles('client'), servername: 'b.example', min_version: 'TLSv1.3' },
      }),
    );
    expect(connectionOf(config).tls).toEqual({
      ca: CA,
      ...pem('client'),
      servername: 'b.example',
      minVersion: 'TLSv1.3',
    });
    const { cert, key } = pemFiles('client');
    expect([...files.keys()]).toEqual(['/etc/breakwater/config.yaml', CA_FILE, cert, key]);
  });

  test('or is in the config file itself, or comes by ${file:…}', () => {
    expect(connectionOf(good(upstream({ tls: { ca: CA } })).config).tls.ca).toBe(CA);
    const { config, files } = good(upstream({ tls: { ca: `\${file:${CA_FILE}}` } }));
    expect(connectionOf(config).tls.ca).toBe(CA.trimEnd());
    expect([...files.keys()]).toContain(CA_FILE);
  });

  test('paths are relative to the config file', () => {
    expect(problems(upstream({ tls: { ca: 'tls/ca.pem' } }))).toEqual([
      'upstreams.a.tls.ca: cannot read tls/ca.pem: no such file',
    ]);
  });

  test('several authorities are one text', () => {
    expect(connectionOf(good(upstream({ tls: { ca: CA + OTHER_CA } })).config).tls.ca).toBe(CA + OTHER_CA);
  });

  const broken = CA.replace(/MII.{20}/, 'MIIAAAAAAAAAAAAAAAAAAAAA');
  test.each<[object, string]>([
    [
      { ca: pemFiles('client').key },
      'ca: contains no valid certificate; write PEM text, or the path of a PEM file',
    ],
    [{ ca: broken }, 'ca: contains no valid certificate; write PEM text, or the path of a PEM file'],
    [{ ca: CA + broken }, 'ca: contains no valid certificate; write PEM text, or the path of a PEM file'],
    [{ cert: pemFiles('client').cert }, 'cert: needs its key; write key too'],
    [{ key: pemFiles('client').key }, 'key: needs its certificate; write cert too'],
    [
      { cert: pem('client').cert, key: pem('server').key },
      'key: is not the private key of the certificate in cert; write the one that belongs to it',
    ],
    [
      { ...pem('client'), key: CA },
      'key: contains no private key that can be used; write one in PEM form, without a passphrase',
    ],
    [
      { servername: '127.0.0.1' },
      'servername: "127.0.0.1" is not a host name; write for example api.example.com',
    ],
    [{ servername: 'a b' }, 'servername: "a b" is not a host name; write for example api.example.com'],
    [{ min_version: 'TLSv1.1' }, 'min_version: "TLSv1.1" is not one of TLSv1.2, TLSv1.3'],
    [{ verify: false }, 'verify: unknown key; write one of ca, cert, key, servername, min_version'],
  ])('%j', (tls, problem) => expect(problems(upstream({ tls }))).toEqual([`upstreams.a.tls.${problem}`]));

  test('a certificate that OpenSSL would refuse later is a problem now', () => {
    const weak = selfSigned(['-newkey', 'rsa:1024']);
    const tls = JSON.stringify({ cert: String(weak.cert), key: String(weak.key) });
    const problem =
      'tls.cert: cannot be used for TLS: ee key too small; write one with a stronger key or signature';
    expect(problems(`tls: ${tls}\n${upstream({})}`)).toEqual([problem]);
    expect(problems(`upstreams: { a: { url: "https://a.example", tls: ${tls} } }`)).toEqual([
      `upstreams.a.${problem}`,
    ]);
  });

  test('has no effect without https, and gives a warning where the upstream itself sets it', () => {
    const plain = upstream(
      { tls: { min_version: 'TLSv1.3' }, connection: { http2: 'auto' } },
      'http://a.example',
    );
    expect(warnings(plain)).toEqual([
      'upstreams.a.tls.min_version: has no effect, because url begins with http://; remove it',
      'upstreams.a.connection.http2: has no effect, because url begins with http://; write require for HTTP/2 without TLS',
    ]);
    expect(
      warnings(`defaults: { tls: { min_version: TLSv1.3 } }\n${upstream({}, 'http://a.example')}`),
    ).toEqual([]);
    expect(warnings(upstream({ connection: { http2: 'require' } }, 'http://a.example'))).toEqual([]);
  });
});

describe('tls for apps', () => {
  test('needs a certificate with its key, or neither', () => {
    const { config } = good(`tls: ${JSON.stringify(pemFiles('server'))}\n${upstream({})}`);
    expect(config.tls).toEqual({ ...pem('server'), minVersion: 'TLSv1.2' });
    expect(good(`tls: { min_version: TLSv1.3 }\n${upstream({})}`).config.tls).toBeUndefined();
    expect(problems(`tls: { cert: ${CA_FILE} }\n${upstream({})}`)).toEqual([
      'tls.cert: needs its key; write key too',
    ]);
  });
});

describe('the egress proxy', () => {
  const at = (written: string, env: Env = {}, origin = 'https://api.example.com') =>
    egressProxy(written, origin, env);
  const url = (written: string, env: Env = {}, origin?: string) => {
    const found = at(written, env, origin);
    if ('problem' in found) return found.problem;
    return found.proxy && `${found.proxy.protocol}//${found.proxy.hostname}:${found.proxy.port}`;
  };

  test.each([
    ['off', undefined],
    ['none', undefined],
    ['me:pw@proxy.corp:3128/', 'http://proxy.corp:3128'],
    ['on', 'is not a proxy; write off, env or http://host:port'],
    ['proxy.corp', 'is not a proxy; write off, env or http://host:port'],
    ['http://proxy.corp:3128', 'http://proxy.corp:3128'],
    ['proxy.corp:3128', 'http://proxy.corp:3128'],
    ['http://proxy.corp', 'http://proxy.corp:80'],
    ['https://proxy.corp', 'https://proxy.corp:443'],
    ['http://[::1]:3128', 'http://::1:3128'],
    ['socks5://proxy.corp', 'has the scheme socks5://, which is not supported; write http:// or https://'],
    ['http://', 'is not a proxy; write off, env or http://host:port'],
    ['http://me:100%sure@proxy.corp', 'has a "%" in user or password that is not encoded; write %25'],
  ])('%s', (written, expected) => expect(url(written)).toBe(expected));

  test('user and password become a header, and are never shown', () => {
    const written = 'http://me:s%40cret@proxy.corp:3128';
    expect(at(written)).toMatchObject({ proxy: { authorization: `Basic ${btoa('me:s@cret')}` } });
    const loaded = good(upstream({ connection: { proxy: written } }));
    const [one] = loaded.config.upstreams;
    const shown = JSON.stringify([
      upstreamValues(loaded, one!),
      routeValues(loaded, one!.routes[0]!),
      shownConfig(loaded.config),
    ]);
    expect(shown).toContain('http://[redacted]@proxy.corp:3128');
    expect(shown).toContain('"reached through","shown":"http://proxy.corp:3128"');
    expect(shown).not.toMatch(/s(@|%40)cret|me:/);
    expect(shown).not.toContain(btoa('me:s@cret'));
    const message = problems(upstream({ connection: { proxy: 'socks5://me:s%40cret@proxy.corp' } })).join();
    expect(message).toContain('connection.proxy: has the scheme');
    expect(message).not.toContain('cret');
  });

  test.each<[Env, string, string | undefined]>([
    [{}, 'https://api.example.com', undefined],
    [{ HTTPS_PROXY: 'http://a:1' }, 'https://api.example.com', 'http://a:1'],
    [{ https_proxy: 'http://b:1', HTTPS_PROXY: 'http://a:1' }, 'https://api.example.com', 'http://b:1'],
    [{ HTTP_PROXY: 'http://a:1' }, 'https://api.example.com', undefined],
    [{ HTTP_PROXY: 'http://a:1' }, 'http://api.example.com', 'http://a:1'],
    [{ ALL_PROXY: 'http://a:1' }, 'http://api.example.com', 'http://a:1'],
    [{ HTTPS_PROXY: 'http://a:1', NO_PROXY: '*' }, 'https://api.example.com', undefined],
    [{ HTTPS_PROXY: 'http://a:1', NO_PROXY: 'example.com' }, 'https://api.example.com', undefined],
    [{ HTTPS_PROXY: 'http://a:1', NO_PROXY: 'b.c, .EXAMPLE.com' }, 'https://api.example.com', undefined],
    [{ HTTPS_PROXY: 'http://a:1', no_proxy: '*.example.com' }, 'https://api.example.com', undefined],
    [{ HTTPS_PROXY: 'http://a:1', NO_PROXY: 'ample.com' }, 'https://api.example.com', 'http://a:1'],
    [
      { HTTPS_PROXY: 'http://a:1', NO_PROXY: 'api.example.com:8443' },
      'https://api.example.com',
      'http://a:1',
    ],
    [{ HTTPS_PROXY: 'http://a:1', NO_PROXY: 'api.example.com:443' }, 'https://api.example.com', undefined],
    [{ HTTPS_PROXY: 'http://a:1', NO_PROXY: '[2001:db8::1]' }, 'https://[2001:db8::1]', undefined],
    [{ HTTPS_PROXY: 'http://a:1', NO_PROXY: '2001:db8::1' }, 'https://[2001:db8::1]', undefined],
    [
      { HTTPS_PROXY: 'ftp://u:p@a' },
      'https://api.example.com',
      'environment variable HTTPS_PROXY has the scheme ftp://, which is not supported; write http:// or https://',
    ],
  ])('env: %j for %s', (env, origin, expected) => expect(url('env', env, origin)).toBe(expected));

  test('the environment is read only for proxy: env', () => {
    const env = { HTTPS_PROXY: 'http://a:1' };
    expect(connectionOf(good(upstream({}), env).config).proxy).toBeUndefined();
    expect(connectionOf(good(upstream({ connection: { proxy: 'env' } }), env).config).proxy?.hostname).toBe(
      'a',
    );
  });
});

test('keys and certificates are not shown', () => {
  const loaded = good(
    `tls: ${JSON.stringify(pem('server'))}\n${upstream({ tls: { ca: CA, ...pem('client') } })}`,
  );
  const [one] = loaded.config.upstreams;
  const shown = JSON.stringify([routeValues(loaded, one!.routes[0]!), shownConfig(loaded.config)]);
  expect(shown).not.toContain('BEGIN');
  expect(routeValues(loaded, one!.routes[0]!)).toContainEqual(
    expect.objectContaining({ key: 'tls.ca', shown: '[PEM]' }),
  );
});
