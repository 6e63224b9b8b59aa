import { request } from 'node:http';

/** A GET whose reply is not decoded and whose fields are not merged: names and values in turn. */
export function sendRaw(
  port: number,
  path: string,
  fields: readonly string[] = [],
): Promise<{ status: number; rawHeaders: readonly string[]; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const req = request(
      { host: '127.0.0.1', port, path, agent: false, headers: ['host', 'localhost', ...fields] },
      (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('end', () =>
          resolve({ status: res.statusCode ?? 0, rawHeaders: res.rawHeaders, body: Buffer.concat(chunks) }),
        );
      },
    );
    req.on('error', reject);
    req.end();
  });
}
