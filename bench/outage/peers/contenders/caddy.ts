import { type Contender, programVersion, written } from '../contender.ts';
import { plainClient } from '../plain-client.ts';

/**
 * Caddy retries dial errors and timeouts of GETs, but no 503. Its passive health check removes the upstream for
 * `fail_duration`, and calls wait for it up to `lb_try_duration`. `unhealthy_status 5xx` is off, the default: with it, almost
 * nothing reaches an upstream in an outage, but also almost nothing one that is flaky.
 */
export const caddy: Contender = {
  name: 'Caddy',
  version: () => programVersion('caddy', ['version']),
  attempts: 4,
  settings: 'lb_try_duration 8s, lb_retries 3; passive health: fail_duration 10s, max_fails 5',
  proxy({ port, upstreamPort, dir }) {
    const config = `
{
  admin off
  auto_https off
  log {
    level ERROR
  }
  servers {
    protocols h1
  }
}
http://127.0.0.1:${port} {
  reverse_proxy 127.0.0.1:${upstreamPort} {
    lb_retries 3
    lb_try_duration 8s
    fail_duration 10s
    max_fails 5
    transport http {
      dial_timeout 1s
      response_header_timeout 1s
    }
  }
}
`;
    return {
      file: 'caddy',
      args: ['run', '--adapter', 'caddyfile', '--config', written(dir, 'Caddyfile', config)],
      env: { GOMAXPROCS: '1', HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir },
    };
  },
  client: (origin) => plainClient(origin, 0),
};
