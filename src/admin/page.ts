import { readFile } from 'node:fs/promises';
import { AdminProblem, type AdminResponse } from './response.ts';

const SCRIPT = 'text/javascript; charset=utf-8';
const STYLE = 'text/css; charset=utf-8';

/** All files of the monitor page. A request path is never used as a file path. */
const FILES: ReadonlyMap<string, readonly [name: string, contentType: string]> = new Map([
  ['/', ['index.html', 'text/html; charset=utf-8']],
  ['/dashboard/icon.svg', ['icon.svg', 'image/svg+xml']],
  file('page.css', STYLE),
  ...[
    'api',
    'ask',
    'changes',
    'confirm',
    'curl',
    'detail',
    'dom',
    'filters',
    'health',
    'main',
    'page-state',
    'queue',
    'recent',
    'routes',
    'schedules',
    'timeline',
    'timeline-view',
    'tools',
    'words',
  ].map((name) => file(`${name}.js`, SCRIPT)),
]);

function file(name: string, contentType: string): [string, [string, string]] {
  return [`/dashboard/${name}`, [name, contentType]];
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
  return FILES.has(path);
}

/** Reads a file of the monitor page at each request, so that unused files cost no memory. */
export async function pageFile(method: string, path: string): Promise<AdminResponse> {
  const [name, contentType] = FILES.get(path) ?? [];
  if (name === undefined || contentType === undefined) throw new AdminProblem(404, 'there is no such path');
  if (method !== 'GET' && method !== 'HEAD')
    throw new AdminProblem(405, `${path} allows GET and HEAD only`, { headers: { allow: 'GET, HEAD' } });
  // In the source tree the folder is next to this module; the build copies it next to the bundle.
  const body = await readFile(new URL(`./dashboard/${name}`, import.meta.url), 'utf8');
  return { status: 200, contentType, body, headers: HEADERS };
}
