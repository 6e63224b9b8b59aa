import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startBreakwater } from '../../support/breakwater.ts';
import { BROWSER_MS, browserPresent, openPage, startBrowser, violations } from './browser.ts';

// A browser on a busy machine is slow. No test waits for a time.
vi.setConfig({ testTimeout: BROWSER_MS, hookTimeout: BROWSER_MS });

let browser: Browser;
beforeAll(async () => {
  if (browserPresent) browser = await startBrowser();
});
afterAll(() => browser?.close());

const CONFIG = `
defaults: { retry: { attempts: 4 } }
upstreams:
  api:
    url: https://api.example
    headers: { set: { authorization: Bearer s3cret } }
    routes:
      - { name: reports, match: { path: /reports/** }, timeouts: { total: 5s } }
  other: { url: 'http://127.0.0.1:1', allow_private: true }
`;

describe.skipIf(!browserPresent)('configuration', () => {
  test('each value has its origin, and secrets are redacted', async () => {
    const proxy = await startBreakwater(CONFIG);
    const { page } = await openPage(browser, `${proxy.adminUrl}/?view=config&upstream=api`);
    const row = (key: string) =>
      page.locator('tr', { has: page.locator('code', { hasText: new RegExp(`^${key}$`) }) });
    await expect
      .poll(() => row('retry.attempts').textContent())
      .toBe('retry.attempts4config.yaml:4 (defaults)');
    await expect.poll(() => row('headers.set.authorization').textContent()).toContain('[redacted]');
    await expect.poll(() => row('listen').textContent()).toBe('listen127.0.0.1:0config.yaml:1');
    expect(await page.content()).not.toContain('s3cret');
    expect(await violations(page)).toEqual([]);
    await page.locator('#config select').nth(1).selectOption('reports');
    await page.getByText('Route api/reports').waitFor();
    await expect
      .poll(() => row('timeouts.total').textContent())
      .toBe('timeouts.total5sconfig.yaml:10 (route reports)');
    await page.getByLabel('only what the file sets').check();
    await row('timeouts.connect').waitFor({ state: 'detached' });
    await page.getByLabel('Key or value').fill('retry');
    await row('timeouts.total').waitFor({ state: 'detached' });
    await expect.poll(() => page.getByLabel('Key or value').inputValue()).toBe('retry');
    await expect.poll(() => row('retry.attempts').count()).toBe(1);
  });

  test('another upstream, and a new configuration', async () => {
    const proxy = await startBreakwater(CONFIG);
    const { page } = await openPage(browser, `${proxy.adminUrl}/?view=config`);
    await page.getByText('Route api/default').waitFor();
    await page.locator('#config select').first().selectOption('other');
    await page.getByText('Route other/default').waitFor();
    await expect.poll(() => new URL(page.url()).search).toBe('?view=config&upstream=other');
    proxy.rewrite(CONFIG.replace('attempts: 4', 'attempts: 7'));
    await page.getByRole('button', { name: 'Reload the file' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Reload', exact: true }).click();
    await page.locator('tr', { hasText: 'retry.attempts' }).getByText('7', { exact: true }).waitFor();
  });

  test('a file with problems shows them', async () => {
    const proxy = await startBreakwater(CONFIG);
    proxy.rewrite('upstreams: { api: { url: nowhere } }');
    const { page, problems } = await openPage(browser, `${proxy.adminUrl}/?view=config`);
    await page.locator('.problem').getByText('upstreams.api.url').waitFor();
    expect(problems.filter((problem) => !problem.includes('422'))).toEqual([]);
    problems.length = 0;
  });
});

describe.skipIf(!browserPresent)('what if', () => {
  test('an outage is simulated and drawn, also with changed settings', async () => {
    const proxy = await startBreakwater(CONFIG);
    const { page, problems } = await openPage(browser, `${proxy.adminUrl}/?view=whatif&upstream=api`);
    await page.getByLabel('Calls per second').fill('2');
    await page.getByRole('button', { name: 'Simulate' }).click();
    await page.locator('th', { hasText: 'as in the file' }).waitFor();
    await page.locator('.plot[aria-label^="Success of calls"]').waitFor();
    await page.getByLabel('Changed settings').fill('retry: off');
    await page.getByRole('button', { name: 'Simulate' }).click();
    await page.locator('th', { hasText: 'changed' }).waitFor();
    await expect
      .poll(() => page.locator('th[scope=row]').allTextContents())
      .toEqual(['changed', 'as in the file', 'built-in defaults']);
    expect(await violations(page)).toEqual([]);
    expect(problems).toEqual([]);
    await page.getByLabel('Changed settings').fill('retry: { atempts: 1 }');
    await page.getByRole('button', { name: 'Simulate' }).click();
    await page.locator('.problem').getByText('upstreams.api.retry.atempts').waitFor();
    problems.length = 0;
  });
});
