import { describe, expect, test } from 'vitest';
import { pathPattern } from '../../src/routing/path-pattern.ts';
import { type Match, type MountedUpstream, Router } from '../../src/routing/router.ts';

const all = (route: string) => [{ methods: undefined, path: '/**', route }];

const upstreams: readonly MountedUpstream<string>[] = [
  { mount: { path: '/api' }, basePath: '', routes: all('api') },
  { mount: { path: '/api/deep' }, basePath: '/v2', routes: all('deep') },
  {
    mount: { path: '/shop' },
    basePath: '',
    routes: [
      { methods: ['POST'], path: '/v1/charges', route: 'create' },
      { methods: ['GET', 'HEAD'], path: '/v1/charges/:id', route: 'read' },
      { methods: undefined, path: '/files/*/raw', route: 'raw' },
      { methods: undefined, path: '/static/**', route: 'static' },
      { methods: undefined, path: '/v1/*.json', route: 'json' },
    ],
  },
  { mount: { host: 'Shop.Local' }, basePath: '/base', routes: all('by-host') },
];

const router = new Router(upstreams);
const match = (target: string, method = 'GET', host = '127.0.0.1:8080') => router.match(method, host, target);
const target = (found: Match<string>) =>
  found.kind === 'route' ? `${found.route} ${found.target}` : found.kind;

describe('forwards the target below the mount, byte for byte', () => {
  test.each([
    ['/api', 'api /'],
    ['/api/', 'api /'],
    ['/api?', 'api /?'],
    ['/api/?', 'api /?'],
    ['/api?x=1', 'api /?x=1'],
    ['/api/a?', 'api /a?'],
    ['/api/a?b?c=/../d', 'api /a?b?c=/../d'],
    ['/api/a%2Fb', 'api /a%2Fb'],
    ['/api/a%2fb', 'api /a%2fb'],
    ['/api//a//b/', 'api //a//b/'],
    ['/api/a+b%20c', 'api /a+b%20c'],
    ['/api/%7Euser/%zz/%', 'api /%7Euser/%zz/%'],
    ['/api/a/../b', 'api /a/../b'],
    ['/api/./b/.', 'api /./b/.'],
    ['/api/a..b/...', 'api /a..b/...'],
    ['/api/\xe9', 'api /\xe9'],
    ['/%61pi/x', 'api /x'],
    ['/%61pi/de%65p/x?y', 'deep /v2/x?y'],
    ['/api/deep', 'deep /v2'],
    ['/api/deep?x', 'deep /v2?x'],
    ['/api/deep/', 'deep /v2/'],
    ['/api/deeper', 'api /deeper'],
  ])('%s → %s', (from, to) => expect(target(match(from))).toBe(to));
});

describe('no path leaves its mount', () => {
  test.each([
    '/api/..',
    '/api/../shop',
    '/api/../api/x',
    '/api/a/../..',
    '/api/a/../../b',
    '/api/%2e%2e/x',
    '/api/%2E./x',
    '/api/.%2e',
    '/api/a%2F..%2F..%2Fx',
    '/api/..%2fx',
    '/api/a\\..\\..\\x',
    '/api/a%5C..%5c..%5Cx',
    '/api/./../x',
    // Upstreams that merge slashes, or cut path parameters off, before they resolve dots.
    '/api/a//../../x',
    '/api//../x',
    '/api/..;/x',
    '/api/..;a=b/x',
    '/api/a/..%3Bx/../y',
  ])('%s is refused', (from) => expect(match(from)).toMatchObject({ kind: 'bad_target' }));

  test.each(['/api/a?../../..', '/api/a/b/../../c', '/api/..a/b', '/api/a;x/../b'])('%s passes', (from) =>
    expect(match(from).kind).toBe('route'),
  );
});

describe('dots with a separator that only some servers know', () => {
  test.each(['/api/x%2F..%2Fy', '/api/a/b%5C..%5C..%5Cc', '/api/a%2Fb/../c', '/api/a/..%2Fc'])(
    '%s stays below its mount for every server, and passes unchanged',
    (from) => expect(match(from).kind).toBe('route'),
  );

  test.each(['/..', '/../x', '/a%2F..%2F..%2Fx', '/%252e%252e%252fx', '/..;/x'])(
    '%s passes if there is no bound to leave',
    (path) => {
      const root = {
        mount: { path: '/' },
        basePath: '',
        routes: [{ methods: undefined, path: '/**', route: 'r' }],
      };
      expect(new Router([root]).match('GET', undefined, path)).toMatchObject({ kind: 'route', target: path });
      const bounds = [
        { ...root, basePath: '/v2' },
        { ...root, allow: { mode: 'enforce' as const, rules: [{ methods: undefined, path: '/**' }] } },
      ];
      for (const bound of bounds)
        expect(new Router<string>([bound]).match('GET', undefined, path).kind).toBe('bad_target');
      const shadow = {
        ...root,
        allow: { mode: 'shadow' as const, rules: [{ methods: undefined, path: '/**' }] },
      };
      const seen = new Router([shadow]).match('GET', undefined, path);
      expect(seen).toMatchObject({ kind: 'route', target: path, unlisted: true });
    },
  );
});

describe('a target that is not a path is refused', () => {
  test.each(['*', 'http://shop.local/x', 'shop.local:443', ''])('%s', (from) =>
    expect(match(from)).toMatchObject({ kind: 'bad_target' }),
  );
});

describe('mounts', () => {
  test.each(['/', '/ap', '/apix', '//api/x', '/API/x', '/other'])('%s is mounted nowhere', (from) =>
    expect(match(from)).toMatchObject({ kind: 'none' }),
  );

  test('the longest mount wins, whatever the order', () => {
    expect(target(match('/api/deep/x'))).toBe('deep /v2/x');
  });

  test.each(['shop.local', 'SHOP.local:8080', 'shop.LOCAL:80'])('Host %s', (host) => {
    expect(target(match('/api/x', 'GET', host))).toBe('by-host /base/api/x');
    expect(target(match('/', 'GET', host))).toBe('by-host /base/');
    expect(match('/..', 'GET', host).kind).toBe('bad_target');
  });

  test.each(['shop.local.evil', 'xshop.local', ''])('Host %s is not ours', (host) => {
    expect(target(match('/api/x', 'GET', host))).toBe('api /x');
  });

  test('without a Host only paths count', () => {
    expect(router.match('GET', undefined, '/api/x')).toMatchObject({ kind: 'route', route: 'api' });
  });

  test('a mount at / takes what no other takes', () => {
    const root = new Router([{ mount: { path: '/' }, basePath: '', routes: all('root') }, ...upstreams]);
    expect(target(root.match('GET', 'x', '/apix/y?z'))).toBe('root /apix/y?z');
    expect(target(root.match('GET', 'x', '/api/y'))).toBe('api /y');
  });
});

describe('routes: the first that matches by method and path', () => {
  test.each([
    ['POST', '/shop/v1/charges', 'create'],
    ['GET', '/shop/v1/charges', 'none'],
    ['GET', '/shop/v1/charges/ch_1', 'read'],
    ['HEAD', '/shop/v1/charges/ch_1', 'read'],
    ['GET', '/shop/v1/charges/', 'none'],
    ['GET', '/shop/v1/charges/a/b', 'none'],
    ['PUT', '/shop/files/a/raw', 'raw'],
    ['PUT', '/shop/files/a/b/raw', 'none'],
    ['GET', '/shop/static', 'static'],
    ['GET', '/shop/static/', 'static'],
    ['GET', '/shop/static/a/b', 'static'],
    ['GET', '/shop/statics', 'none'],
    ['GET', '/shop/v1/x.json', 'json'],
    ['GET', '/shop/v1/xjson', 'none'],
    // Matched in its normal form, so that another spelling of the path does not get around a rule.
    ['POST', '/shop/v1/%63harges', 'create'],
    ['POST', '/shop/x/../v1/./charges', 'create'],
    ['POST', '/shop/v1/charges?x=/', 'create'],
    ['GET', '/shop/v1/charges/a%2Fb', 'read'],
  ])('%s %s is %s', (method, from, route) => {
    const found = match(from, method);
    expect(found.kind === 'route' ? found.route : found.kind).toBe(route);
  });

  test('the reason why nothing matched is short', () => {
    expect(match('/nowhere')).toEqual({ kind: 'none', why: 'no upstream is mounted at /nowhere' });
    expect(match('/shop/nothing')).toEqual({ kind: 'none', why: 'no route matches GET /nothing' });
    const long = match(`/${'a'.repeat(5_000)}`);
    expect(long.kind === 'none' && long.why.length).toBeLessThan(150);
  });
});

test('a pattern is literal except for its wildcards', () => {
  expect(pathPattern('/a.b(c)+')('/a.b(c)+')).toBe(true);
  expect(pathPattern('/a.b')('/aXb')).toBe(false);
  expect(pathPattern('/**')('')).toBe(true);
  expect(pathPattern('/a/*/b')('/a//b')).toBe(false);
});

describe('a mount with the name of a tenant', () => {
  const mounted = (mount: { path: string } | { host: string }, route: string, basePath = '') => ({
    mount,
    basePath,
    routes: [{ methods: undefined, path: '/**', route }],
  });
  const tenants = new Router([
    mounted({ path: '/shop/{shop}' }, 'shop', '/base'),
    mounted({ path: '/shop/{shop}/admin' }, 'admin'),
    mounted({ path: '/shop/help' }, 'help'),
    mounted({ host: '{shop}.proxy.internal' }, 'host'),
    mounted({ host: '{shop}.eu.proxy.internal' }, 'eu'),
    mounted({ host: 'www.proxy.internal' }, 'www'),
    mounted({ path: '' }, 'root'),
  ]);

  test.each([
    ['/shop/acme', 'shop', 'acme', '/base'],
    ['/shop/acme/', 'shop', 'acme', '/base/'],
    ['/shop/a%63me/x?y=/z', 'shop', 'acme', '/base/x?y=/z'],
    ['/sh%6Fp/a%2Fb/x', 'shop', 'a%2Fb', '/base/x'],
    ['/shop/../x', 'shop', '..', '/base/x'],
    ['/shop//x', 'shop', '', '/base/x'],
    ['/shop', 'shop', '', '/base'],
    ['/shop/acme/admin/x', 'admin', 'acme', '/x'],
    ['/shop/acme/administrator', 'shop', 'acme', '/base/administrator'],
    ['/shop/help/x', 'help', undefined, '/x'],
    ['/shops/acme', 'root', undefined, '/shops/acme'],
  ])('%s', (target, route, tenant, sent) =>
    expect(tenants.match('GET', 'x', target)).toMatchObject({ kind: 'route', route, tenant, target: sent }),
  );

  test('a path below the tenant does not leave it', () =>
    expect(tenants.match('GET', 'x', '/shop/acme/a/../../other/x').kind).toBe('bad_target'));

  test.each([
    ['Acme.proxy.internal:80', 'host', 'acme'],
    ['acme.eu.proxy.internal', 'eu', 'acme'],
    ['a.b.proxy.internal', 'host', 'a.b'],
    ['www.proxy.internal', 'www', undefined],
    ['proxy.internal', 'root', undefined],
  ])('Host %s', (host, route, tenant) =>
    expect(tenants.match('GET', host, '/x')).toMatchObject({ kind: 'route', route, tenant }),
  );
});
