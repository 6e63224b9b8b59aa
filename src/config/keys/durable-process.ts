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
    ? `"${text}" is not a place for callbacks; write for example https://app.internal/hooks/** or *.example.com`
    : undefined;

/** Never quoted. */
const checkSecret: Check = (text) =>
  webhookKey(text) === undefined ? 'is not whsec_ and base64 of 24 to 64 bytes' : undefined;

const YEAR = { max: 366 * 86_400_000 };

const callbacks = section(
  'Callbacks: the end of a durable request is told where its Breakwater-Callback says.',
  {
    allow: texts(
      'Where callbacks may go, such as https://app.internal/hooks/**; without a scheme https, and *.example.com takes all below.',
      checkRule,
    ),
    secrets: texts(
      'What callbacks are signed with (Standard Webhooks): whsec_ and base64 of 24 to 64 bytes, from the environment. Each signs, so that receivers can change from one to the next.',
      checkSecret,
    ),
    allow_private: flag(false, 'Loopback and private addresses are refused unless this is true.'),
    timeout: duration('15s', 'For one delivery.', { min: 1 }),
    waits: durations(
      ['5s', '5m', '30m', '2h', '5h', '10h', '14h', '20h', '24h'],
      'Between deliveries, before jitter; there is one delivery more than there are waits.',
    ),
    deadline: duration('4d', 'No delivery begins later than this after the end of the request.', {
      ...YEAR,
      min: 1,
    }),
    retention: duration('24h', 'A callback is kept for so long after its own end.', YEAR),
    max_result: size(
      '64KiB',
      'A result up to this size is sent along; a larger one is only linked.',
      2 ** 24,
    ),
  },
);

/** What durable requests of all routes have in common. */
export const durableProcess = section('Durable requests of all routes.', {
  store: text(
    './breakwater.db',
    'Where they are kept: a file beside this one, made when it is missing, or postgres://… for several replicas.',
    checkStore,
  ),
  prefix: text(
    '/_breakwater',
    'Where status and results are, on the address that apps connect to.',
    checkOwnPath,
  ),
  backlog: integer(
    100_000,
    'Requests that have not ended; beyond these, new ones are refused with 429.',
    1,
    100_000_000,
  ),
  callbacks: callbacks.optional(),
  credentials: choice(
    ['none', 'encrypted'],
    'none',
    "Whether the caller's Authorization, Cookie and API keys are kept for the attempts to come; with none, inject them by headers.set.",
  ),
  credentials_key: text(
    undefined,
    'What they are encrypted with (AES-256-GCM): 32 bytes in base64 or hex, from the environment.',
  ),
});

function checkStore(store: string): string | undefined {
  const [scheme] = /^(?:[a-z][a-z0-9+.-]*:\/\/|postgres(?:ql)?:)/i.exec(store) ?? [];
  return scheme === undefined || isUrl(store)
    ? undefined
    : `"${scheme}" is no store; write postgres://… or the path of a file`;
}

/** Whether the store is a PostgreSQL URL and no file. */
export const isUrl = (store: string): boolean => /^postgres(ql)?:\/\//.test(store);
