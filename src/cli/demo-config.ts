/** Where the demo API listens if nothing else is configured. */
export const DEMO_URL = 'http://127.0.0.1:8090';

/**
 * The configuration of `start --demo` in a folder without a config.yaml: the shipped file without durable requests, whose store would be
 * a file there.
 */
export const DEMO_CONFIG = `listen: \${BREAKWATER_LISTEN:-127.0.0.1:8080}
admin: \${BREAKWATER_ADMIN:-127.0.0.1:8081}
upstreams:
  demo:
    url: \${DEMO_URL:-${DEMO_URL}}
    allow_private: true
    retry:
      budget: { cap: 100, refill: 1/s }
    stream:
      first_event: 2s
      event_gap: 10s
      ignore: [ping, keepalive, message_start, response.created, response.in_progress]
      error:
        - { event: [error, response.failed], status: 503 }
        - { body: { /error: "*" }, status: 503 }
    routes:
      - name: charges
        match: { method: POST, path: /charges }
        retry: { idempotency_key: pass }
      - name: payments
        match: { method: POST, path: /payments }
        retry: { idempotency_key: pass }
`;

/** Reads as `read`, but `DEMO_CONFIG` in place of `file` if that does not exist. */
export function orDemo(
  read: (path: string) => string,
  file: string,
  onMissing: (error: unknown) => void = () => undefined,
): (path: string) => string {
  return (path) => {
    try {
      return read(path);
    } catch (error) {
      if (path !== file || !isMissing(error)) throw error;
      onMissing(error);
      return DEMO_CONFIG;
    }
  };
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';
