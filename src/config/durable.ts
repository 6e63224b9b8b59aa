import { dirname, isAbsolute, join } from 'node:path';
import type { BackoffOptions } from '../policies/retry/options.ts';
import type { DurableOptions, DurableProcess } from '../durable/options.ts';
import type { UpstreamConfig } from './config.ts';
import { section } from './field.ts';
import { callbackOptions, callbacks } from './callbacks.ts';
import { choice, integer, text } from './fields.ts';
import type { Complete, Inherited } from './inherit.ts';
import type { Report } from './report.ts';
import type { ProcessInput } from './schema.ts';
import { backoffOptions, type Settings } from './settings.ts';
import type { Polling } from './until.ts';
import { checkOwnPath } from './words.ts';

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

/** What is kept of the process-wide keys. */
export function durableProcessOptions(
  file: string,
  written: Complete<ProcessInput>['durable'],
  report: Report,
): DurableProcess {
  const { store, prefix, backlog } = written;
  return {
    store: isUrl(store) || isAbsolute(store) ? store : join(dirname(file), store),
    prefix,
    backlog,
    callbacks: callbackOptions(written.callbacks, report),
    credentialsKey: credentialsKey(written, report),
  };
}

/** An upstream that is mounted where status and results are could not be reached there. */
export function checkPrefix(prefix: string, upstreams: readonly UpstreamConfig[], report: Report): void {
  if (!upstreams.some(({ routes }) => routes.some(({ settings }) => settings.durable !== undefined))) return;
  for (const { name, mount } of upstreams) {
    if (!('path' in mount) || mount.path !== prefix) continue;
    report.problem(
      ['upstreams', name, 'mount', 'path'],
      `${prefix} is taken by durable.prefix; change one of them`,
    );
  }
}

function credentialsKey(
  { credentials, credentials_key: text }: Complete<ProcessInput>['durable'],
  report: Report,
): string | undefined {
  const path = ['durable', 'credentials_key'];
  const key = text === undefined ? undefined : keyBytes(text);
  if (text !== undefined && key === undefined) report.problem(path, 'is not 32 bytes in base64 or hex');
  if (credentials === 'none') return undefined;
  if (text === undefined && !report.knows(path)) {
    report.problem(
      ['durable', 'credentials'],
      'encrypted needs credentials_key; write for example credentials_key: ${BREAKWATER_CREDENTIALS_KEY}',
    );
  }
  return key;
}

/** Only its scheme is quoted: the rest may hold a password. */
function checkStore(store: string): string | undefined {
  const [scheme] = /^(?:[a-z][a-z0-9+.-]*:\/\/|postgres(?:ql)?:)/i.exec(store) ?? [];
  return scheme === undefined || isUrl(store)
    ? undefined
    : `"${scheme}" is no store; write postgres://… or the path of a file`;
}

const isUrl = (store: string): boolean => /^postgres(ql)?:\/\//.test(store);

const KEY_BYTES = 32;

/** Hex, because a frozen configuration cannot hold bytes. */
function keyBytes(text: string): string | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === KEY_BYTES ? bytes.toString('hex') : undefined;
}

/**
 * Whether a route is durable: as `mode` says, or because another key of `durable` is written at the same place or
 * further inside. That key then counts as the origin of `mode: on`, so that `explain` shows what runs.
 */
export function decideDurable(route: Inherited<Settings>): boolean {
  const { values, origins } = route;
  if (values.durable.mode === 'on') return true;
  const mode = origins.get('durable.mode');
  const written = [...origins].find(
    ([key, { depth, layer }]) =>
      key.startsWith('durable.') && layer.name !== undefined && depth > (mode?.depth ?? 0),
  );
  if (written === undefined) return false;
  values.durable.mode = 'on';
  origins.set('durable.mode', written[1]);
  return true;
}

/** A durable route's settings, and the backoff that its attempts follow. */
export function durableOptions(
  { durable }: Settings,
  polling: Polling | undefined,
): { options: DurableOptions; backoff: BackoffOptions } {
  return {
    options: {
      attempts: durable.attempts,
      deadlineMs: polling?.deadlineMs ?? durable.deadline,
      retentionMs: durable.retention,
      maxBodyBytes: durable.max_body,
      maxResultBytes: durable.max_result,
      concurrency: durable.concurrency ?? undefined,
      onUnknown: durable.on_unknown,
      poll: polling?.poll,
    },
    backoff: backoffOptions(durable.backoff),
  };
}
