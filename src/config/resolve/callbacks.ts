import type { CallbackOptions } from '../../durable/callbacks/options.ts';
import { webhookKey } from '../../durable/callbacks/sign.ts';
import { callbackRule } from '../../durable/callbacks/target.ts';
import { isPrivateHost } from '../../http/private-address.ts';
import { section } from '../fields/field.ts';
import { type Check, duration, durations, flag, size, texts } from '../fields/fields.ts';
import type { ProcessInput } from '../keys/schema.ts';
import type { Report } from '../read/report.ts';
import type { Complete } from './inherit.ts';

const checkRule: Check = (text) =>
  callbackRule(text) === undefined
    ? `"${text}" is not a place for callbacks; write for example https://app.internal/hooks/** or *.example.com`
    : undefined;

/** Never quoted. */
const checkSecret: Check = (text) =>
  webhookKey(text) === undefined ? 'is not whsec_ and base64 of 24 to 64 bytes' : undefined;

const YEAR = { max: 366 * 86_400_000 };

export const callbacks = section(
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

export function callbackOptions(
  written: Complete<ProcessInput>['durable']['callbacks'],
  report: Report,
): CallbackOptions {
  const path = ['durable', 'callbacks'];
  const allow = (written.allow as readonly string[] | undefined) ?? [];
  const secrets = (written.secrets as readonly string[] | undefined) ?? [];
  if (allow.length > 0 && secrets.length === 0 && !report.knows([...path, 'secrets'])) {
    report.problem(
      path,
      'are always signed; write for example secrets: ["${CALLBACK_SECRET}"], made by: echo whsec_$(openssl rand -base64 32)',
      'key',
    );
  }
  const inside = allow.find((text) => isPrivateHost(callbackRule(text)?.host ?? ''));
  if (inside !== undefined && !written.allow_private)
    report.problem(
      [...path, 'allow'],
      `"${inside}" is a private address; write allow_private: true beside allow if that is meant`,
    );
  return {
    allow,
    secrets,
    allowPrivate: written.allow_private,
    timeoutMs: written.timeout,
    waitsMs: written.waits,
    deadlineMs: written.deadline,
    retentionMs: written.retention,
    maxResultBytes: written.max_result,
  };
}
