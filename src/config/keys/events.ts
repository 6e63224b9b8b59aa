import { webhookKey } from '../../durable/callbacks/sign.ts';
import type { EventType } from '../../telemetry/operator-events/event.ts';
import { section } from '../fields/field.ts';
import { type Check, choice, duration, flag, text, texts, words } from '../fields/fields.ts';

/** The compiler asks for a new type. */
const TYPES = {
  'breaker.opened': true,
  'breaker.closed': true,
  'quota.cooldown': true,
  'quota.exhausted': true,
  'store.failed': true,
  'store.recovered': true,
  'backlog.old': true,
  'backlog.recovered': true,
  'config.refused': true,
  'config.accepted': true,
  'certificate.expiring': true,
} as const satisfies Record<EventType, true>;
const ALL = Object.keys(TYPES) as EventType[];

/** Problems do not quote the value: it is a secret. */
const checkSecret: Check = (found) =>
  webhookKey(found) === undefined
    ? 'is not a signing secret; write whsec_ followed by base64 of 24 to 64 bytes'
    : undefined;

export const events = section('Events for operators, sent to a webhook.', {
  webhook: text(
    undefined,
    'URL that events are sent to by POST, from the environment if it is secret. Turns events on.',
  ),
  secret: texts(
    'Secret that signs the messages (Standard Webhooks), or a list of them: whsec_ followed by base64 of 24 to 64 bytes. Required unless format is slack.',
    checkSecret,
  ),
  format: choice(
    ['json', 'slack'],
    'json',
    'json: type, timestamp and data, as callbacks have. slack: a text, as incoming webhooks of Slack and of chats like it take.',
  ),
  types: words(ALL, ALL, 'Which events are sent.'),
  backlog_age: duration('15m', 'A durable request that has been due for longer is reported (backlog.old).', {
    min: 1_000,
  }),
  allow_private: flag(false, 'true: the webhook may have a loopback or private address.'),
});
