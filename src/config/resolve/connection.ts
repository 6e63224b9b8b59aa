import type { ConnectionOptions } from '../../proxy/connection-options.ts';
import type { Path } from '../read/problem.ts';
import { egressProxy } from './egress.ts';
import type { ResolveContext, Settings } from './context.ts';
import type { Inherited } from './inherit.ts';
import { certificates, identity, type WrittenPem } from './pem.ts';

type Rules = Pick<ResolveContext, 'report' | 'lookup'>;

/** Options of the connections to an upstream. Reads the PEM files that the configuration names. */
export function connectionOptions(
  { values, origins }: Inherited<Settings>,
  origin: string,
  { report, lookup }: Rules,
): ConnectionOptions {
  const { timeouts, connection, tls } = values;
  const pathOf = (key: string): Path => origins.get(key)?.path ?? [];
  const pem = (key: 'ca' | 'cert' | 'key'): WrittenPem => ({ text: tls[key], path: pathOf(`tls.${key}`) });
  const source = { report, readFile: lookup.readFile };
  const found = egressProxy(connection.proxy, origin, lookup.env);
  if ('problem' in found) report.problem(pathOf('connection.proxy'), found.problem);
  warnWithoutTls({ values, origins }, origin, { report, lookup });
  return {
    connectTimeoutMs: timeouts.connect,
    keepAliveMs: connection.keep_alive,
    maxAgeMs: connection.max_age,
    http2: connection.http2,
    proxy: 'proxy' in found ? found.proxy : undefined,
    tls: {
      ca: certificates(pem('ca'), source),
      ...identity(pem('cert'), pem('key'), source),
      servername: tls.servername,
      minVersion: tls.min_version,
    },
  };
}

/** Warns only of keys of the upstream itself: inherited ones may be intended for other upstreams. */
function warnWithoutTls({ values, origins }: Inherited<Settings>, origin: string, { report }: Rules): void {
  if (!origin.startsWith('http:')) return;
  for (const [key, { path, layer }] of origins.written('')) {
    if (layer.path[0] !== 'upstreams') continue;
    if (key.startsWith('tls.'))
      report.warning(path, 'has no effect, because url begins with http://; remove it');
    if (key === 'connection.http2' && values.connection.http2 === 'auto')
      report.warning(
        path,
        'has no effect, because url begins with http://; write require for HTTP/2 without TLS',
      );
  }
}
