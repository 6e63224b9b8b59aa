import { randomBytes } from 'node:crypto';

/** A number in [0, 1). Injected so that a test can replay the same jitter. */
export type Random = () => number;

export const systemRandom: Random = Math.random;

/** 32 bytes that nobody can guess. */
export const newSecret = (): Buffer => randomBytes(32);

/** So many ids are drawn at once: a draw of 16 bytes costs ten times as much as the share of a large one. */
const DRAWN_IDS = 256;
const ID_BYTES = 16;
let drawn: Buffer = Buffer.alloc(0);

/** 128 bits that nobody can guess, in 32 hexadecimal digits. */
export function unguessableId(): string {
  if (drawn.length === 0) drawn = randomBytes(DRAWN_IDS * ID_BYTES);
  const id = drawn.toString('hex', 0, ID_BYTES);
  // Each is used once, and what is left is no use to whoever sees an id.
  drawn = drawn.subarray(ID_BYTES);
  return id;
}

/** Ids that are unique across processes and cost a counter's step: a random prefix per process, then a number. */
export function idSource(): () => string {
  const prefix = randomBytes(9).toString('base64url');
  let count = 0;
  return () => `${prefix}-${(++count).toString(36)}`;
}
