import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { AdminProblem, type AdminResponse } from './response.ts';

const TYPES: ReadonlyMap<string, string> = new Map([
  ['html', 'text/html; charset=utf-8'],
  ['js', 'text/javascript; charset=utf-8'],
  ['css', 'text/css; charset=utf-8'],
  ['svg', 'image/svg+xml'],
]);

/** In the source tree the folder is next to this module; the build copies it next to the bundle. */
const FOLDER = new URL('./dashboard/', import.meta.url);

/** Files of the chart library. The build copies them into the folder. */
export const PAGE_LIBRARY: ReadonlyMap<string, string> = new Map([
  ['uplot.js', 'uplot/dist/uPlot.iife.min.js'],
  ['uplot.css', 'uplot/dist/uPlot.min.css'],
]);

interface PageFile {
  readonly url: string | URL;
  readonly contentType: string;
}

/** All files of the page by their path, listed at the first request. A request path is never used as a file path. */
let files: ReadonlyMap<string, PageFile> | undefined;

const filesOfPage = (): ReadonlyMap<string, PageFile> =>
  (files ??= new Map(
    [...new Set([...readdirSync(FOLDER), ...PAGE_LIBRARY.keys()])].flatMap((name) => {
      const contentType = TYPES.get(name.split('.').at(-1) ?? '');
      if (contentType === undefined || name.endsWith('.d.ts')) return [];
      return [[name === 'index.html' ? '/' : `/dashboard/${name}`, { url: placeOf(name), contentType }]];
    }),
  ));

function placeOf(name: string): string | URL {
  const file = PAGE_LIBRARY.get(name);
  const fromSource = import.meta.url.endsWith('.ts');
  return file !== undefined && fromSource
    ? createRequire(import.meta.url).resolve(file)
    : new URL(name, FOLDER);
}

/** Only own files, nothing inline, no frames. Trusted Types keep the page's scripts from turning text into markup. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
};

/** Whether `path` is a file of the monitor page. */
export function isPage(path: string): boolean {
  return filesOfPage().has(path);
}

/** Reads a file of the monitor page at each request, so that unused files cost no memory. */
export async function pageFile(method: string, path: string): Promise<AdminResponse> {
  const file = filesOfPage().get(path);
  if (file === undefined) throw new AdminProblem(404, 'there is no such path');
  if (method !== 'GET' && method !== 'HEAD')
    throw new AdminProblem(405, `${path} allows GET and HEAD only`, { headers: { allow: 'GET, HEAD' } });
  const body = await readFile(file.url, 'utf8');
  return { status: 200, contentType: file.contentType, body, headers: HEADERS };
}
