import type { Path } from './problem.ts';

/**
 * Keys of earlier versions and their new names, as dotted paths without indices and names that the user chose. A path may
 * begin anywhere in the file: `retry.own` covers defaults, upstreams, routes and presets.
 */
export const RENAMED: ReadonlyMap<string, string> = new Map([
  ['replay_memory', 'body_memory'],
  ['clients.hosts', 'clients.allowed_hosts'],
  ['identity.secrets', 'identity.secret_names'],
  ['identity.accounts', 'identity.account_names'],
  ['identity.ignore', 'identity.ignored_names'],
  ['retry.own', 'retry.limit_client_retries'],
  ['retry.budget.trickle', 'retry.budget.refill'],
  ['quota.credentials', 'quota.credential_headers'],
  ['quota.formats.flows', 'quota.formats.continuous'],
  ['durable.on_unknown', 'durable.on_unknown_outcome'],
  ['durable.then', 'durable.poll'],
  ['durable.poll.poll', 'durable.poll.target'],
]);

/** Keys that are gone, and what to do instead. */
const REMOVED: ReadonlyMap<string, string> = new Map([
  ['concurrency.initial', 'this key no longer exists; write max for a limit from the start, or remove it'],
]);

/** The message for a key that an earlier version had; undefined for any other key. */
export function formerKey(path: Path, key: string): string | undefined {
  const names = [...path.filter((part) => typeof part === 'string'), key];
  for (let from = 0; from < names.length; from++) {
    const old = names.slice(from).join('.');
    const renamed = RENAMED.get(old);
    if (renamed !== undefined)
      return `this key was renamed; write ${renamed.slice(renamed.lastIndexOf('.') + 1)}`;
    const removed = REMOVED.get(old);
    if (removed !== undefined) return removed;
  }
  return undefined;
}
