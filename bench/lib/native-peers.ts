import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from './process.ts';

/** The ports of a contender, that of its origin, and a directory for its files. */
export interface Place {
  readonly port: number;
  readonly adminPort: number;
  readonly originPort: number;
  readonly dir: string;
}

/** Requests per connection: more than a run sends, so that no peer has the cost of reconnecting. */
const MANY = 10_000_000;

export function nginx({ port, originPort, dir }: Place): Command {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  for (const name of temp) mkdirSync(join(dir, name));
  const config = `
daemon off;
worker_processes 1;
pid ${dir}/nginx.pid;
error_log stderr crit;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 1024; }
http {
  access_log off;
  ${temp.map((name) => `${name}_temp_path ${dir}/${name};`).join('\n  ')}
  keepalive_requests ${MANY};
  upstream origin {
    server 127.0.0.1:${originPort};
    keepalive 256;
    keepalive_requests ${MANY};
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
    }
  }
}
`;
  return { file: 'nginx', args: ['-p', dir, '-c', written(dir, 'nginx.conf', config), '-e', 'stderr'] };
}

export function haproxy({ port, originPort, dir }: Place): Command {
  const config = `
global
  nbthread 1
  maxconn 1024
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend in
  bind 127.0.0.1:${port}
  default_backend origin
backend origin
  server origin 127.0.0.1:${originPort}
`;
  return { file: 'haproxy', args: ['-db', '-q', '-f', written(dir, 'haproxy.cfg', config)] };
}

export function caddy({ port, originPort, dir }: Place): Command {
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
  reverse_proxy 127.0.0.1:${originPort} {
    transport http {
      keepalive_idle_conns_per_host 256
    }
  }
}
`;
  return {
    file: 'caddy',
    args: ['run', '--adapter', 'caddyfile', '--config', written(dir, 'Caddyfile', config)],
    env: { GOMAXPROCS: '1', HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir },
  };
}

function written(dir: string, name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}
