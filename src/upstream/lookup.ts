import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { isPrivateAddress } from '../http/private-address.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { type Answered, type Resolve, systemLookups } from './shared-lookups.ts';

export interface LookupRules {
  readonly allowPrivate: boolean;
  /** The resolver must have answered by then; the system's own waits can be much longer. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly resolve?: Resolve | undefined;
}

/**
 * A lookup for sockets: public addresses only, unless private ones are allowed, and each time with another one first, so
 * that the connection after a failed one goes elsewhere. What is checked here is what the socket connects to; it
 * asks no one again.
 */
export function createLookup({ allowPrivate, timeoutMs, clock, resolve }: LookupRules): LookupFunction {
  const ask = resolve ?? systemLookups.resolve;
  let turn = 0;
  return (hostname, options, callback) => {
    const late = clock.timer(timeoutMs, () =>
      answer(new ProxyError('dns_timeout', `${hostname} was not resolved within ${timeoutMs} ms`), []),
    );
    let answered = false;
    const answer: Answered = (error, addresses) => {
      if (answered) return;
      answered = true;
      late.cancel();
      const found = error ?? choose(hostname, addresses, allowPrivate);
      if (found instanceof Error) return callback(found, []);
      const rotated = rotate(found, turn++);
      const [first] = rotated as [LookupAddress];
      if (options.all === true) callback(null, rotated);
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

/** Within each family: which family comes first is the system's to know (RFC 6724). */
function rotate(addresses: LookupAddress[], turn: number): LookupAddress[] {
  const first = addresses[0]?.family;
  const rest = addresses.filter(({ family }) => family !== first);
  return [
    ...turned(
      addresses.filter(({ family }) => family === first),
      turn,
    ),
    ...turned(rest, turn),
  ];
}

function turned<T>(list: readonly T[], turn: number): T[] {
  const start = list.length === 0 ? 0 : turn % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}
