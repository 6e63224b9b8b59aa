import { basename, dirname, join, matchesGlob } from 'node:path';

/** Whether a path is a pattern of file names: `upstreams/*.yaml`. */
export const isPattern = (path: string): boolean => path.includes('*');

/** Whether `*` is in the last segment alone. */
export const isInOneFolder = (pattern: string): boolean => !dirname(pattern).includes('*');

/**
 * The names that match the last segment of a pattern, sorted. Names with a dot in front are left out: they are temporary files of
 * editors, and the links by which Kubernetes swaps a ConfigMap.
 */
export function namesLike(pattern: string, names: readonly string[]): string[] {
  const wanted = basename(pattern);
  return names.filter((name) => !name.startsWith('.') && matchesGlob(name, wanted)).sort();
}

/** The path of a file that a pattern matched. */
export const inFolderOf = (pattern: string, name: string): string => join(dirname(pattern), name);
