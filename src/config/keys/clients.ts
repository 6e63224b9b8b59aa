import * as z from 'zod';
import { section } from '../fields/field.ts';
import { choice, duration, flag, integer, percentageOrOff, size, text, texts } from '../fields/fields.ts';
import { checkHeaderValue, checkHostName, NAME_PATTERN, NAME_PROBLEM } from '../fields/words.ts';
import { MS } from './timeouts.ts';

/** Checks the name of a client. It becomes a metric label. */
const checkClientName = (name: string): string | undefined =>
  NAME_PATTERN.test(name) ? undefined : `"${name}" ${NAME_PROBLEM}`;

/** Checks a token. Messages do not quote it. */
const checkClientToken = (token: string): string | undefined =>
  token === '' || /\s/.test(token)
    ? 'is empty or contains a space; write a token, made for example by: openssl rand -hex 16'
    : checkHeaderValue(token);

const client = section(
  'A client, and the token by which it is known.',
  {
    name: text(undefined, 'Name in logs and metrics. Required.', checkClientName),
    token: texts(
      'The secret that the client sends as breakwater-token, of at least 16 characters. A list while a token is replaced: [new, old]. Required.',
      checkClientToken,
    ),
    priority: choice(
      ['high', 'normal', 'low'],
      undefined,
      'Which calls are served first in the queues of quota and concurrency. A tenth is reserved for lower ones. Default: normal.',
    ),
    quota: percentageOrOff(
      'off',
      'The share of the quota of each upstream that it may use at most, also while others are idle: of each window, and of each learned limit. Default: all of it.',
    ),
    allow: texts('Names of the upstreams that it may use; others get 403. Default: all.'),
  },
  'client',
);

export const clients = section('The apps that connect: who they are, and their limits.', {
  tokens: z
    .array(client)
    .register(z.globalRegistry, {
      description:
        'The clients. With one or more, a request needs the token of one of them, in the header breakwater-token or Proxy-Authorization. Other requests get 401 or 407. The upstream never gets the token. Default: everyone who reaches the port is served.',
    })
    .optional(),
  head_timeout: duration('60s', 'A request whose head takes longer gets 408.', {
    ...MS,
    max: 3_600_000,
  }),
  body_timeout: duration(
    '60s',
    'A request whose body pauses for longer gets 408. Pauses because the proxy does not read do not count.',
    MS,
  ),
  send_timeout: duration(
    '60s',
    'A client that reads nothing of a waiting response for longer is disconnected, and the attempt ends.',
    MS,
  ),
  min_rate: size(
    '240B',
    'Lowest bytes per second of an upload, or of a response that the client reads, while the proxy waits for the client. Averaged over body_timeout and send_timeout. Too slow twice in a row: 408, or disconnected. gRPC uploads and silent upstreams do not count. 0B: no minimum.',
    2 ** 30,
  ),
  http2: flag(
    false,
    'true: apps may also use HTTP/2 on the same port: by ALPN with tls, by prior knowledge (h2c) without. gRPC needs it. A change needs a restart.',
  ),
  max_connections: integer(
    10_000,
    'How many connections may be open. Further ones are closed at once.',
    1,
    1_000_000,
  ),
  browsers: choice(
    ['refuse', 'allow'],
    'refuse',
    'Whether web pages (a foreign Sec-Fetch-Site or Origin) may use routes that add a credential. refuse: they get 403.',
  ),
  allowed_hosts: texts(
    'More names that Host may have on routes that add a credential. *.example.com is all names below. Always allowed: IP addresses, names without a dot, *.localhost, *.internal, hosts of mounts, and the host of the upstream. Other names get 403. Default: no more names; any name if listen is not a loopback address.',
    checkHostName,
  ),
});

export type ClientsInput = z.output<typeof clients>;
