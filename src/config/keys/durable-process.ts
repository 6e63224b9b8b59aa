import { webhookKey } from '../../durable/callbacks/sign.ts';
import { callbackRule } from '../../durable/callbacks/target.ts';
import { section } from '../fields/field.ts';
import {
  type Check,
  choice,
  duration,
  durations,
  flag,
  integer,
  size,
  text,
  texts,
} from '../fields/fields.ts';
import { checkOwnPath } from '../fields/words.ts';

const checkRule: Check = (text) =>
  callbackRule(text) === undefined
    ? `"${text}" is not a callback URL; write for example https://app.internal/hooks/** or *.example.com`
    : undefined;

/** Problems do not quote the value: it is a secret. */
const checkSecret: Check = (text) =>
  webhookKey(text) === undefined
    ? 'is not a signing secret; write whsec_ followed by base64 of 24 to 64 bytes'
    : undefined;

const YEAR = { max: 366 * 86_400_000 };

const callbacks = section(
  'Callbacks: when a durable request ends, its result is sent to the URL in its Breakwater-Callback header.',
  {
    allow: texts(
      'URLs that callbacks may be sent to, such as https://app.internal/hooks/**. Without a scheme, https is meant. *.example.com is all names below.',
      checkRule,
    ),
    secrets: texts(
      'Secrets that sign callbacks (Standard Webhooks): whsec_ followed by base64 of 24 to 64 bytes, from the environment. Every secret signs, so that receivers can change from one to the next.',
      checkSecret,
    ),
    allow_private: flag(false, 'true: callbacks may go to loopback and private addresses.'),
    timeout: duration('15s', 'Timeout of one delivery.', { min: 1 }),
    waits: durations(
      ['5s', '5m', '30m', '2h', '5h', '10h', '14h', '20h', '24h'],
      'Waits between deliveries, before jitter. There is one delivery more than there are waits.',
    ),
    deadline: duration('4d', 'No delivery starts later than this after the end of the request.', {
      ...YEAR,
      min: 1,
    }),
    retention: duration('24h', 'How long a callback is stored after it has ended.', YEAR),
    max_result: size(
      '64KiB',
      'A result up to this size is part of the callback. A larger one is only linked.',
      2 ** 24,
    ),
  },
);

/** Keys that hold for the durable requests of all routes. */
export const durableProcess = section('Durable requests of all routes.', {
  store: text(
    './breakwater.db',
    'Where durable requests are stored: a file, relative to this one and created if missing, or postgres://… for several replicas.',
    checkStore,
  ),
  prefix: text(
    '/_breakwater',
    'Path of the status and result pages, on the address that apps connect to.',
    checkOwnPath,
  ),
  backlog: integer(100_000, 'How many requests may be unfinished. Further requests get 429.', 1, 100_000_000),
  callbacks: callbacks.optional(),
  credentials: choice(
    ['none', 'encrypted'],
    'none',
    "Whether the client's Authorization, Cookie and API keys are stored for later attempts. With none, inject credentials by headers.set.",
  ),
  credentials_key: text(
    undefined,
    'Key that encrypts stored credentials (AES-256-GCM): 32 bytes in base64 or hex, from the environment.',
  ),
});

function checkStore(store: string): string | undefined {
  const [scheme] = /^(?:[a-z][a-z0-9+.-]*:\/\/|postgres(?:ql)?:)/i.exec(store) ?? [];
  return scheme === undefined || isUrl(store)
    ? undefined
    : `"${scheme}" is not a supported store; write postgres://… or the path of a file`;
}

/** True for the URL of a PostgreSQL store, false for a file. */
export const isUrl = (store: string): boolean => /^postgres(ql)?:\/\//.test(store);
