import type { Config } from '../config/config.ts';

/** Secret whatever they hold. */
const SECRET: ReadonlySet<string> = new Set(['token', 'key', 'authorization']);

/** The effective configuration for the admin API: header values, keys and the token may be secrets and are not shown. */
export function shownConfig(config: Config): unknown {
  return JSON.parse(
    JSON.stringify(config, (key, value: unknown) => {
      if (value instanceof Set) return [...value];
      if (SECRET.has(key) && value !== undefined) return '[redacted]';
      if (typeof value === 'string' && value.includes('-----BEGIN ')) return '[PEM]';
      if (key === 'set' && Array.isArray(value)) return value.map(([name]) => [name, '[redacted]']);
      return value;
    }),
  );
}
