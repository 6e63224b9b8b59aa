import type { Config } from '../config/config.ts';

/** The effective configuration for the admin API: header values and the token may be secrets and are not shown. */
export function shownConfig(config: Config): unknown {
  return JSON.parse(
    JSON.stringify(config, (key, value: unknown) => {
      if (value instanceof Set) return [...value];
      if (key === 'token' && value !== undefined) return '[redacted]';
      if (key === 'set' && Array.isArray(value)) return value.map(([name]) => [name, '[redacted]']);
      return value;
    }),
  );
}
