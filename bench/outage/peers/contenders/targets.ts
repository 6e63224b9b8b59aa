import { fileURLToPath } from 'node:url';
import { type Command, freePort } from '../../../lib/process.ts';
import { FAULTY } from '../../targets/figures.ts';
import {
  ATTEMPT_TIMEOUT_MS,
  type Contender,
  DEADLINE_MS,
  packageJsonVersion,
  type Place,
  written,
} from '../contender.ts';
import { plainClient } from '../plain-client.ts';
import { haproxy } from './haproxy.ts';
import { nginx, nginxFolders } from './nginx.ts';

/** The names of the two hosts, in the order of their ports. */
export const TARGETS: readonly string[] = [FAULTY, 'b'];

const client = (origin: string) => plainClient(origin, 0);

const breakwater: Contender = {
  name: 'Breakwater with targets',
  version: packageJsonVersion,
  attempts: 3,
  settings: 'targets: [a, b]; attempt: 1s, total: 8s',
  async proxy({ port, upstreamPorts, dir }) {
    const targets = TARGETS.map(
      (name, i) => `{ name: ${name}, url: "http://127.0.0.1:${upstreamPorts[i]}" }`,
    );
    const config = `
listen: 127.0.0.1:${port}
admin: 127.0.0.1:${await freePort()}
upstreams:
  rpb:
    mount: { path: / }
    allow_private: true # the upstreams are on loopback
    timeouts: { attempt: ${ATTEMPT_TIMEOUT_MS}ms, total: ${DEADLINE_MS}ms }
    targets: [${targets.join(', ')}]
`;
    const main = fileURLToPath(new URL('../../../../src/main.ts', import.meta.url));
    return { file: process.execPath, args: [main, 'start', '--config', written(dir, 'config.yaml', config)] };
  },
  client,
};

function nginxTargets(name: string, server: string): Contender {
  return {
    name,
    version: nginx.version,
    attempts: 2,
    settings: `two servers${server === '' ? '' : `, ${server}`}; proxy_next_upstream error timeout http_502 http_503 http_504`,
    proxy: (place) => nginxCommand(place, server),
    client,
  };
}

function nginxCommand({ port, upstreamPorts, dir }: Place, server: string): Command {
  const servers = upstreamPorts.map((upstream) => `server 127.0.0.1:${upstream} ${server};`);
  const config = `
daemon off;
worker_processes 1;
pid ${dir}/nginx.pid;
error_log stderr crit;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 4096; }
http {
  access_log off;
  ${nginxFolders(dir)}
  upstream api {
    ${servers.join('\n    ')}
    keepalive 64;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://api;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_connect_timeout 1s;
      proxy_read_timeout 1s;
      proxy_next_upstream error timeout http_502 http_503 http_504;
    }
  }
}
`;
  return { file: 'nginx', args: ['-p', dir, '-c', written(dir, 'nginx.conf', config), '-e', 'stderr'] };
}

function haproxyTargets(name: string, server: string, settings: string): Contender {
  return {
    name,
    version: haproxy.version,
    attempts: 4,
    settings: `roundrobin, retries 3, retry-on all-retryable-errors, option redispatch 1${settings}`,
    proxy({ port, upstreamPorts, dir }) {
      const servers = upstreamPorts.map(
        (upstream, i) => `  server ${TARGETS[i]} 127.0.0.1:${upstream} ${server}`,
      );
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
  option redispatch 1
frontend in
  bind 127.0.0.1:${port}
  default_backend api
backend api
  balance roundrobin
${servers.join('\n')}
`;
      return { file: 'haproxy', args: ['-db', '-q', '-f', written(dir, 'haproxy.cfg', config)] };
    },
    client,
  };
}

/** For an upstream of two hosts. `redispatch 1` sends each retry to another server; without the number, only the last one. */
export const TARGET_CONTENDERS: readonly Contender[] = [
  breakwater,
  nginxTargets('nginx, two servers', ''),
  nginxTargets('nginx, two servers, max_fails 0', 'max_fails=0'),
  haproxyTargets('HAProxy, two servers', '', ''),
  haproxyTargets(
    'HAProxy, two servers, observe',
    'check inter 2s rise 2 fall 3 observe layer7 error-limit 10 on-error mark-down',
    '; check inter 2s observe layer7, error-limit 10, on-error mark-down',
  ),
];
