import type { Config } from '../config/config.ts';

/** Secret whatever they hold. */
const SECRET: ReadonlySet<string> = new Set(['token', 'key', 'authorization', 'credentialsKey', 'secrets']);

/** The effective configuration for the admin API: header values, keys and the token may be secrets and are not shown. */
export function shownConfig(config: Config): unknown {
  const upstreams = config.upstreams.map((upstream) =>
    upstream.privatePath ? { ...upstream, basePath: '[redacted]' } : upstream,
  );
  return JSON.parse(JSON.stringify({ ...config, upstreams }, shown));
}

function shown(key: string, value: unknown): unknown {
  if (value instanceof Set) return [...value];
  if (SECRET.has(key) && value !== undefined) return '[redacted]';
  if (typeof value === 'string') return shownText(key, value);
  if (key === 'set' && Array.isArray(value)) return value.map(([name]) => [name, '[redacted]']);
  return value;
}

function shownText(key: string, text: string): string {
  if (text.includes('-----BEGIN ')) return '[PEM]';
  if (key === 'body') return `[${Buffer.byteLength(text)} bytes]`;
  // What a schedule asks for: its query may be a secret.
  if (key === 'target') return text.replace(/\?.*/, '?[redacted]');
  // A database's user and password.
  return key === 'store' ? text.replace(/:\/\/[^/]*@/, '://[redacted]@') : text;
}
