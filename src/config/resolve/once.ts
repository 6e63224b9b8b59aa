import { statusSet } from '../../http/status.ts';

/**
 * Makes the options of a section once, however many routes have that section: they share it unless they write in it. Equal options
 * of thousands of routes would cost memory, and time wherever they are compared.
 */
export function once<S extends object, O>(make: (section: S) => O): (section: S) => O {
  const made = new WeakMap<S, O>();
  return (section) => {
    if (!made.has(section)) made.set(section, make(section));
    return made.get(section) as O;
  };
}

/** `statusSet`, once for each list: a set of all 5xx takes 3 KB. */
export const statuses = once(statusSet);
