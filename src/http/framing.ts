import type { RawHeaders } from './headers.ts';

/** The fields that say where a message goes and where it ends, as they came. */
export interface Framing {
  readonly hosts: readonly string[];
  /** All of them, joined by commas; '' for none. */
  readonly codings: string;
  /** The last Content-Length, '0' for none; parsers refuse more than one. */
  readonly length: string;
}

export function framingOf(headers: RawHeaders): Framing {
  const hosts: string[] = [];
  const codings: string[] = [];
  let length = '0';
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    // By length first: hardly a name needs to be lowered.
    if (name.length === 4 && name.toLowerCase() === 'host') hosts.push(value);
    else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') codings.push(value || '?');
    else if (name.length === 14 && name.toLowerCase() === 'content-length') length = value;
  }
  return { hosts, codings: codings.join(), length };
}

/**
 * What is wrong with the framing of a message that a parser has let through, if anything. A coding beside chunked would
 * be passed on without its name, for nobody here takes it off (RFC 9112 §6.1).
 */
export function framingError({ codings, length }: Framing): string | undefined {
  if (codings !== '' && codings.toLowerCase() !== 'chunked')
    return 'the only supported transfer coding is chunked';
  return Number.isSafeInteger(Number(length)) ? undefined : 'the Content-Length is too large';
}
