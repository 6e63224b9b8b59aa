import { Agent, createServer, ServerResponse } from 'node:http';
import httpProxy from 'http-proxy-3';

/** http-proxy-3 with a keep-alive agent. `node http-proxy-3.ts PORT ORIGIN_PORT`. */
const [port, originPort] = process.argv.slice(2).map(Number);
const proxy = httpProxy.createProxyServer({
  target: `http://127.0.0.1:${originPort}`,
  agent: new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 256 }),
});
proxy.on('error', (_error, _req, res) => {
  if (res instanceof ServerResponse && !res.headersSent) res.writeHead(502).end();
  else res.destroy();
});
const server = createServer((req, res) => proxy.web(req, res));
server.keepAliveTimeout = 120_000;
server.listen(port, '127.0.0.1');
