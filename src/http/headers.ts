/**
 * A header list as it stands on the wire: name, value, name, value … Names keep their case, order and
 * repetitions stay, values are latin1 strings. Both node:http and undici read and write this form without a copy.
 */
export type RawHeaders = readonly string[];

/** The first value of `name` (given in lower case), or undefined. */
export function headerOf(headers: RawHeaders, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    const candidate = headers[i] as string;
    if (candidate.length === name.length && candidate.toLowerCase() === name) return headers[i + 1];
  }
  return undefined;
}
