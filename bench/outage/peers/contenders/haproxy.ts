import { type Contender, programVersion, written } from '../contender.ts';
import { plainClient } from '../plain-client.ts';

/** `retries 3` is its default. `retry-on` is needed to retry more than failed connections. */
export const haproxy: Contender = {
  name: 'HAProxy',
  version: () => programVersion('haproxy', ['-v']),
  attempts: 4,
  settings: 'retries 3, retry-on all-retryable-errors, option redispatch',
  proxy({ port, upstreamPort, dir }) {
    const config = `
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 1s
  timeout server 1s
  timeout client 60s
  retries 3
  retry-on all-retryable-errors
  option redispatch
frontend in
  bind 127.0.0.1:${port}
  default_backend api
backend api
  server api 127.0.0.1:${upstreamPort}
`;
    return { file: 'haproxy', args: ['-db', '-q', '-f', written(dir, 'haproxy.cfg', config)] };
  },
  client: (origin) => plainClient(origin, 0),
};
