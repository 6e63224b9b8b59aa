import { headerOf, headersOf, type RawHeaders } from './headers.ts';

/** All transfer codings, joined by commas; '' for none. */
export function codingsOf(headers: RawHeaders): string {
  const values = headersOf(headers, 'transfer-encoding');
  return values.length === 0 ? '' : values.map((value) => value || '?').join(',');
}

/**
 * The framing error of a message that a parser has accepted; undefined if it is valid. A transfer coding other than chunked
 * is an error, because the proxy does not decode it and does not forward its name (RFC 9112 §6.1). Parsers refuse more than one
 * Content-Length.
 */
export function framingError(headers: RawHeaders): string | undefined {
  const codings = codingsOf(headers);
  if (codings !== '' && codings.toLowerCase() !== 'chunked')
    return 'the only supported transfer coding is chunked';
  const length = headerOf(headers, 'content-length') ?? '0';
  return Number.isSafeInteger(Number(length)) ? undefined : 'the Content-Length is too large';
}
