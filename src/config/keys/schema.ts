import * as z from 'zod';
import { section } from '../fields/field.ts';
import { address, choice, duration, flag, size, text, texts } from '../fields/fields.ts';
import {
  checkMethod,
  checkName,
  checkPathPattern,
  checkServername,
  checkToken,
  NAME_PATTERN,
  NAME_PROBLEM,
} from '../fields/words.ts';
import { allow } from './allow.ts';
import { auth } from './auth.ts';
import { clients } from './clients.ts';
import { durableProcess } from './durable-process.ts';
import { events } from './events.ts';
import { headers } from './headers.ts';
import { metrics } from './metrics.ts';
import { policies } from './policy-schema.ts';
import { schedules } from './schedules.ts';
import { shared } from './shared.ts';
import { sticky, targets } from './targets.ts';
import { tenant, vars } from './tenant.ts';
import { tracing } from './tracing.ts';
import { MS, routeTimeouts } from './timeouts.ts';

/**
 * Every key of config.yaml: its type, its built-in value and its documentation (for the policies, in the files next to this
 * one). The JSON Schema and docs/keys.md are generated from here.
 */

const connect = duration(
  '2s',
  'Time to connect: DNS, TCP and TLS. Not for single routes, because the routes of an upstream share connections.',
  MS,
);

export const sharedSections = {
  timeouts: section('Timeouts.', { connect, ...routeTimeouts }).optional(),
  ...policies,
  connection: section('Connections to the upstream.', {
    keep_alive: duration(
      '4s',
      'An idle connection is closed after this: before most upstreams close it (5s). A Keep-Alive header of the upstream shortens it.',
      MS,
    ),
    max_age: duration(
      '5m',
      'A connection older than this is not used again, so that DNS changes take effect.',
      MS,
    ),
    http2: choice(
      ['off', 'auto', 'require'],
      'off',
      'off: HTTP/1.1. auto: HTTP/2 if an https upstream chooses it (ALPN). require: only HTTP/2; without TLS by prior knowledge (h2c).',
    ),
    proxy: text(
      'off',
      'HTTP proxy to the upstream, by CONNECT: off, http://user:password@host:port, or env (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY).',
    ),
  }).optional(),
  tls: section('TLS to the upstream. Certificates are always verified.', {
    ca: text(
      undefined,
      'Certificate authorities to trust in place of the public ones (Mozilla and NODE_EXTRA_CA_CERTS): a PEM file, or PEM text.',
    ),
    cert: text(undefined, 'Client certificate with its chain: a PEM file, or PEM text.'),
    key: text(undefined, 'Private key of cert, without passphrase: a PEM file, or PEM text.'),
    servername: text(
      undefined,
      'Server name for SNI and verification. Default: the host of url.',
      checkServername,
    ),
    min_version: choice(['TLSv1.2', 'TLSv1.3'], 'TLSv1.2', 'The oldest TLS version that is used.'),
  }).optional(),
};

/** Keys of `defaults` and of an upstream. */
export const sharedSchema = section(
  'Inherited by every upstream. A key that is not written has its built-in value.',
  sharedSections,
);

export const routeSections = {
  name: text(undefined, 'Name in logs and metrics. Default: made from method and path.', checkName),
  match: section('Which calls take this route. The first route that matches wins.', {
    method: texts('A method or a list of them. Default: any method.', checkMethod),
    path: text(
      undefined,
      'Path below the mount, such as /v1/charges/:id. :id and * are one segment, ** is any number of segments.',
      checkPathPattern,
    ),
  }).optional(),
  headers: headers.optional(),
  auth: auth.optional(),
  timeouts: section('Timeouts.', routeTimeouts).optional(),
  ...policies,
};

const route = section(
  'A route: settings for some calls. A key that is not written is inherited from the upstream.',
  routeSections,
);

const upstream = section(
  'An API that is called through the proxy.',
  {
    url: text(
      undefined,
      'URL of the API, http or https. Its path is put in front of the path of every call. A placeholder in its host, such as {shop}, is filled by vars, mount or tenant. Required, unless the preset or each of targets has one.',
    ),
    vars,
    tenant: tenant.optional(),
    preset: text(
      undefined,
      'Known facts about this API: the name of a built-in preset, or the path of a preset file.',
    ),
    mount: section('Where apps reach the upstream. Default: path /<name>.', {
      path: text(
        undefined,
        'Calls below this path. / is every call that no other mount takes. One segment may be the placeholder of url, such as /shopify/{shop}.',
      ),
      host: text(
        undefined,
        'Calls with this Host header. Its first label may be the placeholder of url, such as {shop}.proxy.internal.',
      ),
    }).optional(),
    allow_private: flag(false, 'true: the upstream may have a loopback or private address.'),
    allow: allow.optional(),
    headers: headers.optional(),
    auth: auth.optional(),
    targets: targets.optional(),
    sticky,
    ...sharedSections,
    routes: z
      .array(route)
      .register(z.globalRegistry, {
        description:
          'The first route that matches wins. Other calls have the settings of the upstream (route "default").',
      })
      .optional(),
  },
  'upstream',
);

const processKeys = {
  include: texts(
    'More files with upstreams, schedules and other keys: paths relative to this file, with * in the last part (upstreams/*.yaml). A key is in one file only; of upstreams and schedules, each name is.',
  ),
  overlay: texts(
    'Files whose values replace those of this file and of include, such as "env/${ENV}.yaml". Maps are merged, lists are replaced, and a later file wins.',
  ),
  listen: address('127.0.0.1:8080', 'Address that apps connect to. Port 0: the system chooses.'),
  tls: section('HTTPS for the apps that connect.', {
    cert: text(
      undefined,
      'Server certificate with its chain, which turns HTTPS on: a PEM file, or PEM text. Read again on reload, and when the file changes.',
    ),
    key: text(undefined, 'Private key of cert, without passphrase: a PEM file, or PEM text.'),
    min_version: choice(['TLSv1.2', 'TLSv1.3'], 'TLSv1.2', 'The oldest TLS version that is accepted.'),
  }).optional(),
  admin: address('127.0.0.1:8081', 'Address of /metrics, /healthz, /readyz and the admin API.'),
  admin_token: text(
    undefined,
    'Bearer token of the admin API. Required, with at least 16 characters, if admin is not a loopback address.',
    checkToken,
  ),
  metrics: metrics.optional(),
  log: section('Logging.', {
    level: choice(['debug', 'info', 'warn', 'error'], 'info', 'The least severe level that is written.'),
    requests: choice(
      ['all', 'notable', 'none'],
      'notable',
      'Which calls are logged. notable: calls that were retried, rejected, failed or slow.',
    ),
    slow: duration('5s', 'A call is slow if its response head takes longer.'),
    path: choice(
      ['full', 'route'],
      'full',
      'What log lines, recent calls and traces show of a path. full: the path without its query. route: the path pattern of the route, because paths may hold personal data.',
    ),
  }).optional(),
  tracing: tracing.optional(),
  events: events.optional(),
  clients: clients.optional(),
  durable: durableProcess.optional(),
  shared: shared.optional(),
  drain_delay: duration(
    '0s',
    'After SIGTERM, calls are accepted for this long, while /readyz answers 503. Then drain_timeout begins.',
  ),
  drain_timeout: duration('30s', 'After SIGTERM and drain_delay, running calls may take this long.'),
  body_memory: size(
    '64MiB',
    'Memory for all buffered bodies together: requests that may be sent again, and replies that are read into memory. Without free memory, a request is sent only once.',
    2 ** 40,
  ),
  response_headers: flag(true, 'Whether replies have the breakwater-… headers.'),
};

/** Keys of the process as a whole. */
export const processSchema = section('The process.', processKeys);

/** The whole file. */
export const fileSchema = section(
  'Breakwater configuration: which APIs are called, and how their failures are handled.',
  {
    ...processKeys,
    defaults: sharedSchema.optional(),
    upstreams: z
      .record(z.string().regex(NAME_PATTERN, NAME_PROBLEM), upstream)
      .register(z.globalRegistry, { description: 'The APIs, by name.' })
      .optional(),
    schedules,
  },
);

export type ProcessInput = z.output<typeof processSchema>;
export type FileInput = z.output<typeof fileSchema>;
export type UpstreamInput = z.output<typeof upstream>;
export type { HeadersInput } from './headers.ts';
export type RouteInput = z.output<typeof route>;
export type SharedInput = z.output<typeof sharedSchema>;
