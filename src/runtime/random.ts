import { randomBytes } from 'node:crypto';

/** A number in [0, 1). Injected so that a test can replay the same jitter. */
export type Random = () => number;

export const systemRandom: Random = Math.random;

/** 32 random bytes that cannot be guessed. */
export const newSecret = (): Buffer => randomBytes(32);

/** Ids are drawn in batches of this size: a single draw of 16 bytes costs ten times as much. */
const DRAWN_IDS = 256;
const ID_BYTES = 16;
let drawn: Buffer = Buffer.alloc(0);

/** 128 random bits that cannot be guessed, as 32 hexadecimal digits. */
export function unguessableId(): string {
  if (drawn.length === 0) drawn = randomBytes(DRAWN_IDS * ID_BYTES);
  const id = drawn.toString('hex', 0, ID_BYTES);
  // Each part is used once, so an id reveals nothing about later ones.
  drawn = drawn.subarray(ID_BYTES);
  return id;
}

/** A source of ids that are unique across processes and cheap: a random prefix per process, then a counter. */
export function idSource(): () => string {
  const prefix = randomBytes(9).toString('base64url');
  let count = 0;
  return () => `${prefix}-${(++count).toString(36)}`;
}
