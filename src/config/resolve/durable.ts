import { dirname, isAbsolute, join } from 'node:path';
import type { DurableOptions, DurableProcess } from '../../durable/options.ts';
import { isIdempotent } from '../../http/methods.ts';
import type { BackoffOptions } from '../../policies/retry/options.ts';
import { type Calls, overlap } from '../../routing/pattern-covers.ts';
import type { Config, UpstreamConfig } from '../config.ts';
import { isUrl } from '../keys/durable-process.ts';
import type { ProcessInput } from '../keys/schema.ts';
import type { Report } from '../read/report.ts';
import { callbackOptions } from './callbacks.ts';
import type { Settings } from './context.ts';
import { type Complete, type Inherited, replace } from './inherit.ts';
import { backoffOptions } from './settings.ts';
import type { Polling } from './until.ts';

/** Options of durable requests that hold for the whole process. */
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

/**
 * Whether one process remembers quotas for the next one, in the file of durable requests. Replicas can have PostgreSQL together, and
 * `shared` is for them.
 */
export const remembersQuotas = ({ durable, shared }: Pick<Config, 'durable' | 'shared'>): boolean =>
  shared === undefined && !isUrl(durable.store);

/** Whether any route is durable. Without one, the store is not opened. */
export const isDurable = ({ upstreams }: Pick<Config, 'upstreams'>): boolean =>
  upstreams.some(({ routes }) => routes.some(({ settings }) => settings.durable !== undefined));

/** Reports an upstream that is mounted at the path of status and results: it could not be reached. */
export function checkPrefix(prefix: string, upstreams: readonly UpstreamConfig[], report: Report): void {
  if (!isDurable({ upstreams })) return;
  for (const { name, mount } of upstreams) {
    if (!('path' in mount) || mount.path !== prefix) continue;
    report.problem(
      ['upstreams', name, 'mount', 'path'],
      `${prefix} is already used by durable.prefix; change one of the two`,
    );
  }
}

function credentialsKey(
  { credentials, credentials_key: text }: Complete<ProcessInput>['durable'],
  report: Report,
): string | undefined {
  const path = ['durable', 'credentials_key'];
  const key = text === undefined ? undefined : keyBytes(text);
  if (text !== undefined && key === undefined)
    report.problem(
      path,
      'is not a key; write 32 bytes in base64 or hex, made for example by: openssl rand -base64 32',
    );
  if (credentials === 'none') return undefined;
  if (text === undefined && !report.knows(path)) {
    report.problem(
      ['durable', 'credentials'],
      'encrypted needs credentials_key; write for example credentials_key: ${BREAKWATER_CREDENTIALS_KEY}',
    );
  }
  return key;
}

/** AES-256. */
const KEY_BYTES = 32;

/** The key in hex, because a configuration is deeply frozen and a Buffer cannot be. */
function keyBytes(text: string): string | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === KEY_BYTES ? bytes.toString('hex') : undefined;
}

/**
 * Whether a route is durable: by `mode`, or because another key of `durable` is written in the same layer or in an inner
 * one. That key then becomes the origin of `mode: on`, so that `explain` shows it.
 */
export function decideDurable(route: Inherited<Settings>): boolean {
  const { values, origins } = route;
  if (values.durable.mode === 'on') return true;
  const mode = origins.get('durable.mode');
  const written = origins.written('durable.').find(([, { depth }]) => depth > (mode?.depth ?? 0));
  if (written === undefined) return false;
  replace(route, 'durable.mode', 'on');
  origins.set('durable.mode', written[1]);
  return true;
}

/** Methods that may not be repeated; a route without `match.method` takes them too. */
const WITHOUT_METHOD: readonly string[] = ['POST', 'PATCH'];

const KEYLESS = [
  'a POST or PATCH without an idempotency key ends as unknown_outcome at the first failure that leaves its outcome open;',
  'write retry.idempotency_key: inject if this API supports idempotency keys (or pass if clients send their own),',
  'or none if it does not',
].join(' ');

/**
 * Warns of durable POSTs that the first failure would end, although many attempts are configured. No warning if a preset or
 * the file sets `idempotency_key` or `on_unknown_outcome`: then it is a decision.
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

/** Options of a durable route, and the backoff between its attempts. */
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
