import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MessageReader, rawHeader, replyFraming, requestFraming, statusIn } from '../support/raw-http.ts';

const WIRE = Buffer.from(
  'POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello' +
    'GET /b HTTP/1.1\r\nhost: x\r\n\r\n' +
    'PUT /c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\n!\r\n0\r\n\r\n' +
    'PUT /d HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\nx-sum: 1\r\n\r\n' +
    'GET /e HTTP/1.1\r\n\r\n',
);

test('a stream is cut into the same messages however it is chopped', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(WIRE.length), { maxLength: 40, size: 'max' }), (cuts) => {
      const reader = new MessageReader(requestFraming);
      const found: string[] = [];
      let at = 0;
      for (const cut of [...cuts.sort((a, b) => a - b), WIRE.length]) {
        reader.push(WIRE.subarray(at, cut));
        at = cut;
        for (let m = reader.take(); m !== undefined; m = reader.take())
          found.push(`${m.startLine.split(' ')[1]} ${String(m.body)}`);
      }
      expect(found).toEqual(['/a hello', '/b ', '/c abc!', '/d ab', '/e ']);
      expect(reader.pending).toHaveLength(0);
    }),
    { seed: 7 },
  );
});

test('heads keep the case and order of their fields', () => {
  const reader = new MessageReader(requestFraming);
  reader.push(WIRE);
  const message = reader.take();
  expect(message?.rawHeaders).toEqual(['Host', 'x', 'Content-Length', '5']);
  expect(message && rawHeader(message, 'content-length')).toBe('5');
});

test.each([
  ['GET', 'HTTP/1.1 200 OK\r\n\r\n', { kind: 'until_close' }],
  ['GET', 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n', { kind: 'length', bytes: 3 }],
  ['HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n', { kind: 'length', bytes: 0 }],
  ['GET', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\n\r\n', { kind: 'length', bytes: 0 }],
  ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', { kind: 'length', bytes: 0 }],
  ['GET', 'HTTP/1.1 103 Early Hints\r\n\r\n', { kind: 'length', bytes: 0 }],
  ['GET', 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n', { kind: 'chunked' }],
])('the reply to %s beginning %j is framed by %j', (method, head, framing) => {
  const reader = new MessageReader((parsed) => {
    expect(replyFraming(parsed, method)).toEqual(framing);
    return { kind: 'until_close' };
  });
  reader.push(Buffer.from(head));
  expect(reader.head && statusIn(reader.head)).toBe(Number(head.slice(9, 12)));
});

test('a reply framed by the close is complete only then', () => {
  const reader = new MessageReader((head) => replyFraming(head, 'GET'));
  reader.push(Buffer.from('HTTP/1.0 200 OK\r\n\r\nall of it'));
  expect(reader.take()).toBeUndefined();
  expect(reader.take(true)?.body.toString()).toBe('all of it');
});
