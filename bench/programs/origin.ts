import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/**
 * The origin behind every proxy. It answers from memory, as fast as node:http can, after the milliseconds of `?delay=`, or with
 * the empty error reply of `?status=`. `node origin.ts PORT`.
 */
const port = Number(process.argv[2]);
const bodies = new Map([
  ['/1k', Buffer.alloc(1024, 'abcdefghijklmnop')],
  ['/64k', Buffer.alloc(64 * 1024, 'abcdefghijklmnop')],
  [
    '/v1/chat/completions',
    Buffer.from(
      JSON.stringify({
        id: 'chatcmpl-1',
        object: 'chat.completion',
        created: 1_764_000_000,
        model: 'gpt-4o',
        choices: [
          {
            index: 0,
            message: { role: 'assistant', content: 'abcdefghijklmnop'.repeat(64) },
            finish_reason: 'stop',
          },
        ],
        usage: { prompt_tokens: 300, completion_tokens: 300, total_tokens: 600 },
      }),
    ),
  ],
]);

let connections = 0;
let open = 0;
let requests = 0;

function answer(req: IncomingMessage, res: ServerResponse, receivedBytes: number): void {
  requests++;
  if (req.url === '/stats') {
    // Without the request that asks.
    res.end(JSON.stringify({ connections, open, requests: --requests }));
    return;
  }
  const [path = '', query] = (req.url ?? '').split('?');
  if (query === undefined) return send(res, path, receivedBytes);
  const { delay, status } = Object.fromEntries(new URLSearchParams(query));
  if (status !== undefined) res.writeHead(Number(status), ['Content-Length', '0']).end();
  else setTimeout(() => send(res, path, receivedBytes), Number(delay));
}

function send(res: ServerResponse, path: string, receivedBytes: number): void {
  const body = bodies.get(path);
  if (body === undefined) {
    res.writeHead(404, ['content-length', '0']).end();
    return;
  }
  // The usual fields of an API's reply, because copying them is part of a proxy's cost.
  res.writeHead(200, [
    'Content-Type',
    'application/json; charset=utf-8',
    'Content-Length',
    String(body.length),
    'Cache-Control',
    'no-store',
    'X-Request-Id',
    '0f8fad5b-d9cb-469f-a165-70867728950e',
    'X-RateLimit-Limit',
    '5000',
    'X-RateLimit-Remaining',
    '4999',
    'X-Received-Bytes',
    String(receivedBytes),
  ]);
  res.end(body);
}

const server = createServer((req, res) => {
  if (req.method === 'GET') return answer(req, res, 0);
  let receivedBytes = 0;
  req.on('data', (chunk: Buffer) => (receivedBytes += chunk.length));
  req.on('end', () => answer(req, res, receivedBytes));
});
server.on('connection', (socket) => {
  connections++;
  open++;
  socket.on('close', () => open--);
});
server.keepAliveTimeout = 0;
server.listen(port, '127.0.0.1');
