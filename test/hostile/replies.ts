/** Answers of a hostile or broken upstream to a GET, byte for byte (latin1), and the reply for the client. */
export interface HostileReply {
  readonly name: string;
  readonly bytes: string;
  readonly result: ExpectedReplyResult;
  readonly method?: 'HEAD';
  /** The upstream closes its side after the bytes. */
  readonly fin?: boolean;
}

export type ExpectedReplyResult =
  /** A 502 of the proxy with this error of RFC 9209. The connection to the upstream is not reused. */
  | { readonly kind: 'failed'; readonly error: string }
  /** The head was sent. The client's connection is broken, so that the body never looks complete. */
  | { readonly kind: 'cut'; readonly status: number }
  /** The client gets exactly this reply. `reused`: the connection is reused. */
  | { readonly kind: 'passed'; readonly status: number; readonly body: string; readonly reused: boolean };

const PROTOCOL: ExpectedReplyResult = { kind: 'failed', error: 'http_protocol_error' };
const CUT: ExpectedReplyResult = { kind: 'cut', status: 200 };
const passed = (body: string, status = 200): ExpectedReplyResult => ({
  kind: 'passed',
  status,
  body,
  reused: true,
});
/** The reply is valid. The bytes after it belong to no request, so the connection is not reused. */
const tainted = (body: string, status = 200): ExpectedReplyResult => ({
  kind: 'passed',
  status,
  body,
  reused: false,
});

const reply = (fields: string, body = '', line = 'HTTP/1.1 200 OK') => `${line}\r\n${fields}\r\n${body}`;
const chunked = (body: string) => reply('Transfer-Encoding: chunked\r\n', body);
const OK = reply('Content-Length: 2\r\n', 'ok');
const STRAY = reply('Content-Length: 5\r\nX-Stray: 1\r\n', 'stray');

function all(result: ExpectedReplyResult, cases: Readonly<Record<string, string>>): HostileReply[] {
  return Object.entries(cases).map(([name, bytes]) => ({ name, bytes, result }));
}

const STATUS_LINES = [
  ...all(PROTOCOL, {
    'HTTP/0.9': '<html>hello</html>\r\n\r\n',
    'bytes without sense': '\x00\x01\x02\xff\xfe\r\n\r\n',
    'TLS on a plain port': '\x15\x03\x01\x00\x02\x02\x46\r\n\r\n',
    'a request': 'GET / HTTP/1.1\r\nHost: you\r\n\r\n',
    'a greeting of SMTP': '220 mail.example ESMTP\r\n',
    'a greeting of SSH': 'SSH-2.0-OpenSSH_9.9\r\n',
    'HTTP/9.9': reply('Content-Length: 2\r\n', 'ok', 'HTTP/9.9 200 OK'),
    'a version without a dot': reply('Content-Length: 2\r\n', 'ok', 'HTTP/1 200 OK'),
    'another protocol': reply('Content-Length: 2\r\n', 'ok', 'ICY 200 OK'),
    'a status of two digits': reply('Content-Length: 2\r\n', 'ok', 'HTTP/1.1 20 OK'),
    'a status of four digits': reply('Content-Length: 2\r\n', 'ok', 'HTTP/1.1 2000 OK'),
    'a status of letters': reply('Content-Length: 2\r\n', 'ok', 'HTTP/1.1 abc OK'),
    'a negative status': reply('Content-Length: 2\r\n', 'ok', 'HTTP/1.1 -20 OK'),
    'status 0': reply('Content-Length: 2\r\n', 'ok', 'HTTP/1.1 000 OK'),
    'status 99': reply('Content-Length: 2\r\n', 'ok', 'HTTP/1.1 099 OK'),
    'no status': reply('Content-Length: 2\r\n', 'ok', 'HTTP/1.1'),
    'a bare CR in the reason': reply('Content-Length: 2\r\n', 'ok', 'HTTP/1.1 200 O\rK'),
    'an empty line before it, and no more': '\r\n\r\n\r\n\0',
  }),
  ...all(passed('ok'), {
    'no reason': reply('Content-Length: 2\r\n', 'ok', 'HTTP/1.1 200 '),
    'no reason and no space': reply('Content-Length: 2\r\n', 'ok', 'HTTP/1.1 200'),
    'a reason in another encoding': reply('Content-Length: 2\r\n', 'ok', 'HTTP/1.1 200 \xd0\x9e\xd0\x9a'),
  }),
  ...all(passed('ok', 999), {
    'an unknown status': reply('Content-Length: 2\r\n', 'ok', 'HTTP/1.1 999 No'),
  }),
];

const FIELDS = all(PROTOCOL, {
  'a bare CR in a value': reply('X-One: a\rSet-Cookie: b\r\nContent-Length: 2\r\n', 'ok'),
  'LF alone behind a value': reply('X-One: a\nSet-Cookie: b\r\nContent-Length: 2\r\n', 'ok'),
  'LF alone everywhere': 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok',
  'NUL in a value': reply('X-One: a\0b\r\nContent-Length: 2\r\n', 'ok'),
  'a control character in a value': reply('X-One: a\x01b\r\nContent-Length: 2\r\n', 'ok'),
  'a space before the colon': reply('X-One : a\r\nContent-Length: 2\r\n', 'ok'),
  'a length with a space before the colon': reply('Content-Length : 2\r\n', 'ok'),
  'no colon': reply('X-One\r\nContent-Length: 2\r\n', 'ok'),
  'no name': reply(': a\r\nContent-Length: 2\r\n', 'ok'),
  'a name with a space': reply('X One: a\r\nContent-Length: 2\r\n', 'ok'),
  'a name with obs-text': reply('X-\xe9: a\r\nContent-Length: 2\r\n', 'ok'),
  'a folded field': reply('X-One: a\r\n b\r\nContent-Length: 2\r\n', 'ok'),
  'a large field': reply(`X-Large: ${'a'.repeat(64 * 1024)}\r\nContent-Length: 2\r\n`, 'ok'),
  'many fields': reply(`${'X-Many: y\r\n'.repeat(8_000)}Content-Length: 2\r\n`, 'ok'),
});

const LENGTHS = [
  ...all(PROTOCOL, {
    'two lengths': reply('Content-Length: 2\r\nContent-Length: 5\r\n', 'ok'),
    'the same length twice': reply('Content-Length: 2\r\nContent-Length: 2\r\n', 'ok'),
    'a list of lengths': reply('Content-Length: 2, 2\r\n', 'ok'),
    'a negative length': reply('Content-Length: -2\r\n', 'ok'),
    'a positive sign': reply('Content-Length: +2\r\n', 'ok'),
    hexadecimal: reply('Content-Length: 0x2\r\n', 'ok'),
    'beyond 64 bits': reply('Content-Length: 18446744073709551618\r\n', 'ok'),
    'beyond what a double counts': reply('Content-Length: 9223372036854775808\r\n', 'ok'),
    'an empty length': reply('Content-Length:\r\n', 'ok'),
    'length and chunks': reply('Content-Length: 2\r\nTransfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\n\r\n'),
    'chunks and length': reply('Transfer-Encoding: chunked\r\nContent-Length: 2\r\n', '2\r\nok\r\n0\r\n\r\n'),
    'chunked is not last': reply('Transfer-Encoding: chunked, identity\r\n', 'ok'),
    'chunked twice': reply('Transfer-Encoding: chunked, chunked\r\n', '2\r\nok\r\n0\r\n\r\n'),
    'a coding that we do not know': reply('Transfer-Encoding: gzip, chunked\r\n', '2\r\nok\r\n0\r\n\r\n'),
    // Parsers disagree about it.
    'whitespace behind the coding': reply('Transfer-Encoding: chunked \t\r\n', '2\r\nok\r\n0\r\n\r\n'),
    'a coding that is none': reply('Transfer-Encoding: xchunked\r\n', 'ok'),
  }),
  {
    name: 'a length that never comes',
    bytes: reply('Content-Length: 9007199254740991\r\n', 'ok'),
    result: CUT,
    fin: true,
  },
  { name: 'no length at all', bytes: reply('', 'ok'), result: tainted('ok'), fin: true },
  ...all(tainted('ok'), {
    // This deceives no peer: the form is that of HTTP/1.1.
    'HTTP/2.0': reply('Content-Length: 2\r\n', 'ok', 'HTTP/2.0 200 OK'),
    'chunks in HTTP/1.0': reply('Transfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\n\r\n', 'HTTP/1.0 200 OK'),
  }),
  { name: 'HTTP/1.0', bytes: reply('', 'ok', 'HTTP/1.0 200 OK'), result: tainted('ok'), fin: true },
];

const CHUNKS = [
  ...all(CUT, {
    'a size beyond 64 bits': chunked('fffffffffffffffff\r\nx'),
    'a negative size': chunked('-1\r\nx'),
    'a size with a prefix': chunked('0x2\r\nok\r\n0\r\n\r\n'),
    'a space before the size': chunked(' 2\r\nok\r\n0\r\n\r\n'),
    'no size': chunked('\r\nok\r\n0\r\n\r\n'),
    'more data than the size says': chunked('2\r\nokay\r\n0\r\n\r\n'),
    'LF alone behind the data': chunked('2\r\nok\n0\r\n\r\n'),
    'endless trailers': chunked(`2\r\nok\r\n0\r\n${'X-Many: y\r\n'.repeat(8_000)}\r\n`),
  }),
  ...all(passed('ok'), {
    // Skipped byte by byte, without buffering.
    'an endless extension': chunked(`2;${'a'.repeat(128 * 1024)}\r\nok\r\n0\r\n\r\n`),
    'an extension': chunked('2;a=b\r\nok\r\n0\r\n\r\n'),
    trailers: chunked('2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n'),
  }),
];

/** Bytes after a complete reply must reach no client: neither this one nor the next on the same connection. */
const STRAYS = [
  ...all(tainted('ok'), {
    'two replies to one request': OK + STRAY,
    'two replies, the first in chunks': chunked('2\r\nok\r\n0\r\n\r\n') + STRAY,
    'twenty replies': OK + STRAY.repeat(20),
    'more body than the length says': reply('Content-Length: 2\r\n', 'okay'),
    'garbage behind the reply': `${OK}\x00\x01\x02`,
    'half a reply behind the reply': `${OK}HTTP/1.1 200 OK\r\nContent-Le`,
    'an interim reply behind the reply': `${OK}HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n`,
    'a reply behind one that closes': reply('Connection: close\r\nContent-Length: 2\r\n', 'ok') + STRAY,
  }),
  ...all(tainted('', 204), {
    'a 204 with a body': reply('', 'stray', 'HTTP/1.1 204 No Content'),
    'a 204 with a length and a body': reply('Content-Length: 5\r\n', 'stray', 'HTTP/1.1 204 No Content'),
    'a 204 with chunks': reply(
      'Transfer-Encoding: chunked\r\n',
      '5\r\nstray\r\n0\r\n\r\n',
      'HTTP/1.1 204 No Content',
    ),
  }),
  ...all(tainted('', 304), {
    'a 304 with a body': reply('Content-Length: 5\r\n', 'stray', 'HTTP/1.1 304 Not Modified'),
  }),
  { name: 'a HEAD with a body', method: 'HEAD' as const, bytes: STRAY, result: tainted('') },
  {
    name: 'a HEAD with chunks',
    method: 'HEAD' as const,
    bytes: reply('Transfer-Encoding: chunked\r\n', '5\r\nstray\r\n0\r\n\r\n'),
    result: tainted(''),
  },
];

const INTERIM = [
  ...all(passed('ok'), {
    'a thousand hints': 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n'.repeat(1_000) + OK,
    'a 102 first': `HTTP/1.1 102 Processing\r\n\r\n${OK}`,
    'an unknown interim status': `HTTP/1.1 199 Whatever\r\n\r\n${OK}`,
  }),
  ...all(PROTOCOL, {
    'a 101 that was not requested': `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n${STRAY}`,
    'the upstream answered 101 without naming a protocol': `HTTP/1.1 101 Switching Protocols\r\n\r\n${STRAY}`,
    'a 100 that was not requested': `HTTP/1.1 100 Continue\r\n\r\n${OK}`,
  }),
];

/** Fields about this connection, and fields of the proxy. */
const FORGED = all(passed('ok'), {
  'Connection lists the framing': reply(
    'Connection: content-length, x-one\r\nX-One: 1\r\nContent-Length: 2\r\n',
    'ok',
  ),
  'in our name': reply(
    'breakwater-origin: proxy\r\nbreakwater-request-id: 1\r\nBreakwater-Attempts: 99\r\nBREAKWATER-GAVE-UP: budget\r\nContent-Length: 2\r\n',
    'ok',
  ),
  'hop by hop': reply('Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nTE: x\r\nContent-Length: 2\r\n', 'ok'),
});

export const HOSTILE_REPLIES: Readonly<Record<string, readonly HostileReply[]>> = {
  'status lines': STATUS_LINES,
  fields: FIELDS,
  'the length of a body': LENGTHS,
  chunks: CHUNKS,
  'what follows the reply': STRAYS,
  'interim replies': INTERIM,
  'forged fields': FORGED,
};
