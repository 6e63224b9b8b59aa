import { createHash } from 'node:crypto';

/** The files of a configuration, and a digest of the text of each. */
export type Digests = ReadonlyMap<string, string>;

export const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64');

/** The digest of a file that cannot be read, so that its return counts as a change. */
export const unreadable = (error: unknown): string =>
  `unreadable: ${error instanceof Error && 'code' in error ? String(error.code) : 'unknown'}`;

/** The key of a pattern of file names in `Digests`. No path has this character. */
export const patternKey = (pattern: string): string => `\0${pattern}`;

/** Undefined for the path of a file. */
export const patternOf = (key: string): string | undefined =>
  key.startsWith('\0') ? key.slice(1) : undefined;

/** The digest of the names that a pattern matches, so that a new file counts as a change. */
export const digestOfNames = (names: readonly string[]): string => digestOf(names.join('\0'));

export function sameDigests(a: Digests, b: Digests): boolean {
  if (a.size !== b.size) return false;
  for (const [path, digest] of a) if (b.get(path) !== digest) return false;
  return true;
}
