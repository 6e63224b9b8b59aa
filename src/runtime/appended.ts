/**
 * `list` with `item` at its end. For lists of a few objects per call: `push` into a list of one makes room for seventeen, and
 * `concat` for as many as there are, but for more than a list of one needs.
 */
export const appended = <T>(list: readonly T[] | undefined, item: T): readonly T[] =>
  list === undefined || list.length === 0 ? [item] : list.concat(item);
