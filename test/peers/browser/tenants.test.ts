import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startBreakwater } from '../../support/breakwater.ts';
import { stubDns } from '../../support/dns.ts';
import { startOrigin, status } from '../../support/origin.ts';
import { BROWSER_MS, browserPresent, openPage, startBrowser, violations } from './browser.ts';

vi.setConfig({ testTimeout: BROWSER_MS, hookTimeout: BROWSER_MS });

let browser: Browser;
beforeAll(async () => {
  if (browserPresent) browser = await startBrowser();
});
afterAll(() => browser?.close());

describe.skipIf(!browserPresent)('tenants', () => {
  test('an upstream shows its busiest tenants, and how many have an open breaker', async () => {
    const { port } = await startOrigin(status(500));
    stubDns(['127.0.0.1']);
    const proxy = await startBreakwater(`
upstreams:
  shop:
    url: http://{shop}.shops.example:${port}
    allow_private: true
    mount: { path: "/shop/{shop}" }
    retry: { attempts: 1 }
    breaker: { min_requests: 2, consecutive_failures: 2 }
`);
    for (const tenant of ['well', 'sick', 'sick'])
      await (await fetch(`${proxy.url}/shop/${tenant}/`)).arrayBuffer();
    const { page } = await openPage(browser, proxy.adminUrl);
    await page.getByText(/2 of 1\W000 tenants/).waitFor();
    await page.locator('.trouble', { hasText: 'breaker of 1 tenant not closed' }).waitFor();
    const row = page.locator('tr', { hasText: 'sick' });
    await expect.poll(() => row.locator('td').nth(2).textContent()).toContain('open');
    expect(await violations(page)).toEqual([]);
  });
});
