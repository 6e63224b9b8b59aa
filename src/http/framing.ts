import type { RawHeaders } from './headers.ts';

/** The fields for the host and the length of a message, as received. */
export interface Framing {
  readonly hosts: readonly string[];
  /** All transfer codings, joined by commas; '' for none. */
  readonly codings: string;
  /** The last Content-Length, '0' for none; parsers refuse more than one. */
  readonly length: string;
}

const NONE: readonly string[] = [];

export function framingOf(headers: RawHeaders): Framing {
  // Nearly every message has one of each, so a list grows by copies instead of by spare room.
  let hosts: readonly string[] = NONE;
  let codings: readonly string[] = NONE;
  let length = '0';
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    // Lengths are compared first, so that few names are converted to lower case.
    if (name.length === 4 && name.toLowerCase() === 'host') hosts = hosts.concat(value);
    else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding')
      codings = codings.concat(value || '?');
    else if (name.length === 14 && name.toLowerCase() === 'content-length') length = value;
  }
  return { hosts, codings: codings.join(), length };
}

/**
 * The framing error of a message that a parser has accepted; undefined if it is valid. A transfer coding other than chunked
 * is an error, because the proxy does not decode it and does not forward its name (RFC 9112 §6.1).
 */
export function framingError({ codings, length }: Framing): string | undefined {
  if (codings !== '' && codings.toLowerCase() !== 'chunked')
    return 'the only supported transfer coding is chunked';
  return Number.isSafeInteger(Number(length)) ? undefined : 'the Content-Length is too large';
}
