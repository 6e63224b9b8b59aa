import { isPrivateHost } from '../../http/private-address.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';

export interface UpstreamUrl {
  readonly origin: string;
  /** Without a trailing slash; '' for none. */
  readonly basePath: string;
}

const NOWHERE: UpstreamUrl = { origin: 'http://invalid.invalid', basePath: '' };

/** Reads an upstream's URL. Messages never repeat it: it may hold a credential. */
export function upstreamUrl(
  written: string | undefined,
  path: Path,
  allowPrivate: boolean,
  report: Report,
): UpstreamUrl {
  if (written === undefined) {
    report.problem(path, 'is missing; write for example url: https://api.example.com', 'key');
    return NOWHERE;
  }
  const url = URL.parse(written);
  const problem = url === null ? notAUrl(written) : wrongWith(url, written);
  if (url === null || problem !== undefined) {
    report.problem(path, problem ?? notAUrl(written));
    return NOWHERE;
  }
  if (!allowPrivate && isPrivateHost(url.hostname)) {
    report.problem(
      path,
      `${url.hostname} is a private address; write allow_private: true beside url if that is meant`,
    );
  }
  return { origin: url.origin, basePath: url.pathname.replace(/\/+$/, '') };
}

function notAUrl(written: string): string {
  if (/^[a-z0-9.-]+(:\d+)?(\/|$)/i.test(written)) return 'has no scheme; write https:// in front of it';
  return 'is not a URL; write for example https://api.example.com';
}

function wrongWith(url: URL, written: string): string | undefined {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    // api.example.com:443 parses as a URL with the scheme "api.example.com:".
    return /^[a-z0-9.-]+:\d/i.test(written)
      ? 'has no scheme; write https:// in front of it'
      : `${url.protocol}// is not supported; write https:// or http://`;
  }
  if (url.username !== '' || url.password !== '') {
    return 'holds credentials; set an authorization header instead: headers: { set: { authorization: "Basic ${BASIC_AUTH}" } }';
  }
  if (/[?#]/.test(written)) return 'holds a query or a fragment; the client sends those';
  if (url.hostname === '') return 'has no host';
  const placeholder = /[{<][^{}<>]*[}>]|%7B|%3C/i.exec(`${url.hostname}${url.pathname}`);
  if (placeholder !== null)
    return 'holds a placeholder, which would be sent as it is; write ${NAME} for an environment variable, in quotes';
  return undefined;
}
