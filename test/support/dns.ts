import dns, { type LookupAddress } from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import { isIPv6 } from 'node:net';
import { onTestFinished } from 'vitest';

type System = (hostname: string, options: object, callback: (...results: unknown[]) => void) => void;

export interface StubDns {
  /** Names asked for so far. */
  readonly asked: string[];
  /** Addresses, or the code of a failure; undefined: no answer ever. */
  answer: readonly string[] | string | undefined;
}

/** Replaces the system's resolver for names below `.example`, until the end of the test. */
export function stubDns(answer: StubDns['answer']): StubDns {
  const { lookup } = dns;
  const stub: StubDns = { asked: [], answer };
  const standIn: System = (hostname, options, callback) => {
    if (!hostname.endsWith('.example')) return (lookup as unknown as System)(hostname, options, callback);
    stub.asked.push(hostname);
    const { answer: found } = stub;
    if (found === undefined) return;
    if (typeof found === 'string') return callback(Object.assign(new Error(found), { code: found }));
    callback(
      null,
      found.map((address): LookupAddress => ({ address, family: isIPv6(address) ? 6 : 4 })),
    );
  };
  Object.assign(dns, { lookup: standIn });
  syncBuiltinESMExports();
  onTestFinished(() => {
    Object.assign(dns, { lookup });
    syncBuiltinESMExports();
  });
  return stub;
}
