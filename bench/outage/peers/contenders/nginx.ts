import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from '../../../lib/process.ts';
import { type Contender, type Place, programVersion, written } from '../contender.ts';
import { plainClient } from '../plain-client.ts';

/**
 * nginx retries only on the *next* server, so a single server is commonly listed several times. Each failure then counts for
 * one entry. With the default of one failure in ten seconds, three 503s cause 502 for the rest of that time. So both are
 * measured: without and with this count.
 */
export const nginx = nginxContender('nginx', 'max_fails=0');
export const nginxMaxFails = nginxContender('nginx, max_fails 1', 'max_fails=1 fail_timeout=10s');

function nginxContender(name: string, server: string): Contender {
  return {
    name,
    version: () => programVersion('nginx', ['-v']),
    attempts: 3,
    settings: `the server listed 3 times, ${server}; proxy_next_upstream error timeout http_502 http_503 http_504, 3 tries in 8 s`,
    proxy: (place) => command(place, server),
    client: (origin) => plainClient(origin, 0),
  };
}

/** Creates the folders of nginx in `dir`, and returns the directives that name them. */
export function nginxFolders(dir: string): string {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  for (const folder of temp) mkdirSync(join(dir, folder));
  return temp.map((folder) => `${folder}_temp_path ${dir}/${folder};`).join('\n  ');
}

function command({ port, upstreamPort, dir }: Place, server: string): Command {
  const listed = `server 127.0.0.1:${upstreamPort} ${server};`;
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
    ${listed}
    ${listed}
    ${listed}
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
      proxy_next_upstream_tries 3;
      proxy_next_upstream_timeout 8s;
    }
  }
}
`;
  return { file: 'nginx', args: ['-p', dir, '-c', written(dir, 'nginx.conf', config), '-e', 'stderr'] };
}
