import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { BROWSER_MS, browserPresent, openPage, startBrowser, violations } from './browser.ts';
import { type DurableClient, durableConfig, startDurable } from '../../support/durable.ts';
import { ok, startOrigin, status } from '../../support/origin.ts';

// A browser on a busy machine is slow. No test waits for a time.
vi.setConfig({ testTimeout: BROWSER_MS, hookTimeout: BROWSER_MS });

let browser: Browser;
beforeAll(async () => {
  if (browserPresent) browser = await startBrowser();
});
afterAll(() => browser?.close());

const rows = (page: Page) => page.locator('#queue > li');
const openDurable = ({ proxy }: DurableClient, more = '') =>
  openPage(browser, `${proxy.adminUrl}/?view=durable${more}`);

/** Clicks a button, and the one that confirms. */
async function confirm(page: Page, button: string, verb = button): Promise<void> {
  await page.locator('#view-durable').getByRole('button', { name: button, exact: true }).first().click();
  await page.getByRole('dialog').getByRole('button', { name: verb, exact: true }).click();
  await page
    .getByRole('dialog')
    .waitFor({ state: 'detached' })
    .catch(() => undefined);
}

describe.skipIf(!browserPresent)('durable requests', () => {
  test('a request opens into its attempts, and is sent now', async () => {
    const origin = await startOrigin(status(503), ok());
    const client = await startDurable(
      durableConfig(origin, { durable: 'attempts: 5' }).replaceAll('base: 1ms', 'base: 5m'),
    );
    await client.accepted();
    const { page } = await openDurable(client);
    await rows(page).getByText('backoff').first().waitFor();
    await rows(page).locator('button.name').click();
    await rows(page).locator('table').getByText('503').waitFor();
    expect(await violations(page)).toEqual([]);
    await confirm(page, 'Run now');
    // The tile with the count; each route has a button with the same word.
    await page.locator('button.tile.is-succeeded').click();
    await rows(page).getByText('with 200').waitFor();
  });

  test('cancel is confirmed by Cancel and dismissed by Close', async () => {
    const client = await startDurable(durableConfig(await startOrigin(ok())));
    await client.accepted({ 'breakwater-delay': '1h' });
    const { page } = await openDurable(client);
    await rows(page).locator('button.name').click();
    await rows(page).getByRole('button', { name: 'Cancel' }).click();
    const dialog = page.getByRole('dialog');
    await expect
      .poll(() => dialog.getByRole('button').allTextContents())
      .toEqual(['Copy as curl', 'Close', 'Cancel']);
    expect(await violations(page)).toEqual([]);
    await dialog.getByRole('button', { name: 'Close' }).click();
    await page.locator('#confirm').waitFor({ state: 'hidden' });
    await rows(page).locator('.pill', { hasText: 'queued' }).waitFor();
    await confirm(page, 'Cancel');
    await page.locator('#queue').getByText('cancelled').first().waitFor();
  });

  test('a route is paused and resumed', async () => {
    const client = await startDurable(durableConfig(await startOrigin(ok())));
    const { page } = await openDurable(client);
    await page.locator('#routes').getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
    await page.locator('#routes').getByText('paused').waitFor();
    await page.locator('#routes').getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
    await page.locator('#routes').getByText('paused').waitFor({ state: 'detached' });
    await expect.poll(() => page.locator('#routes').getByRole('button', { name: 'Pause' }).count()).toBe(1);
  });

  test('more than one page of requests', async () => {
    const client = await startDurable(durableConfig(await startOrigin(ok())));
    for (let i = 0; i < 6; i++)
      await Promise.all(Array.from({ length: 20 }, () => client.accepted({ 'breakwater-delay': '1h' })));
    const { page } = await openDurable(client);
    await page.getByText('1 to 100 of 120').waitFor();
    const first = await rows(page).first().getAttribute('data-id');
    await page.getByRole('button', { name: 'next page' }).click();
    await page.getByText('101 to 120 of 120').waitFor();
    await expect.poll(() => rows(page).count()).toBe(20);
    expect(await rows(page).first().getAttribute('data-id')).not.toBe(first);
    await page.getByRole('button', { name: 'previous page' }).click();
    await page.getByText('1 to 100 of 120').waitFor();
    await page.getByRole('button', { name: '500 on a page' }).click();
    await page.getByText('1 to 120 of 120').waitFor();
    await page.getByRole('button', { name: 'select all on this page' }).click();
    await page.getByRole('button', { name: 'Delete (120)' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  });

  test('a search by id leads to the request, from any view', async () => {
    const client = await startDurable(durableConfig(await startOrigin(ok())));
    const path = await client.accepted({ 'breakwater-delay': '1h' });
    await client.accepted({ 'breakwater-delay': '2h' });
    const id = path.split('/').at(-1) ?? '';
    const { page } = await openPage(browser, client.proxy.adminUrl);
    await page.locator('.upstream').waitFor();
    await page.getByLabel('search by id, path or text').fill(id);
    await page.getByLabel('search by id, path or text').press('Enter');
    await page.locator(`#queue > li.open[data-id="${id}"]`).waitFor();
    await expect.poll(() => new URL(page.url()).search).toContain(`id=${id}`);
  });

  test('without durable routes it says how to get some', async () => {
    const client = await startDurable(durableConfig(await startOrigin(ok()), { durable: 'mode: off' }));
    const { page } = await openDurable(client);
    await page.getByText('No route accepts durable requests.').waitFor();
    expect(await violations(page)).toEqual([]);
  });

  test('a schedule runs now', async () => {
    const origin = await startOrigin(ok());
    const client = await startDurable(
      durableConfig(origin, {
        top: "schedules: { nightly: { cron: '0 3 * * *', request: { method: GET, path: /api/report } } }",
      }),
    );
    const { page } = await openDurable(client);
    await page.locator('#schedules').getByText('nightly').waitFor();
    await page.locator('#schedules').getByRole('button', { name: 'Run now' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Run now' }).click();
    await origin.untilRequests(1);
    await page.locator('#schedules').getByText('succeeded').first().waitFor();
    expect(origin.requests.map(({ url }) => url)).toEqual(['/report']);
  });
});
