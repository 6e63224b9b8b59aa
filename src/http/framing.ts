import type { RawHeaders } from './headers.ts';

/** The fields for the host and the length of a message, as received. */
export interface Framing {
  /** The first Host; undefined if there is none. */
  readonly host: string | undefined;
  readonly hosts: number;
  /** All transfer codings, joined by commas; '' for none. */
  readonly codings: string;
  /** The last Content-Length, '0' for none; parsers refuse more than one. */
  readonly length: string;
}

export function framingOf(headers: RawHeaders): Framing {
  let host: string | undefined;
  let hosts = 0;
  let codings = '';
  let length = '0';
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if (isNamed(name, 'host')) {
      host ??= value;
      hosts++;
    } else if (isNamed(name, 'transfer-encoding')) codings = joined(codings, value || '?');
    else if (isNamed(name, 'content-length')) length = value;
  }
  return { host, hosts, codings, length };
}

/** Lengths are compared first, so that few names are converted to lower case. */
function isNamed(name: string, wanted: string): boolean {
  return name.length === wanted.length && name.toLowerCase() === wanted;
}

function joined(list: string, item: string): string {
  return list === '' ? item : `${list},${item}`;
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
