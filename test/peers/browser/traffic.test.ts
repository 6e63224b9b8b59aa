import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { apiConfig, type Breakwater, startBreakwater } from '../../support/breakwater.ts';
import { BROWSER_MS, browserPresent, openPage, startBrowser, violations } from './browser.ts';
import { ok, type Step, startOrigin, status } from '../../support/origin.ts';

if (!browserPresent)
  console.warn('chromium is not installed (apt-get install chromium): the page is NOT checked in a browser');

// A browser on a busy machine is slow. No test waits for a time.
vi.setConfig({ testTimeout: BROWSER_MS, hookTimeout: BROWSER_MS });

let browser: Browser;
beforeAll(async () => {
  if (browserPresent) browser = await startBrowser();
});
afterAll(() => browser?.close());

interface World {
  readonly proxy: Breakwater;
  readonly call: (path?: string, headers?: Record<string, string>) => Promise<number>;
}

/** Elements of the page. */
declare const document: {
  readonly documentElement: { readonly scrollWidth: number; readonly scrollTop: number };
  readonly activeElement: { matches(selector: string): boolean } | null;
  querySelectorAll(selector: string): { readonly length: number };
};

/** An upstream that answers 200, but 503 on `/bad`, and on two of three requests to `/flaky`. */
function origin(): Step {
  let flaky = 0;
  return (exchange) => {
    const { url = '' } = exchange.request;
    const bad = url.startsWith('/bad') || (url.startsWith('/flaky') && flaky++ % 3 < 2);
    return (bad ? status(503) : ok())(exchange);
  };
}

async function world(more = '    breaker: off\n'): Promise<World> {
  const { url } = await startOrigin(origin());
  const proxy = await startBreakwater(apiConfig({ url }, more));
  const call = async (path = '/', headers = {}) => {
    const reply = await fetch(`${proxy.url}/api${path}`, { headers });
    await reply.arrayBuffer();
    return reply.status;
  };
  return { proxy, call };
}

const upstream = (page: Page, name = 'api') => page.locator(`.upstream[data-name="${name}"]`);
const groups = (page: Page) => page.locator('#calls > li');

describe.skipIf(!browserPresent)('traffic', () => {
  test('an upstream shows its last minute and its charts, live', async () => {
    const { proxy, call } = await world();
    const { page } = await openPage(browser, proxy.adminUrl);
    await upstream(page).getByText('no calls in the last minute').waitFor();
    for (let i = 0; i < 3; i++) await call();
    await call('/flaky');
    await call('/bad');
    await upstream(page).getByText('5/min calls').waitFor();
    await upstream(page).locator('.number', { hasText: '80 % of calls succeed' }).waitFor();
    await upstream(page).getByText('1.80 attempts per call').waitFor();
    await page.locator('.plot[aria-label^="Calls per second"]').waitFor();
    await expect
      .poll(() => page.locator('.chart .title').allTextContents())
      .toEqual([
        'Calls per second',
        'Success',
        'Time to the head',
        'Attempts per call',
        'Failed attempts and refusals per second',
      ]);
    await expect.poll(() => page.locator('.plot canvas').count()).toBe(5);
  });

  test.each([
    ['light', {}],
    ['dark', { dark: true }],
    ['on a phone', { phone: true }],
  ])('axe finds no violation, %s', async (_, options) => {
    const { proxy, call } = await world();
    await call('/flaky');
    await call('/bad');
    const { page } = await openPage(browser, proxy.adminUrl, options);
    await page.locator('.plot canvas').first().waitFor();
    await page.locator('summary', { hasText: 'actions' }).click();
    await groups(page).first().locator('.call').click();
    await groups(page).first().locator('table').waitFor();
    expect(await violations(page)).toEqual([]);
  });

  test('on a phone nothing is wider than the screen', async () => {
    const { proxy, call } = await world();
    await call(`/flaky/${'long-segment/'.repeat(20)}`);
    const { page } = await openPage(browser, proxy.adminUrl, { phone: true });
    await page.locator('.plot canvas').first().waitFor();
    await groups(page).first().locator('.call').click();
    await groups(page).first().locator('table').waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
  });

  test('a forced breaker says so, and announces no probe', async () => {
    const { proxy, call } = await world('');
    const { page } = await openPage(browser, proxy.adminUrl);
    await page.locator('summary', { hasText: 'actions' }).click();
    await page.getByRole('button', { name: 'breaker open' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('rejects every call until you change it').waitFor();
    await expect
      .poll(() => dialog.getByRole('button').allTextContents())
      .toEqual(['Copy as curl', 'Close', 'Set to open']);
    await dialog.getByRole('button', { name: 'Set to open' }).click();
    await upstream(page).getByText('breaker open, forced').waitFor();
    await upstream(page).getByText('forced by an operator until it is set to auto').waitFor();
    expect(await upstream(page).textContent()).not.toContain('probe');
    expect(await call()).toBe(503);
    await page.getByRole('button', { name: 'breaker auto' }).click();
    await dialog.getByRole('button', { name: 'Set to auto' }).click();
    await upstream(page).getByText('breaker closed').first().waitFor();
    await upstream(page).getByText('breaker open', { exact: true }).waitFor();
    await page.locator('summary', { hasText: 'history of breaker and quota' }).click();
    await upstream(page).getByText('breaker opened: forced').waitFor();
  });

  test('the quota is reset', async () => {
    const { proxy, call } = await world("    quota: { windows: ['2/h'], wait: 1ms }\n");
    expect([await call(), await call(), await call()]).toEqual([200, 200, 429]);
    const { page } = await openPage(browser, proxy.adminUrl);
    await upstream(page).getByText('2/h: 0 of 2 left').waitFor();
    await page.locator('summary', { hasText: 'actions' }).click();
    await page.getByRole('button', { name: 'reset quota' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Reset quota' }).click();
    // The page says at once that no calls wait, which was so before.
    await expect.poll(() => call()).toBe(200);
    await upstream(page).getByText('2/h: 1 of 2 left').waitFor();
  });

  test('the spans are in the address, and go back', async () => {
    const { proxy, call } = await world();
    await call();
    const { page } = await openPage(browser, proxy.adminUrl);
    await page.getByRole('button', { name: '6 hours' }).click();
    await page.locator('.plot canvas').first().waitFor();
    await expect.poll(() => new URL(page.url()).search).toBe('?span=6h');
    await page.goBack();
    await expect
      .poll(() => page.getByRole('button', { name: '15 minutes' }).getAttribute('aria-pressed'))
      .toBe('true');
  });

  test('300 upstreams: pages of 50, a search, and charts of those that are opened', async () => {
    const { url } = await startOrigin(ok());
    const all = Array.from({ length: 300 }, (_, i) => `  api${i}: { url: '${url}', allow_private: true }\n`);
    const proxy = await startBreakwater(`upstreams:\n${all.join('')}`);
    await (await fetch(`${proxy.url}/api250/`)).text();
    const { page } = await openPage(browser, proxy.adminUrl);
    await page.getByText('1 to 50 of 300').waitFor();
    await expect.poll(() => page.locator('.upstream').count()).toBe(50);
    await page.getByRole('button', { name: 'next page' }).click();
    await page.getByText('51 to 100 of 300').waitFor();
    await page.getByLabel('find an upstream').fill('api250');
    await upstream(page, 'api250').getByText('1/min calls').waitFor();
    await expect.poll(() => page.locator('.upstream').count()).toBe(1);
    await expect.poll(() => page.locator('.upstream .plot').count()).toBe(0);
    await upstream(page, 'api250').getByRole('button', { name: 'api250' }).click();
    await upstream(page, 'api250').locator('.plot canvas').first().waitFor();
    await page.getByLabel('find an upstream').fill('');
    await page.getByLabel('only with trouble').check();
    await page.getByText('No upstream matches.').waitFor();
    proxy.rewrite(`upstreams:\n${all.join('')}  dead: { url: 'http://127.0.0.1:1', allow_private: true }\n`);
    await proxy.app.reload();
    await (await fetch(`${proxy.url}/dead/`, { headers: { 'x-request-id': 'lost-1' } })).text();
    await page.getByText('only with trouble (1)').waitFor();
    await upstream(page, 'dead').getByText('only 0 % succeed').waitFor();
    await page.goto(`${proxy.adminUrl}/?call=lost-1`);
    await page.locator('.member', { hasText: 'lost-1' }).waitFor();
    await expect.poll(() => page.evaluate(() => document.documentElement.scrollTop)).toBeGreaterThan(0);
  });
});

describe.skipIf(!browserPresent)('notable calls', () => {
  test('equal calls are one line, and 10 000 refusals push out no failure', async () => {
    const { proxy, call } = await world('');
    await call('/flaky');
    await fetch(`${proxy.adminUrl}/api/upstreams/api/breaker`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"force":"open"}',
    });
    const { page } = await openPage(browser, proxy.adminUrl);
    await groups(page).first().waitFor();
    for (let i = 0; i < 100; i++) await Promise.all(Array.from({ length: 100 }, () => call()));
    await page.getByText('\u00D7 10\u202F000').waitFor();
    await expect.poll(() => groups(page).count()).toBe(2);
    await page.getByText('rescued on attempt 3').waitFor();
    await groups(page).first().locator('.call').click();
    await page.getByText('the latest 50 are in memory').waitFor();
    await page.getByRole('button', { name: 'show all 50' }).click();
    await expect.poll(() => page.locator('.member').count()).toBe(50);
    expect(await page.evaluate(() => document.querySelectorAll('*').length)).toBeLessThan(2_000);
  });

  test('a call opens into its attempts on a time axis', async () => {
    const { proxy, call } = await world();
    await call('/flaky');
    const { page } = await openPage(browser, proxy.adminUrl);
    await groups(page).first().locator('.call').click();
    const member = page.locator('.member');
    await member.locator('table').waitFor();
    await expect.poll(() => member.locator('.timeline .attempt.bad').count()).toBe(2);
    await expect.poll(() => member.locator('.timeline .attempt.good').count()).toBe(1);
    await expect
      .poll(() => member.locator('tbody tr').allTextContents())
      .toEqual([
        expect.stringMatching(/^1.*503$/) as string,
        expect.stringMatching(/^2.*after status_503.*503$/) as string,
        expect.stringMatching(/^3.*after status_503.*200$/) as string,
      ]);
  });

  test('from an id in an app’s log to the attempts in one step: the search, or a link', async () => {
    const { proxy, call } = await world();
    await call('/flaky', { 'x-request-id': 'order-4711-try' });
    for (let i = 0; i < 5; i++) await call('/flaky');
    const { page } = await openPage(browser, proxy.adminUrl);
    await page.getByLabel('search by id, path or text').fill('order-4711-try');
    await page.getByLabel('search by id, path or text').press('Enter');
    await page.locator('.member', { hasText: 'order-4711-try' }).locator('table').waitFor();
    await expect.poll(() => page.locator('.member').count()).toBe(1);
    await page.goto(`${proxy.adminUrl}/?call=order-4711-try`);
    await page.locator('.member', { hasText: 'order-4711-try' }).locator('table').waitFor();
    await page.goto(`${proxy.adminUrl}/?call=unknown`);
    await page.getByText('No call in memory matches.').waitFor();
  });

  test('filters by upstream and outcome', async () => {
    const { proxy, call } = await world();
    await call('/flaky');
    await call('/bad');
    const { page } = await openPage(browser, proxy.adminUrl);
    await page.locator('#call-outcome').selectOption('rescued');
    await page.getByText('rescued on attempt 3').waitFor();
    await expect.poll(() => groups(page).count()).toBe(1);
    await expect.poll(() => new URL(page.url()).search).toBe('?outcome=rescued');
    await page.locator('#call-upstream').selectOption('api');
    await page.getByLabel('Id or text').fill('no such text');
    await page.getByLabel('Id or text').press('Enter');
    await page.getByText('No call in memory matches.').waitFor();
    await page.getByRole('button', { name: 'clear filters' }).first().click();
    await groups(page).nth(1).waitFor();
    await expect.poll(() => groups(page).count()).toBe(2);
  });

  test('the keyboard alone reaches a call, and moves along a chart', async () => {
    const { proxy, call } = await world();
    await call('/flaky');
    const { page } = await openPage(browser, proxy.adminUrl);
    await page.locator('.plot canvas').first().waitFor();
    const focused = (selector: string) =>
      page.evaluate((one) => document.activeElement?.matches(one), selector);
    const tabTo = async (selector: string) => {
      for (let i = 0; i < 60 && !(await focused(selector)); i++) await page.keyboard.press('Tab');
      expect(await focused(selector)).toBe(true);
    };
    await tabTo('.plot');
    await page.keyboard.press('ArrowLeft');
    await page.locator('.chart .at', { hasText: ':' }).first().waitFor();
    await tabTo('button.call');
    await page.keyboard.press('Enter');
    await page.locator('.member table').waitFor();
    // The focus stays, although the line was rendered again.
    expect(await focused('button.call')).toBe(true);
    await page.keyboard.press('Enter');
    await page.locator('.member').waitFor({ state: 'detached' });
  });
});

describe.skipIf(!browserPresent)('trouble', () => {
  test('a refused reload is a banner with its problems, until one is accepted', async () => {
    const { proxy } = await world();
    const { page } = await openPage(browser, proxy.adminUrl);
    await upstream(page).waitFor();
    proxy.rewrite('upstreams: { api: { ulr: 1 } }');
    await proxy.app.reload();
    const banner = page.locator('#refused');
    await banner.getByText('The new configuration was refused').waitFor();
    await banner.getByText('upstreams.api.url: is missing').waitFor();
    await expect.poll(() => page.title()).toBe('(!) Breakwater');
    expect(await violations(page)).toEqual([]);
    proxy.rewrite("upstreams: { api: { url: 'http://127.0.0.1:1', allow_private: true } }");
    await proxy.app.reload();
    await banner.waitFor({ state: 'hidden' });
    await page.getByText('http://127.0.0.1:1').first().waitFor();
  });

  test('a proxy that does not answer is a banner and no green pill', async () => {
    const { proxy } = await world();
    const { page, problems } = await openPage(browser, proxy.adminUrl);
    await page.locator('#readiness', { hasText: 'ready' }).waitFor();
    await proxy.app.stop(0);
    await page.locator('#trouble', { hasText: 'The proxy does not answer.' }).waitFor();
    await expect.poll(() => page.locator('#readiness').textContent()).toBe('unreachable');
    expect(await violations(page)).toEqual([]);
    await page.close();
    // The browser reports each connection that is refused.
    expect(problems.filter((problem) => !problem.includes('Failed to load resource'))).toEqual([]);
    problems.length = 0;
  });

  test('the token is asked for, and a wrong one again', async () => {
    const proxy = await startBreakwater(
      "admin_token: s3cret\nupstreams: { api: { url: 'http://127.0.0.1:1', allow_private: true } }",
    );
    const { page, problems } = await openPage(browser, proxy.adminUrl);
    await page.getByRole('textbox', { name: 'Token' }).fill('wrong');
    await page.getByRole('textbox', { name: 'Token' }).press('Enter');
    await page.getByText('The token was rejected').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByRole('textbox', { name: 'Token' }).fill('s3cret');
    await page.getByRole('button', { name: 'Continue' }).click();
    await upstream(page).waitFor();
    await expect.poll(() => page.locator('#readiness').textContent()).toBe('ready');
    expect(problems.filter((problem) => !problem.includes('401'))).toEqual([]);
    problems.length = 0;
  });
});
