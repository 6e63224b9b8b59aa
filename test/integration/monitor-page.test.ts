import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { type DurableClient, durableConfig, startDurable } from '../support/durable.ts';
import { type Origin, ok, startOrigin, status } from '../support/origin.ts';

const FOLDER = 'src/admin/dashboard';
const source = (name: string) => readFileSync(join(FOLDER, name), 'utf8');
const names = readdirSync(FOLDER).filter((name) => /\.(html|css|js|svg)$/.test(name));
const scripts = names.filter((name) => name.endsWith('.js'));
const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};
const pathOf = (name: string) => (name === 'index.html' ? '/' : `/dashboard/${name}`);
const NO_DURABLE = "upstreams: { api: { url: 'http://127.0.0.1:1', allow_private: true } }";

describe('the files', () => {
  test('each is served unchanged, with a policy that allows only own scripts', async () => {
    const { adminUrl } = await startBreakwater(NO_DURABLE);
    for (const name of names) {
      const answer = await fetch(adminUrl + pathOf(name));
      const policy = answer.headers.get('content-security-policy') ?? '';
      expect([name, answer.status, answer.headers.get('content-type')]).toEqual([
        name,
        200,
        TYPES[name.split('.').at(-1) ?? ''],
      ]);
      expect(await answer.text()).toBe(source(name));
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
      expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
      expect(policy.split('; ').sort()).toEqual([
        "base-uri 'none'",
        "connect-src 'self'",
        "default-src 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "img-src 'self'",
        "require-trusted-types-for 'script'",
        "script-src 'self'",
        "style-src 'self'",
        "trusted-types 'none'",
      ]);
    }
  });

  test('so is the chart library, from its package', async () => {
    const { adminUrl } = await startBreakwater(NO_DURABLE);
    const script = await fetch(`${adminUrl}/dashboard/uplot.js`);
    expect(await script.text()).toBe(readFileSync('node_modules/uplot/dist/uPlot.iife.min.js', 'utf8'));
    expect(script.headers.get('content-type')).toBe(TYPES['js']);
    expect((await fetch(`${adminUrl}/dashboard/uplot.css`)).headers.get('content-type')).toBe(TYPES['css']);
  });

  test('they allow GET and HEAD only', async () => {
    const { adminUrl } = await startBreakwater(NO_DURABLE);
    const answer = await fetch(`${adminUrl}/`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    const head = await fetch(`${adminUrl}/`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([
      200,
      String(Buffer.byteLength(source('index.html'))),
    ]);
  });

  test('the page references only served files, and nothing is inline', () => {
    const html = source('index.html');
    const named = [...html.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, name = '']) => name);
    expect(named.length).toBeGreaterThan(2);
    for (const name of named.filter((one) => one.startsWith('#')))
      expect(html).toContain(`id="${name.slice(1)}"`);
    for (const name of named.filter((one) => !/^(#|\.\/$|\?)/.test(one)))
      expect([...names, 'uplot.js', 'uplot.css']).toContain(name.replace(/^dashboard\//, ''));
    expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|<script>|javascript:/i);
    expect(source('page.css')).not.toMatch(/url\(|@import/);
  });

  test.each(scripts)('%s imports only other page modules, and never makes markup of text', (name) => {
    const text = source(name);
    const imported = [...text.matchAll(/^import .*?from '([^']+)'/gms)].map(([, from = '']) => from);
    for (const from of imported) expect(scripts).toContain(from.replace(/^\.\//, ''));
    expect(text).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function/);
    expect(text).not.toMatch(/localStorage|document\.cookie|https?:\/\/(?!www\.w3\.org\/2000\/svg)/);
  });
});

describe('access', () => {
  test('the page needs no token, its data does', async () => {
    const proxy = await startBreakwater(`admin_token: s3cret\n${NO_DURABLE}`);
    expect((await fetch(`${proxy.adminUrl}/`)).status).toBe(200);
    expect((await fetch(`${proxy.adminUrl}/api/state`)).status).toBe(401);
  });

  test('without a token, a foreign Host is refused, because of DNS rebinding', async () => {
    const { adminUrl } = await startBreakwater(NO_DURABLE);
    for (const path of ['/', '/dashboard/main.js', '/api/state'])
      expect([path, await statusOf(adminUrl + path, { host: 'rebound.example' })]).toEqual([path, 421]);
  });
});

describe('durable requests', () => {
  test('the state has their prefix, or none without durable routes', async () => {
    const { proxy } = await durable(await startOrigin(ok()));
    expect(await stateOf(proxy.adminUrl)).toMatchObject({ durable: { prefix: '/_breakwater' } });
    const without = await startBreakwater(NO_DURABLE);
    expect(await stateOf(without.adminUrl)).not.toHaveProperty('durable');
  });

  test('soonest first: unfinished requests by their next step', async () => {
    const { client } = await durable(await startOrigin(ok()));
    await client.done(await client.accepted());
    const late = await client.accepted({ 'breakwater-delay': '3h' });
    const soon = await client.accepted({ 'breakwater-delay': '1h' });
    const between = await client.accepted({ 'breakwater-delay': '2h' });
    const list = async (query: string) => {
      const answer = await client.admin('GET', `/requests?${query}`);
      return (await answer.json()) as { requests: { id: string }[]; cursor?: string };
    };
    const ids = (...paths: string[]) => paths.map((path) => path.split('/').at(-1));
    const { requests, cursor } = await list('sort=next&limit=2');
    expect(requests.map(({ id }) => id)).toEqual(ids(soon, between));
    const second = await list(`sort=next&limit=2&cursor=${cursor}`);
    expect([second.requests.map(({ id }) => id), second.cursor]).toEqual([ids(late), undefined]);
    expect((await list('sort=next')).requests.map(({ id }) => id)).toEqual(ids(soon, between, late));
    for (const wrong of ['sort=next&cursor=3', 'cursor=3-4', 'cursor=x', 'sort=oldest'])
      expect((await client.admin('GET', `/requests?${wrong}`)).status).toBe(400);
  });

  test('other pages cannot read, cancel, delete or pause; the own page can', async () => {
    const { client, proxy } = await durable(await startOrigin(ok()));
    const path = await client.accepted({ 'breakwater-delay': '1h' });
    const own = new URL(proxy.adminUrl).origin;
    const changes = [
      ['POST', `${path}/cancel`],
      ['DELETE', path],
      ['POST', '/_breakwater/routes/api%2Fdefault/pause'],
      ['POST', '/_breakwater/requests/cancel?limit=9'],
    ] as const;
    for (const origin of ['http://127.0.0.1:3000', 'http://evil.example', 'null'])
      for (const [method, target] of [['GET', path] as const, ...changes])
        expect([target, await statusOf(proxy.adminUrl + target, { origin }, method)]).toEqual([target, 403]);
    for (const [method, target] of changes)
      expect(await statusOf(proxy.adminUrl + target, { host: 'rebound.example' }, method)).toBe(421);
    expect((await client.monitor(path)).status).toBe('queued');
    expect(await statusOf(`${proxy.adminUrl}${path}/cancel`, { origin: own }, 'POST')).toBe(200);
    expect((await client.monitor(path)).status).toBe('cancelled');
  });

  test('a stored reply is never a page of this server', async () => {
    const evil = '<script>fetch("/_breakwater/requests/cancel?limit=9", { method: "POST" })</script>';
    const stored = { 'content-type': 'text/html', 'content-security-policy': "default-src 'unsafe-inline'" };
    const { client, proxy } = await durable(await startOrigin(status(200, stored, evil)));
    const path = await client.accepted();
    await client.done(path);
    const answer = await fetch(`${proxy.adminUrl}${path}/response`);
    expect(await answer.text()).toBe(evil);
    // Both policies apply, so the stricter one wins.
    expect(answer.headers.get('content-security-policy')).toContain("sandbox; default-src 'none'");
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    // Apps get the reply unchanged.
    const app = await client.call('GET', `${path}/response`);
    expect(app.headers.get('content-security-policy')).toBe("default-src 'unsafe-inline'");
  });
});

async function durable(origin: Origin): Promise<{ client: DurableClient; proxy: DurableClient['proxy'] }> {
  const client = await startDurable(durableConfig(origin));
  return { client, proxy: client.proxy };
}

async function stateOf(adminUrl: string): Promise<unknown> {
  return (await fetch(`${adminUrl}/api/state`)).json();
}

/** Sends headers that fetch would not send. */
function statusOf(url: string, headers: Record<string, string>, method = 'GET'): Promise<number> {
  return new Promise((resolve, reject) => {
    const req = request(url, { method, headers, agent: false }, (res) => {
      res.resume().on('end', () => resolve(res.statusCode ?? 0));
    });
    req.on('error', reject).end();
  });
}
