import { filled, placeholdersOf } from '../../http/host-template.ts';
import { isPrivateHost } from '../../http/private-address.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';

export interface UpstreamUrl {
  readonly origin: string;
  /** Without a trailing slash; '' for none. */
  readonly basePath: string;
}

const NOWHERE: UpstreamUrl = { origin: 'http://invalid.invalid', basePath: '' };

/** Whether an upstream at this host needs `allow_private`. */
export const needsAllowPrivate = (host: string): boolean => isPrivateHost(host);

/** `placeholders`: the host may have placeholders such as `{shop}`. */
interface UrlRules {
  readonly path: Path;
  readonly allowPrivate: boolean;
  readonly placeholders: boolean;
}

/** Reads the URL of an upstream. Messages do not quote it: it may contain a credential. */
export function upstreamUrl(
  written: string | undefined,
  { path, allowPrivate, placeholders }: UrlRules,
  report: Report,
): UpstreamUrl {
  if (written === undefined) {
    report.problem(path, 'is missing; write for example url: https://api.example.com', 'key');
    return NOWHERE;
  }
  const url = URL.parse(written);
  const problem = url === null ? notAUrl(written) : wrongWith(url, written, placeholders);
  if (url === null || problem !== undefined) {
    report.problem(path, problem ?? notAUrl(written));
    return NOWHERE;
  }
  if (!allowPrivate && needsAllowPrivate(url.hostname)) {
    report.problem(
      path,
      `${url.hostname} is a private address; write allow_private: true next to url if this is intended`,
    );
  }
  return { origin: url.origin, basePath: url.pathname.replace(/\/+$/, '') };
}

function notAUrl(written: string): string {
  if (/^[a-z0-9.-]+(:\d+)?(\/|$)/i.test(written)) return 'has no scheme; write https:// in front of it';
  return 'is not a URL; write for example https://api.example.com';
}

function wrongWith(url: URL, written: string, placeholders: boolean): string | undefined {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    // api.example.com:443 parses as a URL with the scheme "api.example.com:".
    return /^[a-z0-9.-]+:\d/i.test(written)
      ? 'has no scheme; write https:// in front of it'
      : `${url.protocol}// is not supported; write https:// or http://`;
  }
  if (url.username !== '' || url.password !== '') {
    return 'contains credentials; write them into auth instead: auth: { basic: { user: "${API_USER}", password: "${API_PASSWORD}" } }';
  }
  if (/[?#]/.test(written))
    return 'contains a query or a fragment; remove it, because clients send their own';
  if (url.hostname === '') return 'has no host; write for example https://api.example.com';
  const host = placeholders ? withoutPlaceholders(url.hostname) : url.hostname;
  const placeholder = /[{<][^{}<>]*[}>]|%7B|%3C/i.exec(`${host}${url.pathname}`);
  if (placeholder !== null)
    return 'contains a placeholder, which would be sent literally; write ${NAME}, in quotes, for an environment variable';
  return undefined;
}

/** The host with a label in place of each placeholder. */
function withoutPlaceholders(host: string): string {
  return filled(host, Object.fromEntries(placeholdersOf(host).map((name) => [name, 'x'])));
}
