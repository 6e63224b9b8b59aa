// The app of a pod in test/integration/rolling-restart.test.ts. Each request makes two calls through the sidecar, one after the
// other. SIGTERM ends it as a good server ends: it accepts no more, and finishes what runs.
import { createServer } from 'node:http';

const sidecar = process.env['SIDECAR'];

const server = createServer(async (request, response) => {
  if (request.url === '/healthz') return response.end('ok');
  try {
    for (const part of ['first', 'second']) {
      const reply = await fetch(`${sidecar}/api${request.url}/${part}`);
      await reply.text();
      if (reply.status !== 200) throw new Error(`${part} call: ${reply.status}`);
    }
    response.end('done');
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') console.log(`app on http://127.0.0.1:${address.port}`);
});
process.on('SIGTERM', () => {
  console.log('app stops');
  server.close(() => process.exit(0));
});
