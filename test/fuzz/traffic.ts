import type { Random } from '../../src/runtime/random.ts';

const pick = <T>(list: readonly T[], random: Random): T => list[Math.floor(random() * list.length)] as T;

/** A valid request with `token` in all possible places. */
export function validRequest(token: string, random: Random): string {
  const target = `/api/${token}${pick(['', '/a%2Fb//c', '?q=1&r=%20', '/./x'], random)}`;
  const fields = `Host: app\r\nX-Id: ${token}\r\n${pick(['', 'Accept: */*\r\n', 'Connection: keep-alive\r\n', 'TE: trailers\r\n'], random)}`;
  const body = `${token} ${pick(['', 'GET /api/smuggled HTTP/1.1\r\nHost: app\r\n\r\n', '0\r\n\r\n', 'x'.repeat(2_000)], random)}`;
  switch (pick(['get', 'delete', 'length', 'chunks', 'pieces'] as const, random)) {
    case 'get':
      return `GET ${target} HTTP/1.1\r\n${fields}\r\n`;
    case 'delete':
      return `DELETE ${target} HTTP/1.1\r\n${fields}Content-Length: 0\r\n\r\n`;
    case 'length':
      return `POST ${target} HTTP/1.1\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
    case 'chunks':
      return `PUT ${target} HTTP/1.1\r\n${fields}Transfer-Encoding: chunked\r\n\r\n${chunks([body])}`;
    case 'pieces':
      return `POST ${target} HTTP/1.1\r\n${fields}Transfer-Encoding: chunked\r\n\r\n${chunks([body.slice(0, 9), body.slice(9)], 'X-Sum: 1\r\n')}`;
  }
}

/** A valid reply with `token`. */
export function validReply(token: string, random: Random): string {
  const body = `${token} ${pick(['', 'HTTP/1.1 200 OK\r\n\r\n', '0\r\n\r\n', 'y'.repeat(2_000)], random)}`;
  const head = `HTTP/1.1 ${pick(['200 OK', '404 Not Found', '503 Busy', '200 '], random)}\r\nX-Id: ${token}\r\n`;
  const early = pick(['', '', '', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'], random);
  const fields = pick(
    ['', 'Set-Cookie: a=b\r\n', 'Connection: close\r\n', 'Keep-Alive: timeout=5\r\n'],
    random,
  );
  switch (pick(['length', 'chunks', 'pieces'] as const, random)) {
    case 'length':
      return `${early}${head}${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
    case 'chunks':
      return `${early}${head}${fields}Transfer-Encoding: chunked\r\n\r\n${chunks([body])}`;
    case 'pieces':
      return `${early}${head}${fields}Transfer-Encoding: chunked\r\n\r\n${chunks([body.slice(0, 9), body.slice(9)], 'X-Sum: 1\r\n')}`;
  }
}

function chunks(pieces: readonly string[], trailers = ''): string {
  const framed = pieces
    .filter((piece) => piece !== '')
    .map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`);
  return `${framed.join('')}0\r\n${trailers}\r\n`;
}
