import { dirname, isAbsolute, join } from 'node:path';
import type { DurableOptions, DurableProcess } from '../../durable/options.ts';
import { isIdempotent } from '../../http/methods.ts';
import type { BackoffOptions } from '../../policies/retry/options.ts';
import { type Calls, overlap } from '../../routing/pattern-covers.ts';
import type { UpstreamConfig } from '../config.ts';
import { isUrl } from '../keys/durable-process.ts';
import type { ProcessInput } from '../keys/schema.ts';
import type { Report } from '../read/report.ts';
import { callbackOptions } from './callbacks.ts';
import type { Settings } from './ground.ts';
import type { Complete, Inherited } from './inherit.ts';
import { backoffOptions } from './settings.ts';
import type { Polling } from './until.ts';

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

/** Methods that are not safe to repeat; a route without `match.method` takes them too. */
const WITHOUT_METHOD: readonly string[] = ['POST', 'PATCH'];

const KEYLESS = [
  'a POST or PATCH without an idempotency key ends at the first failure that leaves its outcome open;',
  'write retry.idempotency_key: inject if this API knows idempotency keys (or pass, where clients send their own),',
  'or none if it knows none',
].join(' ');

/**
 * Many attempts are planned and the first failure ends it. Said only where nobody has decided: a preset or the user may
 * have written what a key means, or what becomes of an open outcome.
 */
export function warnOfKeyless(
  { values, origins }: Inherited<Settings>,
  { calls, allow }: { readonly calls: Calls; readonly allow: readonly Calls[] | undefined },
  report: Report,
): void {
  const methods = (calls.methods ?? WITHOUT_METHOD).filter((method) => !isIdempotent(method));
  const sent = allow === undefined || allow.some((rule) => overlap(rule, { ...calls, methods }));
  if (values.retry.safe || methods.length === 0 || !sent) return;
  const decided = ['retry.idempotency_key', 'durable.on_unknown_outcome'];
  if (decided.some((key) => origins.get(key)?.layer.name !== undefined)) return;
  report.warning(origins.get('durable.mode')?.path ?? ['durable'], KEYLESS);
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
      onUnknown: durable.on_unknown_outcome,
      poll: polling?.poll,
    },
    backoff: backoffOptions(durable.backoff),
  };
}
