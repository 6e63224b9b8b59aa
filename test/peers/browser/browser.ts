import { existsSync, readFileSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';

/** Chromium (Debian package `chromium`), or the browser that CHROMIUM names. */
const EXECUTABLE = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

/** Time for one test. */
export const BROWSER_MS = 120_000;

export const browserPresent = existsSync(EXECUTABLE);

/** As root, as in a container, Chromium has no sandbox of its own. It loads the own page only. */
export const startBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: EXECUTABLE, args: ['--no-sandbox'] });

export interface PageOptions {
  readonly phone?: boolean;
  readonly dark?: boolean;
}

export interface OpenPage {
  readonly page: Page;
  /** Errors of scripts, of the security policy, and of requests. */
  readonly problems: string[];
}

const DESKTOP = { width: 1400, height: 1000 };
const PHONE = { width: 390, height: 844 };

/** Opens the admin page. Its errors fail the test, unless `problems` is emptied. */
export async function openPage(
  browser: Browser,
  url: string,
  { phone = false, dark = false }: PageOptions = {},
): Promise<OpenPage> {
  const context = await browser.newContext({
    viewport: phone ? PHONE : DESKTOP,
    colorScheme: dark ? 'dark' : 'light',
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(error.message));
  onTestFinished(async () => {
    await context.close();
    expect(problems).toEqual([]);
  });
  await page.goto(url);
  return { page, problems };
}

const AXE = readFileSync('node_modules/axe-core/axe.min.js', 'utf8');

interface Axe {
  run(options: object): Promise<{
    readonly violations: readonly {
      readonly id: string;
      readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
    }[];
  }>;
}

/** Violations of WCAG 2.2 A and AA and of good practice, as axe sees them: `rule: element`. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations: found } = await page.evaluate(() =>
    (globalThis as unknown as { axe: Axe }).axe.run({ resultTypes: ['violations'] }),
  );
  return found.flatMap(({ id, nodes }) =>
    nodes.map(
      ({ html, failureSummary = '' }) =>
        `${id}: ${html.slice(0, 200)} ${failureSummary.replaceAll('\n', ' ')}`,
    ),
  );
}
