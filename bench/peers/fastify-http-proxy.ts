import httpProxy from '@fastify/http-proxy';
import Fastify from 'fastify';

/** @fastify/http-proxy on its default undici transport, without logging. `node fastify-http-proxy.ts PORT ORIGIN_PORT`. */
const [port, originPort] = process.argv.slice(2).map(Number);
const app = Fastify({ logger: false, keepAliveTimeout: 120_000 });
await app.register(httpProxy, {
  upstream: `http://127.0.0.1:${originPort}`,
  undici: { keepAliveTimeout: 60_000 },
});
await app.listen({ port: port as number, host: '127.0.0.1' });
