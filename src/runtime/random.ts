import { randomBytes } from 'node:crypto';

/** A number in [0, 1). Injected so that a test can replay the same jitter. */
export type Random = () => number;

export const systemRandom: Random = Math.random;

/** Ids that are unique across processes and cost a counter's step: a random prefix per process, then a number. */
export function idSource(): () => string {
  const prefix = randomBytes(9).toString('base64url');
  let count = 0;
  return () => `${prefix}-${(++count).toString(36)}`;
}
