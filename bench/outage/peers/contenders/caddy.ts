import { type Contender, programVersion, written } from '../contender.ts';
import { plainClient } from '../plain-client.ts';

/**
 * Caddy retries what went wrong on the way (dial errors, and timeouts of GETs); a 503 is a reply like any other to it. Its
 * passive health check takes the upstream out for `fail_duration`, and callers wait for its return as long as
 * `lb_try_duration` lets them. `unhealthy_status 5xx` would count replies too: nearly nothing is sent to an
 * upstream in an outage then, and nearly nothing gets through to one that is flaky. It is off, as it is by default.
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
