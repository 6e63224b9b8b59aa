import { isLoopback } from '../../http/private-address.ts';
import type { Address } from '../../server/options.ts';
import type { Config } from '../config.ts';
import type { ProcessInput } from '../keys/schema.ts';
import type { Report } from '../read/report.ts';

/** In characters. A shorter token can be guessed by trying. */
export const SHORTEST_TOKEN = 16;

/** Off loopback, the admin API needs a token that cannot be guessed. */
export function checkAdmin(admin: Address, token: string | undefined, report: Report): void {
  if (isLoopback(admin.host)) return;
  if (token === undefined && !report.knows(['admin_token'])) {
    report.problem(
      ['admin'],
      `${admin.host} can be reached from other machines; set admin_token, or write 127.0.0.1:${admin.port}; for Prometheus and probes alone, write metrics: 0.0.0.0:9090`,
    );
  }
  checkToken(admin, { token, path: ['admin_token'] }, report);
}

/** The listener of metrics; undefined if it is off. It needs no token, because it can change nothing. */
export function metricsOptions(
  { listen, token }: NonNullable<ProcessInput['metrics']>,
  report: Report,
): Config['metrics'] {
  if (listen === undefined || listen === null) {
    if (token !== undefined)
      report.problem(
        ['metrics', 'token'],
        'has no effect without metrics.listen; write listen: 0.0.0.0:9090',
      );
    return undefined;
  }
  checkToken(listen, { token, path: ['metrics', 'token'] }, report);
  return { ...listen, token };
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
