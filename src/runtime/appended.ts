/**
 * `list` with `item` at its end. For lists of a few listeners per call: `push` into a list of one makes room for seventeen,
 * and `concat` for as many as there are.
 */
export const appended = <T extends object>(list: T[] | undefined, item: T): T[] =>
  list === undefined ? [item] : list.concat(item);
