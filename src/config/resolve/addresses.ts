import type { Address } from '../../server/options.ts';
import type { Report } from '../read/report.ts';

/** In characters. A shorter token can be guessed by trying. */
const SHORTEST_TOKEN = 16;

export const isLoopback = (host: string): boolean => /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host);

/** Off loopback, the admin API needs a token that cannot be guessed. */
export function checkAdmin(admin: Address, token: string | undefined, report: Report): void {
  if (isLoopback(admin.host)) return;
  if (token === undefined && !report.knows(['admin_token'])) {
    report.problem(
      ['admin'],
      `${admin.host} can be reached from other machines; set admin_token, or write 127.0.0.1:${admin.port}`,
    );
  }
  checkToken(admin, { token, path: ['admin_token'] }, report);
}

function checkToken(
  { host }: Address,
  { token, path }: { readonly token: string | undefined; readonly path: readonly string[] },
  report: Report,
): void {
  if (token === undefined || token.length >= SHORTEST_TOKEN || isLoopback(host)) return;
  report.problem(
    path,
    `has fewer than ${SHORTEST_TOKEN} characters, and ${host} can be reached from other machines; write a longer one, made for example by: openssl rand -hex 16`,
  );
}

/** One port for one listener; 0 is any free port. */
export function checkPorts(listeners: Readonly<Record<string, Address | undefined>>, report: Report): void {
  const taken = new Map<string, string>();
  for (const [key, address] of Object.entries(listeners)) {
    if (address === undefined || address.port === 0) continue;
    const place = `${address.host}:${address.port}`;
    const other = taken.get(place);
    if (other === undefined) taken.set(place, key);
    else report.problem([key], `port ${address.port} is already used by ${other}; write another one`);
  }
}
