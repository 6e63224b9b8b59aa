/** Connections to receivers of webhooks: callbacks, and events for operators. */
export const WEBHOOK_CONNECTION = {
  connectTimeoutMs: 5_000,
  keepAliveMs: 4_000,
  maxAgeMs: 300_000,
  http2: 'off',
  proxy: undefined,
  tls: { ca: undefined, cert: undefined, key: undefined, servername: undefined, minVersion: 'TLSv1.2' },
} as const;
