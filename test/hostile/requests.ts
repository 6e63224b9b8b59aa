/** Requests of a hostile client, byte for byte (latin1), and the expected result. */
export interface HostileRequest {
  readonly name: string;
  readonly bytes: string;
  readonly result: ExpectedResult;
}

export type ExpectedResult =
  /** Answered by the proxy with problem+json and a closed connection. The upstream gets no request. */
  | { readonly kind: 'refused'; readonly status: number }
  /** The same, but the connection stays open: the message is valid, but not supported. */
  | { readonly kind: 'declined'; readonly status: number }
  /** Detected in the body: like `refused`, but the upstream may have received an incomplete request. */
  | { readonly kind: 'broken'; readonly status: number }
  /** Valid: reaches the upstream as these requests (`METHOD target [body]`), framed by the proxy. */
  | { readonly kind: 'passed'; readonly as: readonly string[] };

const refused = (status: number): ExpectedResult => ({ kind: 'refused', status });
const declined = (status: number): ExpectedResult => ({ kind: 'declined', status });
const broken = (status: number): ExpectedResult => ({ kind: 'broken', status });
const passed = (...as: readonly string[]): ExpectedResult => ({ kind: 'passed', as });

/** A request with these fields after its Host, and what follows its head. */
const post = (fields: string, body = '') => `POST /api/x HTTP/1.1\r\nHost: app\r\n${fields}\r\n${body}`;
const get = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\nHost: app\r\n${fields}\r\n`;
const hosted = (hosts: string) => `GET /api/x HTTP/1.1\r\n${hosts}\r\n`;
const chunked = (body: string) => post('Transfer-Encoding: chunked\r\n', body);

function all(result: ExpectedResult, cases: Readonly<Record<string, string>>): HostileRequest[] {
  return Object.entries(cases).map(([name, bytes]) => ({ name, bytes, result }));
}

/** RFC 9112 §6.3: a message with an ambiguous length. */
const LENGTHS = all(refused(400), {
  'length, then chunks': post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
  'chunks, then length': post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', '0\r\n\r\n'),
  'two lengths': post('Content-Length: 1\r\nContent-Length: 2\r\n', 'xx'),
  'the same length twice': post('Content-Length: 2\r\nContent-Length: 2\r\n', 'xx'),
  'a list of lengths': post('Content-Length: 2, 2\r\n', 'xx'),
  'a list of different lengths': post('Content-Length: 1, 2\r\n', 'xx'),
  'a positive sign': post('Content-Length: +2\r\n', 'xx'),
  'a negative length': post('Content-Length: -2\r\n', 'xx'),
  'a space within': post('Content-Length: 1 0\r\n', 'x'),
  hexadecimal: post('Content-Length: 0x2\r\n', 'xx'),
  'a fraction': post('Content-Length: 2.0\r\n', 'xx'),
  'an exponent': post('Content-Length: 1e1\r\n', 'x'),
  'an empty length': post('Content-Length: \r\n'),
  'letters behind it': post('Content-Length: 2a\r\n', 'xx'),
  'beyond 64 bits': post('Content-Length: 18446744073709551618\r\n', 'xx'),
  'beyond what a double counts': post('Content-Length: 9007199254740993\r\n', 'xx'),
});

/** RFC 9112 §6.1. */
const CODINGS = all(refused(400), {
  'chunked is not last': post('Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n'),
  identity: post('Transfer-Encoding: identity\r\n', '0\r\n\r\n'),
  'a coding that we do not know': post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'),
  'chunked twice': post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n'),
  'chunked on two lines': post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
  'chunked, then identity on a line of its own': post(
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
    '0\r\n\r\n',
  ),
  'identity, then chunked on a line of its own': post(
    'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n',
    '0\r\n\r\n',
  ),
  'a letter before': post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'),
  'a letter behind': post('Transfer-Encoding: chunkedx\r\n', '0\r\n\r\n'),
  'obs-text behind': post('Transfer-Encoding: chunked\xff\r\n', '0\r\n\r\n'),
  'a vertical tab before': post('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n'),
  'a parameter': post('Transfer-Encoding: chunked;q=1\r\n', '0\r\n\r\n'),
  quoted: post('Transfer-Encoding: "chunked"\r\n', '0\r\n\r\n'),
  empty: post('Transfer-Encoding:\r\n', '0\r\n\r\n'),
  'in HTTP/1.0': 'POST /api/x HTTP/1.0\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
});

/** RFC 9112 §2.2 and §5, RFC 9110 §5.5. */
const FIELDS = all(refused(400), {
  'a folded field': get('/api/x', 'X-One: 1\r\n two\r\n'),
  'a fold by a tab': get('/api/x', 'X-One: 1\r\n\ttwo\r\n'),
  'a fold right behind the request line': 'GET /api/x HTTP/1.1\r\n Host: app\r\n\r\n',
  'a space before the colon': get('/api/x', 'X-One : 1\r\n'),
  'a tab before the colon': get('/api/x', 'X-One\t: 1\r\n'),
  'a coding with a space before the colon': post('Transfer-Encoding : chunked\r\n', '0\r\n\r\n'),
  'a space within the name': get('/api/x', 'X One: 1\r\n'),
  'no name': get('/api/x', ': 1\r\n'),
  'no colon': get('/api/x', 'X-One\r\n'),
  'a name with a bracket': get('/api/x', 'X(One): 1\r\n'),
  'a name with obs-text': get('/api/x', 'X-\xe9: 1\r\n'),
  'a name with NUL': get('/api/x', 'X-\0One: 1\r\n'),
  'a value with NUL': get('/api/x', 'X-One: a\0b\r\n'),
  'a value with a bare CR': get('/api/x', 'X-One: a\rX-Two: b\r\n'),
  'a value with a bare CR before its end': get('/api/x', 'X-One: a\r\r\n'),
  'a value with DEL': get('/api/x', 'X-One: a\x7fb\r\n'),
  'a value with a control character': get('/api/x', 'X-One: a\x01b\r\n'),
  'a line that ends with LF alone': get('/api/x', 'X-One: a\nX-Two: b\r\n'),
  'LF alone everywhere': 'GET /api/x HTTP/1.1\nHost: app\n\n',
  'LF alone behind the request line': 'GET /api/x HTTP/1.1\nHost: app\r\n\r\n',
  'LF alone at the end of the head': 'GET /api/x HTTP/1.1\r\nHost: app\r\n\n',
  'CR alone at the end of the head': 'GET /api/x HTTP/1.1\r\nHost: app\r\n\rx',
});

/** RFC 9112 §3.2. */
const HOSTS = [
  ...all(refused(400), {
    missing: hosted(''),
    twice: hosted('Host: a\r\nHost: b\r\n'),
    'twice the same': hosted('Host: a\r\nHost: a\r\n'),
    'with a space': hosted('Host: a b\r\n'),
    'with a path': hosted('Host: a/b\r\n'),
    'with a user': hosted('Host: user@a\r\n'),
    'a list': hosted('Host: a, b\r\n'),
    'with a port that is none': hosted('Host: a:b\r\n'),
    'with two ports': hosted('Host: a:1:2\r\n'),
    'with a query': hosted('Host: a?b\r\n'),
    'with obs-text': hosted('Host: \xff\r\n'),
    'with an open bracket': hosted('Host: [::1\r\n'),
    'with markup': hosted('Host: <x>\r\n'),
  }),
  ...all(passed('GET /x'), {
    'an IPv6 literal': hosted('Host: [::1]:80\r\n'),
    'an underscore, as container names have': hosted('Host: my_app:8080\r\n'),
    'none in HTTP/1.0': 'GET /api/x HTTP/1.0\r\n\r\n',
  }),
];

const REQUEST_LINES = [
  ...all(refused(400), {
    'HTTP/0.9': 'GET /api/x\r\n\r\n',
    'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'HTTP/2.0': 'GET /api/x HTTP/2.0\r\nHost: app\r\n\r\n',
    'HTTP/1.2': 'GET /api/x HTTP/1.2\r\nHost: app\r\n\r\n',
    'HTTP/9.9': 'GET /api/x HTTP/9.9\r\nHost: app\r\n\r\n',
    'a version with a letter behind': 'GET /api/x HTTP/1.1x\r\nHost: app\r\n\r\n',
    'a version of two digits': 'GET /api/x HTTP/1.10\r\nHost: app\r\n\r\n',
    'a version in lower case': 'GET /api/x http/1.1\r\nHost: app\r\n\r\n',
    'a method in lower case': 'get /api/x HTTP/1.1\r\nHost: app\r\n\r\n',
    'an unknown method': 'FROB /api/x HTTP/1.1\r\nHost: app\r\n\r\n',
    'a method with a control character': 'GE\x01T /api/x HTTP/1.1\r\nHost: app\r\n\r\n',
    'a space before the method': ' GET /api/x HTTP/1.1\r\nHost: app\r\n\r\n',
    'a tab for a space': 'GET\t/api/x\tHTTP/1.1\r\nHost: app\r\n\r\n',
    'no target': 'GET HTTP/1.1\r\nHost: app\r\n\r\n',
    'a target without a slash': 'GET api/x HTTP/1.1\r\nHost: app\r\n\r\n',
    'a space in the target': get('/api/x y'),
    'a tab in the target': get('/api/x\ty'),
    'NUL in the target': get('/api/x\0y'),
    'a bare CR in the target': get('/api/x\ry'),
    'DEL in the target': get('/api/x\x7fy'),
    'obs-text in the target': get('/api/x\xffy'),
    'a fragment': get('/api/x#y'),
    'TLS on a plain port': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
    'a SOCKS greeting': '\x05\x01\x00\r\n\r\n',
    'bytes without sense': '\xff\xfe\xfd\x00\x01\x02\r\n\r\n',
    'a reply': 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  }),
  ...all(declined(400), {
    'the absolute form of a file': get('file:///etc/passwd'),
    'the absolute form with user information': get('http://app@example.com/api/x'),
    'the absolute form without a host': get('http:///api/x'),
    'an asterisk that is no OPTIONS': get('*'),
  }),
  ...all(refused(405), {
    CONNECT: 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n',
    'CONNECT to ourselves': 'CONNECT app:80 HTTP/1.1\r\nHost: app\r\n\r\n',
  }),
  ...all(passed('GET /x'), {
    'the absolute form': get('http://example.com/api/x'),
    'the absolute form of our own address': get('http://app/api/x'),
    'empty lines before it': `\r\n\r\n${get('/api/x')}`,
    'two spaces before the version': 'GET /api/x  HTTP/1.1\r\nHost: app\r\n\r\n',
    // This deceives no peer: it is HTTP for the proxy and for the upstream.
    'another protocol of the same form': 'GET /api/x RTSP/1.0\r\nHost: app\r\n\r\n',
  }),
];

/** Bounded heads: 16 KiB with the request line, and a maximum number of fields. */
const SIZES = [
  ...all(refused(431), {
    'a large field': get('/api/x', `X-Large: ${'a'.repeat(20_000)}\r\n`),
    'many fields': get('/api/x', 'X-Many: y\r\n'.repeat(4_000)),
    'a bomb of tiny fields': get('/api/x', 'a:\r\n'.repeat(3_000)),
    'a length behind a bomb of tiny fields': post(`${'a:\r\n'.repeat(2_500)}Content-Length: 2\r\n`, 'xx'),
    'a large target': get(`/api/${'a'.repeat(20_000)}`),
    'a large field name': get('/api/x', `${'a'.repeat(20_000)}: 1\r\n`),
  }),
  ...all(passed('POST /x xx'), {
    'a length behind many tiny fields': post(`${'a:\r\n'.repeat(990)}Content-Length: 2\r\n`, 'xx'),
  }),
];

/** RFC 9112 §7.1. */
const CHUNKS = [
  ...all(broken(400), {
    'a size beyond 64 bits': chunked('fffffffffffffffff\r\nx'),
    'a negative size': chunked('-1\r\nx'),
    'a size with a prefix': chunked('0x4\r\nabcd\r\n0\r\n\r\n'),
    'a size with a sign': chunked('+4\r\nabcd\r\n0\r\n\r\n'),
    'a space before the size': chunked(' 4\r\nabcd\r\n0\r\n\r\n'),
    'a space behind the size': chunked('4 \r\nabcd\r\n0\r\n\r\n'),
    'no size': chunked('\r\nabcd\r\n0\r\n\r\n'),
    'an underscore in the size': chunked('1_0\r\nabcd\r\n0\r\n\r\n'),
    'LF alone behind the size': chunked('4\nabcd\r\n0\r\n\r\n'),
    'LF alone behind the data': chunked('4\r\nabcd\n0\r\n\r\n'),
    'more data than the size says': chunked('4\r\nabcdefgh\r\n0\r\n\r\n'),
    'a bare CR behind the size': chunked('4\rabcd\r\n0\r\n\r\n'),
    'LF within an extension': chunked('4;a\nbcd\r\n0\r\n\r\n'),
    'a control character within an extension': chunked('4;a\x01\r\nabcd\r\n0\r\n\r\n'),
    'a folded trailer': chunked('0\r\nX-Sum: 1\r\n 2\r\n\r\n'),
    'a trailer without a colon': chunked('0\r\nX-Sum\r\n\r\n'),
    'a trailer that frames': chunked('4\r\nabcd\r\n0\r\nContent-Length: 99\r\n\r\n'),
    'a trailer that ends with LF alone': chunked('0\r\nX-Sum: 1\n\r\n'),
  }),
  ...all(broken(400), {
    'an endless extension': chunked(`4;${'a'.repeat(20_000)}\r\nabcd\r\n0\r\n\r\n`),
  }),
  ...all(broken(400), {
    'endless trailers': chunked(`0\r\n${'X-Many: y\r\n'.repeat(4_000)}\r\n`),
  }),
  ...all(passed('POST /x abcd'), {
    'an extension': chunked('4;a=b;c="d"\r\nabcd\r\n0\r\n\r\n'),
    'leading zeros': chunked('0000004\r\nabcd\r\n0\r\n\r\n'),
    trailers: chunked('4\r\nabcd\r\n0\r\nX-Sum: 1\r\n\r\n'),
    'chunked in another case': post('transfer-ENCODING: ChunKed\r\n', '4\r\nabcd\r\n0\r\n\r\n'),
  }),
];

/** Paths that leave a mount, in every spelling. */
const PATHS = [
  ...all(declined(400), {
    plain: get('/api/../admin'),
    'from deeper': get('/api/a/../../admin'),
    'encoded dots': get('/api/%2e%2E/admin'),
    'half-encoded dots': get('/api/.%2e/admin'),
    'an encoded slash': get('/api/..%2fadmin'),
    'an encoded backslash': get('/api/..%5cadmin'),
    'a backslash': get('/api/..\\admin'),
    'a backslash behind the mount': get('/api/\\../admin'),
    'a parameter': get('/api/..;a=b/admin'),
    'merged slashes': get('/api//../../admin'),
    'at the end': get('/api/..'),
    'encoded twice': get('/api/%252e%252e/admin'),
    'the slash encoded twice': get('/api/..%252fadmin'),
    'encoded three times': get('/api/%25252e%25252e%25252fadmin'),
    'in the name of the mount': get('/%61pi/%2e%2e/admin'),
  }),
  ...all(declined(404), {
    'another root': get('//api/x'),
    'the authority of somebody else': get('//example.com/api/x'),
    'a mount by a longer name': get('/apis/x'),
    'a mount left before it is entered': get('/other/../api/x'),
  }),
  ...all(passed('GET /a%2Fb//c+d/?'), { 'odd, but within the mount': get('/api/a%2Fb//c+d/?') }),
  ...all(passed('GET /x?to=/../..%2f'), { 'dots in the query': get('/api/x?to=/../..%2f') }),
];

/** Fields listed in `Connection` are not forwarded, except for framing fields and fields of the proxy. */
const CONNECTION = [
  ...all(passed('POST /x xx'), {
    'Connection lists the framing': post(
      'Connection: host, content-length, authorization\r\nContent-Length: 2\r\n',
      'xx',
    ),
    'Connection lists the chunks': post(
      'Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n',
      '2\r\nxx\r\n0\r\n\r\n',
    ),
    'Connection lists what we add': post('Connection: via, x-ours\r\nContent-Length: 2\r\n', 'xx'),
    'Connection lists nonsense': post('Connection: ,, ;, "x\r\nContent-Length: 2\r\n', 'xx'),
  }),
  ...all(passed('GET /x'), {
    'an upgrade to h2c': get(
      '/api/x',
      'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n',
    ),
    'an upgrade that Connection does not name': get('/api/x', 'Upgrade: h2c\r\n'),
  }),
  ...all(passed('POST /x xx'), {
    'an upgrade with a body': post(
      'Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n',
      'xx',
    ),
  }),
  ...all(refused(417), {
    'an unknown expectation': get('/api/x', 'Expect: the-spanish-inquisition\r\n'),
    'an expectation with a body that stops': post('Expect: nothing\r\nContent-Length: 999\r\n', 'part'),
  }),
];

/** Several on one connection: each is framed separately, and answered in order. */
const PIPELINES = all(passed('POST /x abcd', 'GET /y', 'POST /x xx', 'GET /z'), {
  'one behind the other':
    chunked('4\r\nabcd\r\n0\r\n\r\n') + get('/api/y') + post('Content-Length: 2\r\n', 'xx') + get('/api/z'),
});

export const HOSTILE_REQUESTS: Readonly<Record<string, readonly HostileRequest[]>> = {
  'the length of a body': LENGTHS,
  'transfer codings': CODINGS,
  fields: FIELDS,
  Host: HOSTS,
  'request lines': REQUEST_LINES,
  sizes: SIZES,
  chunks: CHUNKS,
  paths: PATHS,
  Connection: CONNECTION,
  pipelines: PIPELINES,
};
