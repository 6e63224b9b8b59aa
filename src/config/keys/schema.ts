import * as z from 'zod';
import { section } from '../fields/field.ts';
import { address, choice, duration, flag, integer, size, text, texts } from '../fields/fields.ts';
import {
  checkAllowed,
  checkHeaderName,
  checkHeaderValue,
  checkHostName,
  checkMethod,
  checkName,
  checkPathPattern,
  checkServername,
  checkToken,
  NAME_PATTERN,
  WHAT_A_NAME_IS,
} from '../fields/words.ts';
import { durableProcess } from './durable-process.ts';
import { policies } from './policy-schema.ts';
import { schedules } from './schedules.ts';
import { MS, routeTimeouts } from './timeouts.ts';

/**
 * Every key of config.yaml: its type, its built-in value and what it means (those of the policies are in policies/).
 * Nothing else documents them: the JSON Schema and docs/keys.md are made from here.
 */

const connect = duration(
  '2s',
  'Time to connect: DNS, TCP and TLS. Per upstream, because its routes share connections.',
  MS,
);

export const sharedSections = {
  timeouts: section('How long things may take.', { connect, ...routeTimeouts }).optional(),
  ...policies,
  connection: section('Connections to the upstream.', {
    keep_alive: duration(
      '4s',
      'An idle connection is closed after this, before a usual upstream (5s) does; its Keep-Alive hint shortens it.',
      MS,
    ),
    max_age: duration(
      '5m',
      'A connection older than this takes no new attempt, so that DNS changes are followed.',
      MS,
    ),
    http2: choice(
      ['off', 'auto', 'require'],
      'off',
      'auto: HTTP/2 where an https upstream chooses it (ALPN), else HTTP/1.1. require: nothing else, and without TLS by prior knowledge (h2c).',
    ),
    proxy: text(
      'off',
      'An HTTP proxy on the way, reached by CONNECT: off, http://user:password@host:port, or env (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY).',
    ),
  }).optional(),
  tls: section('TLS to the upstream. It is always verified.', {
    ca: text(
      undefined,
      'Certificates to trust in place of the public ones (Mozilla and NODE_EXTRA_CA_CERTS): a PEM file, or PEM.',
    ),
    cert: text(
      undefined,
      'Our certificate for an upstream that asks for one: a PEM file with its chain, or PEM.',
    ),
    key: text(undefined, 'The key of cert: a PEM file without passphrase, or PEM.'),
    servername: text(
      undefined,
      "The name to ask for (SNI) and to verify; the URL's host when left out.",
      checkServername,
    ),
    min_version: choice(['TLSv1.2', 'TLSv1.3'], 'TLSv1.2', 'The oldest version that is spoken.'),
  }).optional(),
};

/** What may stand in `defaults` and in an upstream. */
export const sharedSchema = section(
  'Inherited by every upstream; what is not written has the built-in value.',
  sharedSections,
);

const headers = section(
  "Changes to the request's headers.",
  {
    set: z
      .record(z.string(), text(undefined, 'A header that replaces what the client sent.', checkHeaderValue))
      .register(z.globalRegistry, { description: 'Headers that replace what the client sent.' })
      .optional(),
    remove: texts('Headers that are not passed on.', checkHeaderName),
  },
  'headers',
);

export const routeSections = {
  name: text(undefined, 'Name in logs and metrics; without one it is made from method and path.', checkName),
  match: section('Which calls; the first route that matches wins.', {
    method: texts('A method or a list of them; any when left out.', checkMethod),
    path: text(
      undefined,
      'Path below the mount: /v1/charges/:id has a named segment, * is one segment, ** any rest.',
      checkPathPattern,
    ),
  }).optional(),
  headers: headers.optional(),
  timeouts: section('How long things may take.', routeTimeouts).optional(),
  ...policies,
};

const route = section(
  'Calls that are treated in their own way; what is not written is inherited from the upstream.',
  routeSections,
);

const upstream = section(
  'An API that is called through the proxy.',
  {
    url: text(undefined, 'Where the API is: http or https, a path is put in front of every call. Required.'),
    preset: text(
      undefined,
      'What is known about this API: the name of a built-in preset, or the path of a file of your own.',
    ),
    mount: section('Where apps reach it; /<name> when left out.', {
      path: text(undefined, 'Calls below this path; / takes all that no other mount takes.'),
      host: text(undefined, 'Calls with this Host.'),
    }).optional(),
    allow_private: flag(false, 'Loopback and private addresses are refused unless this is true.'),
    allow: texts(
      'The only calls that may be sent, such as "GET /v1/**" or "GET,POST /v1/charges"; ANY is any method, paths are as in match.path. Others get 403.',
      checkAllowed,
    ),
    headers: headers.optional(),
    ...sharedSections,
    routes: z
      .array(route)
      .register(z.globalRegistry, {
        description:
          'In order; the first that matches wins. Other calls get the settings of the upstream (route "default").',
      })
      .optional(),
  },
  'upstream',
);

const processKeys = {
  listen: address('127.0.0.1:8080', 'Where apps connect. Port 0 lets the system choose.'),
  tls: section('HTTPS where apps connect.', {
    cert: text(
      undefined,
      'A PEM file with certificate and chain, or PEM: apps connect by HTTPS. Read again on reload, and when it changes.',
    ),
    key: text(undefined, 'The key of cert: a PEM file without passphrase, or PEM.'),
    min_version: choice(['TLSv1.2', 'TLSv1.3'], 'TLSv1.2', 'The oldest version that is accepted.'),
  }).optional(),
  admin: address('127.0.0.1:8081', 'Where /metrics, /healthz, /readyz and the admin API are.'),
  admin_token: text(
    undefined,
    'Bearer token of the admin API; required when admin is reachable from outside, and then of 16 characters at least.',
    checkToken,
  ),
  log: section('What is logged.', {
    level: choice(['debug', 'info', 'warn', 'error'], 'info', 'The least severe level that is written.'),
    requests: choice(
      ['all', 'notable', 'none'],
      'notable',
      'Which calls get a line; notable: retried, rejected, failed or slow.',
    ),
    slow: duration('5s', 'A call that takes longer to its head is notable.'),
  }).optional(),
  clients: section('What is asked of the apps that connect.', {
    head_timeout: duration('60s', 'A request whose head takes longer is answered with 408.', {
      ...MS,
      max: 3_600_000,
    }),
    body_timeout: duration(
      '60s',
      'A request whose body pauses for longer, without being held back, is answered with 408.',
      MS,
    ),
    send_timeout: duration(
      '60s',
      'A client that takes nothing of a response for longer, although bytes wait for it, is cut off, and the upstream with it.',
      MS,
    ),
    min_rate: size(
      '240B',
      'Bytes a second that a client must send of an upload, or take of a response, while the proxy waits for it. Averaged over body_timeout and send_timeout; too slow twice in a row is 408 or a cut. Neither gRPC uploads nor silent upstreams count. 0B: no minimum.',
      2 ** 30,
    ),
    http2: flag(
      false,
      'Apps may speak HTTP/2 too, on the same port: chosen by ALPN with tls, by prior knowledge (h2c) without. gRPC needs it. Changes with a restart.',
    ),
    max_connections: integer(10_000, 'Connections beyond these are closed at once.', 1, 1_000_000),
    browsers: choice(
      ['refuse', 'allow'],
      'refuse',
      'Web pages (a foreign Sec-Fetch-Site or Origin) on routes that add a credential; refuse: they get 403.',
    ),
    allowed_hosts: texts(
      'More names that Host may have on routes that add a credential; *.example.com is all names below. Always allowed: IP addresses, names without a dot, *.localhost, *.internal, hosts of mounts, and the host of the upstream. Others get 403. Without this, any name is allowed where listen is not loopback.',
      checkHostName,
    ),
  }).optional(),
  durable: durableProcess.optional(),
  drain_delay: duration(
    '0s',
    'After SIGTERM, connections and calls are accepted for this long, while /readyz says 503. Then drain_timeout begins.',
  ),
  drain_timeout: duration('30s', 'After SIGTERM and drain_delay, running calls get this long.'),
  body_memory: size(
    '64MiB',
    'All bodies kept for another attempt, and replies on their way into memory, together take no more than this.',
    2 ** 40,
  ),
  response_headers: flag(true, 'Whether replies carry the breakwater-… headers.'),
};

/** What concerns the process as a whole. */
export const processSchema = section('The process.', processKeys);

/** The whole file. */
export const fileSchema = section(
  'Breakwater configuration: which APIs are called, and how their failures are treated.',
  {
    ...processKeys,
    defaults: sharedSchema.optional(),
    upstreams: z
      .record(z.string().regex(NAME_PATTERN, WHAT_A_NAME_IS), upstream)
      .register(z.globalRegistry, { description: 'The APIs, each under a name of its own.' })
      .optional(),
    schedules,
  },
);

export type ProcessInput = z.output<typeof processSchema>;
export type FileInput = z.output<typeof fileSchema>;
export type UpstreamInput = z.output<typeof upstream>;
export type HeadersInput = z.output<typeof headers>;
export type RouteInput = z.output<typeof route>;
export type SharedInput = z.output<typeof sharedSchema>;
