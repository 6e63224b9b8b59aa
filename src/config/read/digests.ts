import { createHash } from 'node:crypto';

/** The files of a configuration, and a digest of the text of each. */
export type Digests = ReadonlyMap<string, string>;

export const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64');

/** The digest of a file that cannot be read, so that its return counts as a change. */
export const unreadable = (error: unknown): string =>
  `unreadable: ${error instanceof Error && 'code' in error ? String(error.code) : 'unknown'}`;

export function sameDigests(a: Digests, b: Digests): boolean {
  if (a.size !== b.size) return false;
  for (const [path, digest] of a) if (b.get(path) !== digest) return false;
  return true;
}
