import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { isPrivateAddress } from '../http/private-address.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { type LookupCallback, type Resolve, systemLookups } from './shared-lookups.ts';

export interface LookupRules {
  readonly allowPrivate: boolean;
  /** Time for the answer. The system's resolver itself may take much longer. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly resolve?: Resolve | undefined;
}

/**
 * A DNS lookup for sockets. Unless allowed, it returns no private addresses. The socket connects to exactly these addresses,
 * without another lookup. Addresses rotate, so that the connection after a failed one uses another address.
 */
export function createLookup({ allowPrivate, timeoutMs, clock, resolve }: LookupRules): LookupFunction {
  const ask = resolve ?? systemLookups.resolve;
  let turn = 0;
  return (hostname, options, callback) => {
    const late = clock.timer(timeoutMs, () =>
      answer(new ProxyError('dns_timeout', `${hostname} was not resolved within ${timeoutMs} ms`), []),
    );
    let answered = false;
    const answer: LookupCallback = (error, addresses) => {
      if (answered) return;
      answered = true;
      late.cancel();
      const found = error ?? choose(hostname, addresses, allowPrivate);
      if (found instanceof Error) return callback(found, []);
      const ordered = rotate(found, turn++);
      const [first] = ordered as [LookupAddress];
      if (options.all === true) callback(null, ordered);
      else callback(null, first.address, first.family);
    };
    ask(hostname, { ...options, all: true }, answer);
  };
}

function choose(
  hostname: string,
  addresses: LookupAddress[],
  allowPrivate: boolean,
): LookupAddress[] | Error {
  if (addresses.length === 0) return new ProxyError('dns_error', `${hostname} has no address`);
  const allowed = allowPrivate ? addresses : addresses.filter(({ address }) => !isPrivateAddress(address));
  if (allowed.length > 0) return allowed;
  const message = `${hostname} resolves to a private address; to allow it, set allow_private: true`;
  return new ProxyError('address_prohibited', message);
}

/** Rotates within each family. The system decides which family is first (RFC 6724). */
function rotate(addresses: LookupAddress[], turn: number): LookupAddress[] {
  const first = addresses[0]?.family;
  const rest = addresses.filter(({ family }) => family !== first);
  return [
    ...rotated(
      addresses.filter(({ family }) => family === first),
      turn,
    ),
    ...rotated(rest, turn),
  ];
}

function rotated<T>(list: readonly T[], turn: number): T[] {
  const start = list.length === 0 ? 0 : turn % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}
